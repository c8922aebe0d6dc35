"""Who is calling: authenticators and the registry of users."""

import dataclasses
from collections.abc import Iterable

from ..core.containment import contained
from ..core.identity import ANONYMOUS, Authenticator, Credentials, Identity
from ..core.model import TRANSFORMATIONS
from .headers import GROUP, single

UNUSED = dataclasses.replace(
    ANONYMOUS, reason="the header Authorization has no credentials of a kind that this server takes"
)
"""A caller whose credentials no authenticator looked at."""


_LONGEST_NAME, _LONGEST_GROUP = (TRANSFORMATIONS.columns[name].length for name in ("Author", "AuthorGroup"))


async def identify(authenticators: Iterable[Authenticator], credentials: Credentials) -> Identity:
    """Return who sent a request: the first authenticator that finds credentials decides.

    :raises BadCredentials: credentials are there and wrong; the whole request is refused with HTTP 401.
    :raises Unavailable: what is needed to tell cannot be had at present; the whole request gets HTTP 503.
    """
    for authenticator in authenticators:
        identity = await contained(authenticator.authenticate(credentials))
        if identity is not None:
            return _fitting(_hold_to_group(identity, single(credentials.headers, GROUP)))
    return UNUSED if "Authorization" in credentials.headers else ANONYMOUS


def _hold_to_group(identity: Identity, claimed: str | None) -> Identity:
    """Refuse a claimed group that the authenticator did not give; plugins need not remember to."""
    if claimed and identity.authenticated and identity.group != claimed and identity.refused is None:
        return dataclasses.replace(
            identity, group=None, properties=(), refused=f"You do not act in the group {claimed[:100]!r}"
        )
    return identity


def _fitting(identity: Identity) -> Identity:
    """Turn away a caller whose name or group is longer than the columns of what it would create and log."""
    for name, longest in ((identity.username, _LONGEST_NAME), (identity.group, _LONGEST_GROUP)):
        if name is not None and longest is not None and len(name) > longest:
            reason = f"the name of the caller or its group is longer than {longest} characters"
            return dataclasses.replace(identity, username=None, group=None, properties=(), reason=reason)
    return identity
