"""Private reads: callers see the transformations of their own group only, in lists, summaries and counters too.

Enable it in the configuration::

    private_reads:
      enabled: true

Callers with a property of ``private_reads.see_all`` (ProductionManagement) see everything. Who may change what stays
as it is, except that nobody changes what they may not see.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jsonrpc_tm.api import (
    MANAGEMENT,
    Decision,
    DefaultPolicy,
    Identity,
    Policy,
    Setting,
    Settings,
    Transformation,
    fields,
    hookimpl,
)

JSONRPC_TM_API = 1
SECTION = "private_reads"


class PrivateReads(DefaultPolicy):
    """The default policy with reads restricted to the caller's group.

    :param see_all: properties that lift the restriction.
    """

    name = SECTION

    def __init__(self, see_all: Iterable[str] = (MANAGEMENT,)) -> None:
        self._see_all = tuple(see_all)

    def readable(self, identity: Identity) -> Mapping[str, Any] | None:
        """Return a condition that the database applies: the group is the caller's; nothing without a group."""
        if identity.has_any(self._see_all):
            return None
        return {"AuthorGroup": [] if identity.group is None else [identity.group]}

    def may_change(self, identity: Identity, method: str, transformation: Transformation) -> Decision:
        """Authors who act in another group now do not change what they do not see."""
        group = transformation.group
        if identity.group != group and not identity.has_any((*self._see_all, MANAGEMENT)):
            needs = super().may_change(Identity(), method, transformation).needs
            return Decision(False, needs, f"{transformation.name!r} belongs to {group}, whose members alone see it")
        return super().may_change(identity, method, transformation)


@hookimpl
def register_settings() -> Iterable[Setting]:
    """Provide the section ``private_reads``."""
    yield Setting(f"{SECTION}.enabled", "boolean", False, "Show callers the transformations of their group only.")
    yield Setting(f"{SECTION}.see_all", fields.Texts(), [MANAGEMENT], "Properties of callers who see everything.")


@hookimpl
def register_policy(settings: Settings) -> Iterable[Policy]:
    """Replace the default policy."""
    if settings[f"{SECTION}.enabled"]:
        yield PrivateReads(settings[f"{SECTION}.see_all"])
