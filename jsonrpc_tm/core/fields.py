"""Marshmallow fields of the methods' parameters, strict: no conversion but those of section 4 of the specification.

Each field can describe itself (``json_schema``), so that ``rpc.discover`` is made from what validates the calls.
"""

from collections.abc import Mapping
from typing import Any, cast

from marshmallow import ValidationError, missing
from marshmallow import fields as ma

from .model import MAX_INTEGER
from .values import NUMERIC, BadValue, identifier, moment, text

JSONSchema = dict[str, Any]


class Field(ma.Field[Any]):
    """Base of all our fields: any JSON value, null only where ``allow_none`` says so."""

    schema: JSONSchema = {}

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        """Return the loaded value.

        :raises ValidationError: it is not what it should be.
        """
        try:
            # what marshmallow adds to a plain value takes longer than most fields themselves
            if value is None or value is missing or self.validators or self.pre_load or self.post_load:
                return super().deserialize(value, attr, data, **kwargs)
            return self._deserialize(value, attr, data, **kwargs)
        except BadValue as error:
            raise ValidationError(error.messages) from None

    def json_schema(self) -> JSONSchema:
        """Return the JSON Schema of the values this field accepts, null and default included."""
        schema = dict(self._own_schema())
        if self.allow_none and schema:
            if isinstance(schema.get("type"), str) and "enum" not in schema:
                schema["type"] = [schema["type"], "null"]
            else:
                schema = {"anyOf": [schema, {"type": "null"}]}
        if "description" in self.metadata:
            schema["description"] = self.metadata["description"]
        return schema

    def _own_schema(self) -> JSONSchema:
        """Return the JSON Schema without null and description."""
        return self.schema


class Any_(Field):
    """Any JSON value, null included."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_none": True, **kwargs})


class Text(Field):
    """Text without U+0000.

    :param length: the longest accepted, in characters; None for no limit of its own.
    :param empty: whether ``""`` is accepted.
    """

    def __init__(self, length: int | None = 255, *, empty: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length = length
        self.empty = empty

    def _own_schema(self) -> JSONSchema:
        schema: JSONSchema = {"type": "string"}
        if self.length is not None:
            schema["maxLength"] = self.length
        if not self.empty:
            schema["minLength"] = 1
        return schema

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return text(value, self.length, empty=self.empty)


class Choice(Field):
    """One of a few words."""

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = choices

    def _own_schema(self) -> JSONSchema:
        return {"type": "string", "enum": list(self.choices)}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if type(value) is not str or value not in self.choices:
            raise BadValue(f"Must be one of: {', '.join(self.choices)}.")
        return value


class Boolean(Field):
    """``true`` or ``false``, nothing else."""

    schema = {"type": "boolean"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if type(value) is not bool:
            raise BadValue("Not a boolean.")
        return value


class Integer(Field):
    """A 64-bit integer.

    :param minimum: the smallest accepted.
    :param maximum: the largest accepted.
    """

    def __init__(self, minimum: int | None = None, maximum: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimum, self.maximum = minimum, maximum

    def _own_schema(self) -> JSONSchema:
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": "integer"} | {name: bound for name, bound in bounds.items() if bound is not None}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if type(value) is not int or abs(value) > MAX_INTEGER:
            raise BadValue("Not an integer.")
        if self.minimum is not None and value < self.minimum:
            raise BadValue(f"Must be at least {self.minimum}.")
        if self.maximum is not None and value > self.maximum:
            raise BadValue(f"Must be at most {self.maximum}.")
        return value


class Count(Integer):
    """A number of things: 0 or more.

    :param maximum: the largest accepted.
    """

    def __init__(self, maximum: int | None = None, **kwargs: Any) -> None:
        super().__init__(0, maximum, **kwargs)


class PositiveInteger(Integer):
    """1 or more."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, **kwargs)


class Size(Field):
    """A finite number, 0 or more (GroupSize)."""

    schema = {"type": "number", "minimum": 0}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int | float:
        if type(value) not in (int, float):
            raise BadValue("Not a number.")
        if not 0 <= value < float("inf"):
            raise BadValue("Must be at least 0, and finite.")
        return cast(int | float, value)


