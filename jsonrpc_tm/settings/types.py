"""Kinds of values that only settings have. The others come from ``jsonrpc_tm.core.fields``."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, missing

from ..core import fields
from ..core.addresses import Peers, network, normal
from ..core.errors import ConfigurationError
from ..core.fields import Field
from ..core.spelling import suggestion

_UNITS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_URL_PATH = re.compile(r"(/[\w.~-]+)+/?|/", re.ASCII)
# pages of browser extensions have schemes of their own
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_USUAL_PORT = re.compile(r"\A(http://.*):80\Z|\A(https://.*):443\Z")
_URL = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[\w.-]{1,253})(:[0-9]{1,5})?(/[\w.~/-]*)?", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15}) ?([A-Za-z]*)\Z", re.ASCII)


class Bytes(Field):
    """A size: bytes, or a text such as ``64 MiB``. Loads an int."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if type(value) is int and value >= 0:
            return value
        match = _SIZE.match(value) if type(value) is str else None
        if match is None or match[2] not in _UNITS:
            raise ValidationError("Not a size (bytes, or a text such as 64 MiB).")
        return int(match[1]) * _UNITS[match[2]]


class Number(fields.Integer):
    """An integer between two bounds, both included."""

    def __init__(self, minimum: int = 0, maximum: int | None = None, **kwargs: Any) -> None:
        super().__init__(minimum, **kwargs)
        self.maximum = maximum

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number = super()._deserialize(value)
        if self.maximum is not None and number > self.maximum:
            raise ValidationError(f"Must be at most {self.maximum}.")
        return number


class Seconds(fields.Size):
    """A time in seconds, 0 or more."""


class Patience(Seconds):
    """How long to wait for something; not 0, which would never wait for it, and is often meant as endless."""

    schema = {"type": "number", "exclusiveMinimum": 0}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int | float:
        seconds = super()._deserialize(value)
        if not seconds:
            raise ValidationError("Must be more than 0.")
        return seconds


class Path(fields.Text):
    """A file or folder, relative to the configuration's folder."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(4096, empty=False, **kwargs)


class FileMode(fields.Text):
    """The mode of a file, octal digits in a text (``"0660"``)."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        mode = super()._deserialize(value)
        if not re.fullmatch(r"0?[0-7]{3}", mode, re.ASCII):
            raise ValidationError('Not the mode of a file: three octal digits in quotes, such as "0660".')
        return mode


