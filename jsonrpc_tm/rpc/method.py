"""A method is one object; the registry holds them all, by name."""

import difflib
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from marshmallow import Schema, ValidationError

from ..core import fields
from ..core.errors import ConfigurationError, InvalidParams, MethodNotFound

Rule = Literal["all", "authenticated"] | tuple[str, ...]
Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Method:
    """A JSON-RPC method.

    :param name: the name on the wire; a plugin's methods carry its own prefix.
    :param handler: ``async def handler(call, **parameters)``; its docstring is the method's documentation.
    :param params: marshmallow fields by parameter name, in positional order.
    :param result: the result in words.
    :param rule: who may call it; a tuple lists properties, one of which is needed. None: the configured default.
    :param right: it needs the right on the transformation ``transName`` (``call.change`` checks it).
    :param changes: it changes something: audit and events cover it. Implied by *right*.
    :param schema: JSON Schema of the result.
    """

    name: str
    handler: Handler
    params: Mapping[str, fields.Field] = field(default_factory=dict)
    result: str = ""
    rule: Rule | None = None
    right: bool = False
    changes: bool = False
    schema: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields.check(self.params)
        if not inspect.iscoroutinefunction(self.handler):
            raise TypeError(f"method {self.name}: the handler is not an async function")
        taken = list(inspect.signature(self.handler).parameters)[1:]
        if taken != list(self.params):
            raise TypeError(f"method {self.name}: the handler takes {taken}, the schema has {list(self.params)}")
        if self.right and "transName" not in self.params:
            raise TypeError(f"method {self.name}: a right on a transformation needs the parameter transName")
        object.__setattr__(self, "changes", self.changes or self.right)
        # one Schema instance for all calls: building it costs three times as much as using it
        object.__setattr__(self, "_schema", Schema.from_dict(dict(self.params))())

    @property
    def doc(self) -> str:
        """The handler's docstring."""
        return inspect.getdoc(self.handler) or ""

    def load(self, params: Sequence[Any] | Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the handler's arguments by name, defaults filled in.

        :param params: as in the request: positional, named or absent.
        :raises InvalidParams: they do not fit the schema.
        """
        if params is None:
            named: Mapping[str, Any] = {}
        elif isinstance(params, Mapping):
            named = params
        elif len(params) > len(self.params):
            most = len(self.params)
            raise InvalidParams(
                f"{self.name} takes at most {most} parameter(s), {len(params)} given",
                errors={"_schema": [f"At most {most} parameter(s): {', '.join(self.params) or 'none'}."]},
            )
        else:
            named = dict(zip(self.params, params, strict=False))
        try:
            loaded: dict[str, Any] = self._schema.load(named)  # type: ignore[attr-defined]
        except ValidationError as error:
            raise InvalidParams(f"Invalid parameters for {self.name}", errors=error.messages) from None
        return loaded


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
            close = difflib.get_close_matches(name[:100], self._methods, n=1)
            raise MethodNotFound(f"No method {name[:100]!r}", **({"did_you_mean": close[0]} if close else {}))
        return method