class Id(Field):
    """An identifier: an integer or its decimal text (``"12"``). Loads an int.

    :param minimum: the smallest accepted.
    """

    schema = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]+$"}]}

    def __init__(self, minimum: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimum = minimum

    def _own_schema(self) -> JSONSchema:
        if self.minimum is None:
            return self.schema
        return {"anyOf": [{"type": "integer", "minimum": self.minimum}, self.schema["anyOf"][1]]}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number = identifier(value)
        if self.minimum is not None and number < self.minimum:
            raise BadValue(f"Must be at least {self.minimum}.")
        return number


class Ids(Field):
    """One identifier or a list of them. Loads a list of ints."""

    def _own_schema(self) -> JSONSchema:
        return {"anyOf": [*Id.schema["anyOf"], {"type": "array", "items": Id.schema}]}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[int]:
        return [identifier(item) for item in value] if type(value) is list else [identifier(value)]


class Transformation(Field):
    """A transformation: an id (integer or numeric text; loads an int) or a name (loads a str)."""

    schema = {"anyOf": [{"type": "integer"}, {"type": "string"}]}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"metadata": {"description": "a transformation's id or name"}, **kwargs})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int | str:
        # no id is negative, but a name may look so
        if type(value) is str and (value.startswith("-") or not NUMERIC.match(value)):
            if "\0" in value:
                raise BadValue("Must not contain U+0000.")
            return value
        return identifier(value)


class Texts(Field):
    """A list of texts. One loop instead of a field per item: 60 times faster for long lists.

    :param length: the longest text accepted.
    :param minimum: the fewest items accepted.
    :param single: also accept one text alone (loads a list of one).
    :param keys: also accept an object, whose keys count.
    """

    def __init__(
        self,
        length: int = 255,
        *,
        minimum: int = 0,
        single: bool = False,
        keys: bool = False,
        empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.length, self.minimum, self.single, self.keys, self.empty = length, minimum, single, keys, empty

    def _own_schema(self) -> JSONSchema:
        item = Text(self.length, empty=self.empty)._own_schema()
        array: JSONSchema = {"type": "array", "items": item}
        if self.minimum:
            array["minItems"] = self.minimum
        others = ([item] if self.single else []) + ([{"type": "object"}] if self.keys else [])
        return {"anyOf": [array, *others]} if others else array

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        if self.single and type(value) is str:
            value = [value]
        elif self.keys and type(value) is dict:
            value = list(value)
        if type(value) is not list:
            raise BadValue("Not a list.")
        if len(value) < self.minimum:
            raise BadValue(f"Needs at least {self.minimum} item(s).")
        for index, item in enumerate(value):
            if type(item) is not str or len(item) > self.length or not (item or self.empty) or "\0" in item:
                try:
                    text(item, self.length, empty=self.empty)
                except BadValue as error:
                    raise BadValue({index: error.messages}) from None
        return value


class Members(Field):
    """A list of integers and texts, which somebody else reads."""

    schema = {"type": "array", "items": {"type": ["integer", "string"]}}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[Any]:
        if type(value) is not list:
            raise BadValue("Not a list.")
        if any(type(one) not in (int, str) for one in value):
            raise BadValue("Neither integers nor texts.")
        return value


class Object(Field):
    """A JSON object, whatever its members."""

    schema = {"type": "object"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise BadValue("Not an object.")
        return value


class OrderBy(Field):
    """``"Col"``, ``"Col:ASC"``, ``"Col:DESC"`` or a list of those, loaded as a list; null for the order of the key."""

    schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_none": True, "load_default": None, **kwargs})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        return Texts(single=True, empty=True)._deserialize(value)


class After(Field):
    """The last key seen: an identifier, or a transformation's and an identifier in it. Loads a list of one or two ints.

    :param pair: whether a pair is accepted.
    """

    def __init__(self, *, pair: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"allow_none": True, "load_default": None, **kwargs})
        self.pair = pair

    def _own_schema(self) -> JSONSchema:
        pair: JSONSchema = {"type": "array", "items": Id.schema, "minItems": 2, "maxItems": 2}
        return {"anyOf": [*Id.schema["anyOf"], pair]} if self.pair else Id.schema

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[int]:
        if type(value) is not list:
            return [identifier(value)]
        if not self.pair or len(value) != 2:
            raise BadValue("Not an identifier" + (" or a pair of them." if self.pair else "."))
        return [identifier(item) for item in value]


class DateTime(Field):
    """A moment: ISO 8601, ``YYYY-MM-DD HH:MM:SS`` or a plain date. Offsets are converted, fractions cut.

    Loads the stored form, ``YYYY-MM-DD HH:MM:SS`` in UTC; ``""`` and null load None.
    """

    schema = {"type": "string"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_none": True, "load_default": None, **kwargs})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        return moment(value) if value != "" else None


def check(schema: Mapping[str, ma.Field[Any]]) -> None:
    """Refuse a parameter table whose fields cannot describe themselves.

    :raises TypeError: a field is not one of this module's kind.
    """
    for name, field in schema.items():
        if not isinstance(field, Field):
            raise TypeError(f"parameter {name!r}: use a field of jsonrpc_tm.api.fields, not {type(field).__name__}")
