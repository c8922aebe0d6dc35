"""The people of every test: one for each kind of right."""

from collections.abc import Mapping

from ...core.identity import ANONYMOUS, MANAGEMENT, SHARING, USER, Identity


def _caller(name: str, group: str, *properties: str) -> Identity:
    return Identity(name, group, properties, dn=f"/O=jsonrpc-tm tests/CN={name}", authentication="x509")


PEOPLE: Mapping[str, Identity] = {
    "manager": _caller("manager", "managers", MANAGEMENT),
    "alice": _caller("alice", "sharers", SHARING),
    "bob": _caller("bob", "sharers", SHARING),
    "carol": _caller("carol", "users", USER),
    "dave": _caller("dave", "users", USER),
    "visitor": _caller("visitor", "visitors"),
    "nobody": ANONYMOUS,
}
"""By name: a manager, two members of a group that shares, two users, a visitor without rights, and nobody."""
