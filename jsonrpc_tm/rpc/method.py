"""A method is one object: what it takes, gives, may answer, and what it needs before it runs."""

import copy
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar, Literal

from marshmallow import Schema, ValidationError, missing

from ..core import fields
from ..core.errors import ConfigurationError, Forbidden, InvalidParams, MethodNotFound, NotFound, TMError
from ..core.identity import Rule
from ..core.spelling import closest
from .results import ResultSchema

_UNKNOWN = ["Unknown field."]
"""What marshmallow says of a name that it does not know."""
_SLIPS = 10
"""Unknown names of a call for which it is looked what may have been meant."""
Handler = Callable[..., Awaitable[Any]]
Default = Literal["default"]
DEFAULT: Default = "default"
"""As a method's rule: the one that the setting ``authorization.default`` has."""


@dataclass(frozen=True, slots=True)
class Read:
    """The handler runs in a transaction that only reads.

    :param trans: the parameter that names a transformation, if any; the handler gets the ``Transformation``, once it is
        known that the caller may read it.
    """

    trans: str | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """The handler runs in a transaction that writes. Such a method states its rule."""

    trans: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class Change:
    """The handler runs in a transaction that changes one transformation, and gets it ``Held``: locked, and the caller's
    right on it checked. A method cannot forget to ask.

    :param trans: the parameter that names it.
    :param shared: others may hold it at the same time, see ``Work.hold``.
    """

    trans: str = "transName"
    shared: bool = False


Access = Read | Write | Change


