"""Who may call which method: the methods' own rules with the configuration's on top, fixed at start."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..core.errors import ConfigurationError, Forbidden, Unauthenticated
from ..core.identity import Identity, Rule
from ..core.problems import Problems
from ..core.spelling import suggestion
from ..settings import Settings
from ..settings.loading import wrong as plain
from .method import DEFAULT, Registry

WORDS = ("all", "authenticated")
EVENTS = "events"
"""What the rule of the stream of events is called beside those of the methods."""


def resolve(settings: Mapping[str, Any], registry: Registry) -> Mapping[str, Rule]:
    """Return the rule of every method, and of the stream of events, read-only.

    A rule of ``authorization.methods`` wins over the method's own, and that over ``authorization.default``.

    :raises ConfigurationError: a rule is neither a word of ``WORDS`` nor a list of properties, or is for a method
        that does not exist.
    """
    configured: Mapping[str, Any] = settings["authorization.methods"]
    problems = Problems()
    wrong = settings.wrong if isinstance(settings, Settings) else plain
    for name in configured:
        if name not in registry and name != EVENTS:
            hint = suggestion(name, (EVENTS, *(method.name for method in registry)))
            problems.note(str(wrong("authorization.methods", name, message=f"there is no method {name!r}{hint}")))
    problems.tell()
    default = rule(settings["authorization.default"], "authorization.default")
    found: dict[str, Rule] = {EVENTS: default}
    if EVENTS in configured:
        found[EVENTS] = rule(configured[EVENTS], f"authorization.methods.{EVENTS}")
    for method in registry:
        if method.name in configured:
            found[method.name] = rule(configured[method.name], f"authorization.methods.{method.name}")
        elif method.rule is not None and method.rule != DEFAULT:
            found[method.name] = rule(method.rule, f"method {method.name} of {registry.origins[method.name]}")
        else:
            found[method.name] = default
    return MappingProxyType(found)


def rule(value: Any, where: str) -> Rule:
    """Return a rule that somebody wrote.

    :param where: names it in the error.
    :raises ConfigurationError: it is neither a word of ``WORDS`` nor a list of properties.
    """
    # an empty list must not come to mean "no property needed"
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) and item for item in value):
        return tuple(value)
    if isinstance(value, str) and value in WORDS:
        return value  # type: ignore[return-value]
    raise ConfigurationError(f"{where}: a rule is {' or '.join(WORDS)}, or a list of properties, not {value!r}")


def check_identity(what: str, rule: Rule, identity: Identity) -> None:
    """Refuse callers whose identity does not do for *rule*, whatever they ask.

    :param what: what the rule is for, in the error.
    :raises Forbidden: the caller claims a group that is not its own.
    :raises Unauthenticated: the rule needs an identity and there is none.
    """
    if identity.refused is not None:
        raise Forbidden(identity.refused, needs=["membership of the group"])
    if rule != "all" and not identity.authenticated:
        reason = identity.reason or "unknown caller"
        raise Unauthenticated(f"{what} needs an identity: {reason}", reason=reason)


def check_properties(what: str, rule: Rule, identity: Identity) -> None:
    """Refuse callers who lack the properties that *rule* asks for.

    :param what: what the rule is for, in the error.
    :raises Forbidden: the caller has none of them.
    """
    # whatever is no word is a list of properties, also one that nobody has checked
    if not isinstance(rule, str) and not identity.has_any(rule):
        raise Forbidden(f"{what} needs one of: {', '.join(rule)}", needs=list(rule))


def is_permitted(what: str, rule: Rule, identity: Identity) -> bool:
    """Whether *rule* lets somebody call what it is for."""
    try:
        check_identity(what, rule, identity)
        check_properties(what, rule, identity)
    except (Forbidden, Unauthenticated):
        return False
    return True
