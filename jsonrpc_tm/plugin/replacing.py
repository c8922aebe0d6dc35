"""What of several plugins' offers counts, where there may be one."""

from collections.abc import Sequence
from typing import Any, get_args

from ..core.errors import ConfigurationError
from ..core.records import StatusRule
from ..core.state_machines import DEFAULT_MACHINES, MachineKind, StateMachine
from .manager import Provenance


def one(kind: str, found: Sequence[tuple[Any, Provenance]]) -> Any:
    """Return the object that a plugin provides instead of the default one, else the default one.

    :param kind: what it is, in the error.
    :raises ConfigurationError: two plugins provide one, or nobody does.
    """
    replacing = [(item, origin) for item, origin in found if origin.kind != "default"]
    if len(replacing) > 1:
        raise ConfigurationError(f"two plugins replace the {kind}: {replacing[0][1]} and {replacing[1][1]}")
    if not found:
        raise ConfigurationError(f"no plugin provides a {kind}")
    return (replacing or found)[0][0]


def status_rules(found: Sequence[tuple[Any, Provenance]]) -> list[StatusRule]:
    """Return the status rules.

    :raises ConfigurationError: one is on a kind of status that is none, and would never be asked.
    """
    for item, origin in found:
        if item.kind not in get_args(MachineKind):
            kinds = ", ".join(get_args(MachineKind))
            raise ConfigurationError(f"{origin} provides a status rule of {item.kind!r}; there are {kinds}")
    return [item for item, _ in found]


def machines(found: Sequence[tuple[Any, Provenance]]) -> dict[MachineKind, StateMachine]:
    """Return the state machine of each kind: a plugin's, else the default one.

    :raises ConfigurationError: two plugins provide one of a kind, or somebody one of a kind that is none.
    """
    chosen = {machine.kind: machine for machine in DEFAULT_MACHINES}
    for item, origin in found:
        if item.kind not in get_args(MachineKind):
            raise ConfigurationError(f"{origin} provides a state machine of {item.kind!r}")
    for kind in chosen:
        if of_kind := [(item, origin) for item, origin in found if item.kind == kind]:
            chosen[kind] = one(f"state machine of {kind}s", of_kind)
    return chosen