@dataclass(frozen=True)
class Method:
    """A JSON-RPC method.

    :param name: the name on the wire; a plugin's methods carry its own prefix.
    :param handler: ``async def handler(work, [transformation,] [prepared,] **parameters)``; its docstring is the
        method's documentation. Without *access* its first argument is an ``Outside`` instead of a ``Work``. It names
        all parameters, or some and takes the rest in a ``**`` of its own.
    :param params: marshmallow fields by parameter name, in positional order. One without a default, for an argument of
        the handler that has none either, is required.
    :param access: the transaction that the handler runs in; None for none.
    :param prepare: ``async def prepare(outside, **parameters)``, run before the transaction: checks whose refusal comes
        before the right, the catalog, matching. The handler may take what it returns as *prepared*; it must not be
        changed, and what may have changed meanwhile is proved again.
    :param after: ``async def after(outside, result, prepared, **parameters)``, run once after the commit; its failure
        is logged and is not the call's. Like *prepare* it names those parameters that it wants.
    :param rule: who may call it; a tuple lists properties, one of which is needed. None or ``DEFAULT``: the configured
        default; a method with the access ``Write`` says which it means.
    :param errors: what it may answer with, beside what every method may (see ``raises``).
    :param result: JSON Schema of the result; its ``description`` says it in words.
    :param streams: how many rows of a list are read at a time when it is asked for as a stream; 0 where that is not
        possible. The handler of such a method, which has the access ``Read``, returns ``Rows`` or a list.
    """

    name: str
    handler: Handler
    params: Mapping[str, fields.Field] = field(default_factory=dict)
    access: Access | None = None
    prepare: Handler | None = None
    after: Handler | None = None
    rule: Rule | Default | None = None
    errors: tuple[type[TMError], ...] = ()
    result: ResultSchema = field(default_factory=dict)
    streams: int = 0
    takes_prepared: bool = field(init=False)
    changes: bool = field(init=False)
    """Whether it changes something."""

    def __post_init__(self) -> None:
        fields.check(self.params)
        if self.access is not None and not isinstance(self.access, Read | Write | Change):
            raise TypeError(f"method {self.name}: access is Read(), Write(), Change() or None, not {self.access!r}")
        trans = None if self.access is None else self.access.trans
        if trans not in (None, *self.params):
            raise TypeError(f"method {self.name}: it has no parameter {trans}")
        given = 1 if trans is None else 2
        own = [name for name in self.params if name != trans]
        taken = _parameters(self, self.handler)
        rest = [name for name in taken if name.startswith("**")]
        if rest:
            own = [name for name in own if name in taken] + rest
        before = len(taken) - len(own)
        # what was prepared may be left out by a handler that has no use for it
        if taken[before:] != own or not given <= before <= given + (self.prepare is not None):
            raise TypeError(f"method {self.name}: the handler takes {taken[given:]}, the schema has {own}")
        self._check_answers()
        needed = {name: _required(one) for name, one in self.params.items() if self._may_lack(name, one)}
        object.__setattr__(self, "params", {**self.params, **needed})
        object.__setattr__(self, "takes_prepared", before > given)
        object.__setattr__(self, "changes", isinstance(self.access, Write | Change))
        if isinstance(self.access, Write) and self.rule is None:
            raise TypeError(f"method {self.name}: what writes without a right on a transformation states its rule")
        if self.streams and not isinstance(self.access, Read):
            raise TypeError(f"method {self.name}: what can be had as a stream is read")
        if self.after is not None and not self.changes:
            raise TypeError(f"method {self.name}: it changes nothing that something could follow")
        for function, first in ((self.prepare, 1), (self.after, 3)):
            wrong = set(_parameters(self, function)[first:] if function else ()) - set(self.params)
            if wrong:
                raise TypeError(f"method {self.name}: {', '.join(sorted(wrong))} is no parameter of it")
        # one Schema instance for all calls: building it costs three times as much as using it
        object.__setattr__(self, "_schema", Schema.from_dict(dict(self.params))())
        renamed = any(one.data_key or one.attribute or "." in name for name, one in self.params.items())
        object.__setattr__(self, "_plain", not renamed)

    def _check_answers(self) -> None:
        """Refuse what no document of the methods could be made of."""
        if not isinstance(self.result, Mapping):
            raise TypeError(
                f"method {self.name}: result is a JSON Schema made with jsonrpc_tm.api.results, not {self.result!r}"
            )
        if not isinstance(self.errors, tuple) or not all(
            isinstance(one, type) and issubclass(one, TMError) for one in self.errors
        ):
            raise TypeError(
                f"method {self.name}: errors is a tuple of classes of jsonrpc_tm.api.errors, not {self.errors!r}"
            )

    def _may_lack(self, name: str, one: fields.Field) -> bool:
        """Whether a call could leave the parameter out, and what needs it would have none."""
        if one.required or one.load_default is not missing:
            return False
        argument = inspect.signature(self.handler).parameters.get(name)
        named = argument is not None and argument.default is inspect.Parameter.empty
        return named or (self.access is not None and name == self.access.trans)

    @property
    def doc(self) -> str:
        """The handler's docstring."""
        return inspect.getdoc(self.handler) or ""

    @property
    def right(self) -> bool:
        """Whether it needs the right on the transformation that it changes."""
        return isinstance(self.access, Change)

    @property
    def raises(self) -> tuple[type[TMError], ...]:
        """What it may answer with because of its parameters and access, and then its own errors."""
        implied: list[type[TMError]] = [InvalidParams] if self.params else []
        if isinstance(self.access, Change):
            implied += [Forbidden, NotFound]
        elif isinstance(self.access, Read) and self.access.trans is not None:
            implied += [NotFound]
        return tuple(dict.fromkeys((*implied, *self.errors)))

    def load(self, params: Sequence[Any] | Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the handler's arguments by name, defaults filled in.

        :param params: as in the request: positional, named or absent.
        :raises InvalidParams: they do not fit the schema.
        """
        if params is None:
            named: Mapping[str, Any] = {}
        elif type(params) is not list and isinstance(params, Mapping):
            named = params
        elif len(params) > len(self.params):
            takes = f"it takes {len(self.params)}: {', '.join(self.params)}" if self.params else "it takes none"
            told = f"{len(params)} given, {takes}."
            raise InvalidParams(f"Invalid parameters for {self.name}", errors={"_schema": [told]})
        else:
            named = dict(zip(self.params, params, strict=False))
        loaded = self._plainly(named)
        if loaded is None:
            try:
                loaded = self._schema.load(named)  # type: ignore[attr-defined]
            except ValidationError as error:
                wrong: dict[str, Any] = error.messages_dict
                # what is unknown comes first: what is missing is often what was meant by it
                unknown = {name: wrong[name] for name in named if wrong.get(name) == _UNKNOWN}
                meant = _meant(islice(unknown, _SLIPS), self.params.keys() - named.keys())
                raise InvalidParams(f"Invalid parameters for {self.name}", errors=unknown | wrong, **meant) from None
        return loaded

    def _plainly(self, named: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the arguments, field by field, in a third of the schema's time; None where that has more to say."""
        if not (self._plain and named.keys() <= self.params.keys()):  # type: ignore[attr-defined]
            return None
        loaded = {}
        try:
            for name, one in self._schema.load_fields.items():  # type: ignore[attr-defined]
                value = one.deserialize(named.get(name, missing), name, named)
                if value is not missing:
                    loaded[name] = value
        except ValidationError:
            return None
        return loaded


def _parameters(method: Method, function: Handler) -> list[str]:
    """Return the names of the arguments that *function* takes, ``**`` before that of the rest.

    :raises TypeError: it is not an async function.
    """
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"method {method.name}: {function!r} is not an async function")
    found = inspect.signature(function).parameters.values()
    return [f"**{one.name}" if one.kind is one.VAR_KEYWORD else one.name for one in found]


def _required(one: fields.Field) -> fields.Field:
    needed = copy.copy(one)
    needed.required = True
    return needed


def _meant(wrong: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Return the name that one of some wrong ones comes close to, as an error's data; nothing where none does."""
    meant = next(filter(None, (closest(name[:100], names) for name in wrong)), None)
    return {"did_you_mean": meant} if meant else {}


class Registry:
    """All methods of a server.

    :param methods: pairs of a method and the name of the plugin it came from.
    :raises ConfigurationError: two plugins provide the same name.
    """

    def __init__(self, methods: Iterable[tuple[Method, str]]) -> None:
        self._methods: dict[str, Method] = {}
        self.origins: dict[str, str] = {}
        for method, origin in methods:
            if method.name in self._methods:
                raise ConfigurationError(
                    f"method {method.name!r} is provided by both {self.origins[method.name]} and {origin}"
                )
            self._methods[method.name] = method
            self.origins[method.name] = origin

    def __iter__(self) -> Iterator[Method]:
        return iter(self._methods.values())

    def __len__(self) -> int:
        return len(self._methods)

    def __contains__(self, name: str) -> bool:
        return name in self._methods

    def get(self, name: str) -> Method:
        """Return the method called *name*.

        :raises MethodNotFound: there is none; ``data.did_you_mean`` where a close name exists.
        """
        method = self._methods.get(name)
        if method is None:
            raise MethodNotFound(f"No method {name[:100]!r}", **_meant([name], self._methods))
        return method
