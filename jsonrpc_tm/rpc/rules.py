"""Who may call which method: the methods' own rules with the configuration's on top, fixed at start."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..core.errors import ConfigurationError
from ..settings import Settings
from .method import Registry, Rule

WORDS = ("all", "authenticated")


def resolve(settings: Mapping[str, Any], registry: Registry) -> Mapping[str, Rule]:
    """Return the rule of every method, read-only.

    A rule of ``authorization.methods`` wins over the method's own, and that over ``authorization.default``.

    :raises ConfigurationError: a rule is neither a word of ``WORDS`` nor a list of properties, or is for a method
        that does not exist.
    """
    configured: Mapping[str, Any] = settings["authorization.methods"]
    for name in configured:
        if name not in registry:
            close = difflib.get_close_matches(name, [method.name for method in registry], n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            place = settings.origin("authorization.methods", name) if isinstance(settings, Settings) else ""
            where = f"{place}: authorization.methods" if place else "authorization.methods"
            raise ConfigurationError(f"{where}: there is no method {name!r}{hint}")
    default = _rule(settings["authorization.default"], "authorization.default")
    found: dict[str, Rule] = {}
    for method in registry:
        if method.name in configured:
            found[method.name] = _rule(configured[method.name], f"authorization.methods.{method.name}")
        elif method.rule is not None:
            found[method.name] = _rule(method.rule, f"method {method.name} of {registry.origins[method.name]}")
        else:
            found[method.name] = default
    return MappingProxyType(found)


def _rule(value: Any, where: str) -> Rule:
    # an empty list must not come to mean "no property needed"
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) and item for item in value):
        return tuple(value)
    if isinstance(value, str) and value in WORDS:
        return value  # type: ignore[return-value]
    raise ConfigurationError(f"{where}: a rule is {' or '.join(WORDS)}, or a list of properties, not {value!r}")