class Pattern(fields.Text):
    """A regular expression of Python's."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(4096, empty=False, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        pattern = super()._deserialize(value)
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValidationError(f"Not a regular expression: {error}.") from None
        return pattern


class Balancers(Field):
    """A list of IP addresses and networks (``10.0.0.0/8``), and ``unix`` for Unix sockets. Loads ``Peers``."""

    schema = {"type": "array", "items": {"type": "string"}}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Peers:
        if type(value) is not list or not all(type(item) is str for item in value):
            raise ValidationError("Must be a list of IP addresses or networks, as texts.")
        try:
            return [None if item == "unix" else network(item) for item in value]
        except ValueError as error:
            raise ValidationError(f"Not an IP address or network: {error}.") from None


class UrlPath(fields.Text):
    """The path of a URL: letters, digits and ``._~-`` between slashes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(empty=False, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        path = super()._deserialize(value)
        if not _URL_PATH.fullmatch(path):
            raise ValidationError("Not the path of a URL, such as /rpc.")
        return path


class Host(fields.Text):
    """An address or a name to listen on. Loads addresses in the form of ``core.addresses``, but for their zones."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(empty=False, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        text = super()._deserialize(value).lower().removeprefix("[").removesuffix("]")
        return text if "%" in text else normal(text)


class Origins(fields.Texts):
    """Origins of web pages, ``https://host[:port]``. Loads them as browsers send them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(300, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        origins = [text.lower() for text in super()._deserialize(value)]
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValidationError(
                    f"{origin!r} is no origin, such as https://pages.example.org or http://[::1]:8080."
                )
        return [_USUAL_PORT.sub(r"\1\2", origin) for origin in origins]


def is_url(text: str) -> bool:
    """Whether *text* is the URL of a server: scheme, host, and a plain path at most."""
    return _URL.fullmatch(text) is not None


class Url(fields.Text):
    """The URL of a server: ``http`` or ``https``, host, port and path."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(empty=False, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        url = super()._deserialize(value)
        if not is_url(url):
            raise ValidationError("Not the URL of a server, such as https://tm.example.org:8443/rpc.")
        return url


class Record(Field):
    """An object with known members.

    :param members: fields by name; one without ``load_default`` that is ``required`` must be there.
    """

    def __init__(self, members: Mapping[str, Field], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members = members

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise ValidationError("Not an object.")
        errors: dict[Any, Any] = {}
        for name in value:
            if name not in self.members:
                errors[name] = [f"Unknown key{suggestion(name, self.members)}."]
        result = {}
        for name, field in self.members.items():
            try:
                loaded = field.deserialize(value.get(name, missing))
            except ValidationError as error:
                errors[name] = error.messages
            else:
                if loaded is not missing:
                    result[name] = loaded
        if errors:
            raise ValidationError(errors)
        return result


class Named(Field):
    """An object whose member names are free and whose values are all of one kind."""

    def __init__(self, inner: Field, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise ValidationError("Not an object.")
        errors, result = {}, {}
        for name, member in value.items():
            try:
                # `alice:` with nothing below it is an entry with every default
                plain = {} if member is None and isinstance(self.inner, Record) else member
                result[name] = self.inner.deserialize(plain)
            except ValidationError as error:
                errors[name] = error.messages
        if errors:
            raise ValidationError(errors)
        return result

    def put(self, value: Any, keys: Sequence[str], member: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return *value* with one entry, or one member of an entry, replaced; and the keys that lead there.

        :param keys: the dotted path below this object, split; names may contain dots themselves.
        """
        result = dict(value) if isinstance(value, dict) else {}
        if isinstance(self.inner, Record) and len(keys) > 1 and keys[-1] in self.inner.members:
            name = ".".join(keys[:-1])
            result[name] = {**(result.get(name) or {}), keys[-1]: member}
            return (name, keys[-1]), result
        name = ".".join(keys)
        return (name,), {**result, name: member}


class Plugged(Field):
    """A word that picks one of the plugins of a kind, or an object with that word as ``name`` and options for it.

    Loads the object; the plugin checks its options.
    """

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if type(value) is str:
            value = {"name": value}
        if type(value) is not dict or type(value.get("name")) is not str:
            raise ValidationError("Neither a name nor an object with a name.")
        return value


class PluggedList(Field):
    """A list whose items name a plugin of a kind and its options: ``- jwt: {…}`` or just ``- x509``.

    Loads objects of one member each; the plugins check their options.
    """

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[dict[str, Any]]:
        if type(value) is not list:
            raise ValidationError("Not a list.")
        result = []
        for index, given in enumerate(value):
            item = {given: {}} if type(given) is str else given
            if type(item) is not dict or len(item) != 1:
                raise ValidationError({index: ["Must be one name with its options below it."]})
            name, options = next(iter(item.items()))
            options = {} if options is None else options
            if type(options) is not dict:
                raise ValidationError({index: {name: ["Not an object."]}})
            result.append({name: options})
        return result


class Properties(Field):
    """Properties of callers one of which is needed (loads a tuple)."""

    words: tuple[str, ...] = ()

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str | tuple[str, ...]:
        if type(value) is str and value in self.words:
            return value
        # an empty list must not come to mean "no property needed"
        if type(value) is list and value and all(type(item) is str and item for item in value):
            return tuple(value)
        words = "".join(f"{word}, " for word in self.words) + ("or " if self.words else "")
        raise ValidationError(f"Must be {words}a list of properties (one at least).")


class MethodRule(Properties):
    """Who may call a method: a word, or properties one of which is needed."""

    words = ("all", "authenticated")


KINDS: dict[str, type[Field]] = {
    "boolean": fields.Boolean,
    "integer": fields.Integer,
    "number": fields.Size,
    "seconds": Seconds,
    "size": Bytes,
    "text": fields.Text,
    "path": Path,
    "texts": fields.Texts,
    "object": fields.Object,
}
"""Words for the usual types of settings."""


def field_of(kind: Field | str) -> Field:
    """Return the field for a setting's type: a field as it is, or a new one for a word of ``KINDS``.

    :raises ConfigurationError: there is no such word.
    """
    if isinstance(kind, Field):
        return kind
    if kind not in KINDS:
        raise ConfigurationError(f"no type of settings is called {kind!r}; there are {', '.join(KINDS)}")
    return KINDS[kind]()


def words(field: Field) -> str:
    """Return what the values of *field* are, for help texts."""
    match field:
        case fields.Choice():
            text = " | ".join(field.choices)
        case Number(maximum=None) | fields.Integer(minimum=int()):
            high = getattr(field, "maximum", None)
            text = f"integer, {field.minimum} or more" if high is None else f"integer, {field.minimum} to {high}"
        case Named(inner=Record(members=members)):
            text = f"object; each with {', '.join(members)}"
        case Named():
            text = f"object of {words(field.inner)}"
        case _:
            text = next((word for kind, word in _WORDS.items() if isinstance(field, kind)), "any value")
    return f"{text}, or null" if field.allow_none and not isinstance(field, Record) else text


_WORDS: dict[type[Field], str] = {
    Balancers: "list of addresses",
    Bytes: "size",
    Patience: "seconds, more than 0",
    Seconds: "seconds",
    fields.Boolean: "true | false",
    fields.Integer: "integer",
    fields.Size: "number",
    Path: "path",
    Pattern: "regular expression",
    Url: "URL",
    fields.Text: "text",
    fields.Texts: "list of texts",
    fields.Object: "object",
    Record: "object",
    Plugged: "name, or object with name",
    PluggedList: "list of plugin names with options",
    MethodRule: "all, authenticated, or a list of properties",
    Properties: "list of properties",
}
