"""Who calls, by DIRAC's rules: proxies and tokens carry their group, certificates name one in ``extraCredentials``.

No property is granted before the membership is known; a host speaks for others only with TrustedHost.
"""

import dataclasses
from typing import Any

from jsonrpc_tm.api import HOSTS, Identity, Users

TRUSTED = "TrustedHost"


class NotAuthorised(Exception):
    """HTTP 401, DIRAC's only refusal of a caller; the message is for the log."""


def resolve(identity: Identity, extra: Any, users: Users) -> Identity:
    """Return who the caller is to DIRAC's wire.

    :param identity: as authenticated, without any claimed group.
    :param extra: ``extraCredentials``, decoded; None where absent.
    :raises NotAuthorised: no credentials, a group that is not the caller's, or somebody else's name without trust.
    """
    if identity.refused is not None or (identity.dn is None and identity.subject is None):
        raise NotAuthorised(identity.refused or "no credentials")
    if isinstance(extra, list):
        return _delegated(identity, extra, users)
    if identity.group == HOSTS:
        if extra != HOSTS:
            raise NotAuthorised(f"a host must say {HOSTS!r} in extraCredentials")
        return identity
    if extra is None or identity.bound or identity.authentication == "proxy":
        return identity  # the group of the proxy or token counts, whatever is claimed beside it
    if not isinstance(extra, str):
        raise NotAuthorised("extraCredentials name no group")
    return _in_group(identity, extra, users)


def _in_group(identity: Identity, group: str, users: Users) -> Identity:
    if not identity.authenticated:
        return identity
    if group == identity.group or not group:
        return identity
    user = users.by_name(identity.username or "")
    if user is None or group not in user.groups:
        raise NotAuthorised(f"{identity.username} is not in the group {group[:100]!r}")
    return dataclasses.replace(identity, group=group, properties=users.properties(group))


def _delegated(host: Identity, extra: list[Any], users: Users) -> Identity:
    """Return the user that a trusted host speaks for."""
    if host.group != HOSTS or TRUSTED not in host.properties or not host.authenticated:
        raise NotAuthorised(f"only a host with {TRUSTED} may speak for others")
    if len(extra) != 2 or not all(isinstance(item, str) for item in extra):
        raise NotAuthorised("extraCredentials are not [DN, group]")
    dn, group = extra
    user = users.by_dn(dn)
    if user is None or user.suspended or group == HOSTS or group not in user.groups:
        raise NotAuthorised(f"nobody acts as {dn[:200]!r} in the group {group[:100]!r}")
    return dataclasses.replace(
        host, username=user.name, group=group, properties=users.properties(group), dn=dn, subject=None
    )
