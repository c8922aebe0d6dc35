"""Who is calling, and the interfaces of the plugins that find it out and decide what they may do."""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

MANAGEMENT = "ProductionManagement"
"""The property of callers who change every transformation."""
SHARING = "ProductionSharing"
"""The property of callers who change their group's transformations."""
USER = "ProductionUser"
"""The property of callers who change their own transformations."""

Rule = Literal["all", "authenticated"] | tuple[str, ...]
"""Who may call: anyone, whoever is authenticated, or callers with one of some properties."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller, as one authenticator established it.

    :param username: registry name of the user or host; None for the anonymous caller.
    :param group: the one group the caller acts in; ``hosts`` for hosts.
    :param properties: rights, only from a group whose membership was verified; in the registry's order.
    :param dn: subject in slash form, where a certificate was shown.
    :param subject: the token's subject, where a token was shown.
    :param authentication: how the identity was proven.
    :param expires: when the credential ends (UTC, aware).
    :param reason: for callers that do not count as authenticated: why (goes into ``data.reason``).
    :param refused: a claimed group that is not the caller's: every method answers Forbidden with this text.
    :param bound: whether the proxy or token names the group, so that its holder acts in no other.
    """

    username: str | None = None
    group: str | None = None
    properties: tuple[str, ...] = ()
    dn: str | None = None
    subject: str | None = None
    authentication: Literal["x509", "proxy", "jwt"] | None = None
    expires: datetime | None = None
    reason: str | None = None
    refused: str | None = None
    bound: bool = False

    @property
    def authenticated(self) -> bool:
        """Whether methods with the rule ``authenticated`` are open to this caller."""
        return self.username is not None and self.group is not None and self.reason is None

    @property
    def anonymous(self) -> bool:
        """Whether the caller showed nothing that says who it is; one that the registry does not know did."""
        return self.username is None and self.dn is None and self.subject is None

    def has_any(self, properties: Iterable[str]) -> bool:
        """Whether the caller has one of *properties*."""
        return not set(self.properties).isdisjoint(properties)


ANONYMOUS = Identity(reason="no credentials were shown")
"""A caller without credentials."""


@dataclass(frozen=True, slots=True)
class User:
    """A user or host that the registry knows.

    :param name: unique name.
    :param groups: groups it is a member of, the default one first; ``("hosts",)`` for a host.
    :param suspended: known, but not to be let in.
    :param properties: a host's own properties; None for users, whose properties come from the group they act in.
    :param dns: its certificate subjects (slash form); whoever needs one takes the first.
    """

    name: str
    groups: tuple[str, ...] = ()
    suspended: bool = False
    properties: tuple[str, ...] | None = None
    dns: tuple[str, ...] = ()


class Users(Protocol):
    """The interface of a user registry (hook ``register_users``). Its functions must not wait."""

    def by_dn(self, dn: str) -> User | None:
        """Return the user or host with the certificate subject *dn* (slash form)."""

    def by_subject(self, issuer: str, subject: str) -> User | None:
        """Return the user that *issuer*'s tokens call *subject*."""

    def by_name(self, name: str) -> User | None:
        """Return the user called *name*; no hosts."""

    def properties(self, group: str) -> tuple[str, ...]:
        """Return the properties of a group; none for an unknown one."""


class Credentials(NamedTuple):
    """What an authenticator may look at: one HTTP request, without aiohttp. (A tuple: see ``CallRecord``.)

    :param headers: request headers, case-insensitive.
    :param remote: address of the peer of the connection.
    :param ssl_object: the TLS connection; None without TLS.
    :param now: the server's clock (UTC, aware).
    """

    headers: Mapping[str, str]
    remote: str | None
    ssl_object: ssl.SSLObject | None
    now: datetime


class Authenticator(Protocol):
    """Finds out who is calling. Tried in the order of the configuration; the first that finds credentials decides."""

    name: str

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return the identity, or None when the request has no credentials of this kind.

        :raises BadCredentials: credentials are there and wrong (HTTP 401 for the whole request).
        :raises Unavailable: what is needed to tell cannot be had at present (503), which counts as nobody's failure.
        """


@dataclass(frozen=True, slots=True)
class Transformation:
    """What a policy may know of a transformation: the columns ``TransformationID`` … ``Status`` of its row.

    :param id: TransformationID.
    """

    id: int
    name: str
    author: str
    group: str
    type: str
    status: str


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a file catalog is asked.

    :param caller: who calls the server.
    :param owner: Author of the transformation that the files are for; None where they are for none in particular.
    :param group: its AuthorGroup.
    """

    caller: Identity
    owner: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A policy's answer.

    :param allowed: whether the call may go on.
    :param needs: what would have allowed it (``data.needs``).
    :param reason: one sentence for the logs; the caller is told *needs* alone.
    """

    allowed: bool
    needs: tuple[str, ...] = ()
    reason: str = ""


class Policy(Protocol):
    """Decides on transformations. Pure functions of their arguments: no waiting, no storage."""

    name: str

    def may_create(self, identity: Identity) -> Decision:
        """Whether the caller may add a transformation."""

    def may_change(self, identity: Identity, method: str, transformation: Transformation) -> Decision:
        """Whether the caller may call *method*, which changes the transformation *transformation*."""

    def may_probe(self, identity: Identity) -> bool:
        """Whether the caller of a changing method learns that a transformation does not exist (else Forbidden)."""

    def readable(self, identity: Identity) -> Mapping[str, Any] | None:
        """Which transformations the caller may read: a ``condDict`` over the Transformations table, None for all."""
