"""The default policy on transformations (section 3 of the specification)."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.identity import MANAGEMENT, SHARING, USER, Decision, Identity, Policy, Transformation
from ..plugin.marker import hookimpl

_ALLOWED = Decision(True)
_NEEDS = (MANAGEMENT, SHARING, USER)


class DefaultPolicy:
    """Managers change everything, sharers what their group owns, users their own; everybody reads everything."""

    name = "default"

    def may_create(self, identity: Identity) -> Decision:
        """Any of the three production properties is enough."""
        if not identity.has_any(_NEEDS):
            return Decision(False, _NEEDS, "creating a transformation needs a production property")
        return _ALLOWED

    def may_change(self, identity: Identity, method: str, transformation: Transformation) -> Decision:
        """Management always, sharing within the group, users on their own."""
        properties = identity.properties
        if (
            MANAGEMENT in properties
            or (SHARING in properties and identity.group == transformation.group)
            or (USER in properties and identity.username == transformation.author)
        ):
            return _ALLOWED
        return Decision(
            False, _NEEDS, f"{transformation.name!r} belongs to {transformation.author} of {transformation.group}"
        )

    def may_probe(self, identity: Identity) -> bool:
        """Only managers learn by writing that a transformation does not exist."""
        return MANAGEMENT in identity.properties

    def readable(self, identity: Identity) -> Mapping[str, Any] | None:
        """Reads are open."""
        return None


@hookimpl
def register_policy(settings: Mapping[str, Any]) -> Iterable[Policy]:
    """Provide the default policy."""
    yield DefaultPolicy()
