"""The contract for plugin authors: synchronous hooks, called once at start-up, that hand over objects.

Every hook may be left out, and an implementation may leave out arguments that it does not use.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pluggy

from .identity import PEER, Authenticator, Identity, Policy
from .registry import Method
from .storage.base import StorageProvider

if TYPE_CHECKING:
    from .catalog.base import CatalogProvider
    from .replay.wire import Wire
    from .service import Service
    from .settings import Setting

PROJECT = "jsonrpc_tm"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed; sent after the commit.

    :param method: the method that changed it.
    :param target: the transformation, else the path or the first file named by the call; None where it names none.
    :param params: the call's parameters by name, as loaded.
    :param result: what the caller got.
    """

    method: str
    target: int | str | None
    params: Mapping[str, Any]
    result: Any
    identity: Identity
    request_id: str
    time: datetime


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call with its outcome, refused ones too.

    :param outcome: ``ok`` or the error's ``data.type``.
    :param reason: the error's message; empty for ``ok``.
    :param duration: seconds.
    :param changes: whether the method changes something (false for an unknown one).
    :param address: of the peer of the connection, which behind a balancer is the balancer; None without a network.
    """

    method: str
    target: int | str | None
    identity: Identity
    request_id: str
    outcome: str
    reason: str
    duration: float
    changes: bool
    time: datetime
    address: str | None = field(default_factory=PEER.get)


@dataclass(frozen=True, slots=True)
class StatusRule:
    """Restricts changes of a status.

    :param kind: whose status.
    :param check: given the old (None for a new row) and the new status, the reason why not; None when allowed.
    """

    kind: Literal["transformation", "file", "task"]
    check: Callable[[str | None, str], str | None]


@dataclass(frozen=True, slots=True)
class Route:
    """A further HTTP route.

    :param verb: HTTP method.
    :param path: absolute path.
    :param handler: aiohttp handler; ``request.app[jsonrpc_tm.server.SERVICE]`` is the service.
    """

    verb: str
    path: str
    handler: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a plugin's own tables.

    :param owner: the plugin; its migrations are numbered on their own.
    :param version: 1, 2, 3 …
    :param statements: SQL statements by engine (``sqlite``, ``mysql``).
    """

    owner: str
    version: int
    statements: Mapping[str, tuple[str, ...]]


class AuthenticatorFactory(Protocol):
    """What ``register_authenticator`` hands over.

    ``name`` is the key in the configuration's ``authentication`` list.
    """

    name: str

    def __call__(self, options: Mapping[str, Any], service: "Service") -> Authenticator:
        """Return the authenticator for *options*, the value under its name.

        :raises ConfigurationError: the options are wrong.
        """


class Hooks:
    """The hooks."""

    @hookspec
    def register_methods(self, settings: Mapping[str, Any]) -> Iterable[Method]:
        """Yield the plugin's methods."""
        return ()

    @hookspec
    def register_settings(self) -> "Iterable[Setting]":
        """Yield the settings of the plugin's own section, named ``<section>.<key>``."""
        return ()

    @hookspec
    def register_storage(self) -> Iterable[StorageProvider]:
        """Yield storages, each for one URL scheme."""
        return ()

    @hookspec
    def register_migrations(self, settings: Mapping[str, Any]) -> Iterable[Migration]:
        """Yield the migrations of the plugin's own tables."""
        return ()

    @hookspec
    def register_catalog(self) -> "Iterable[CatalogProvider]":
        """Yield file catalogs; the setting ``catalog`` picks one by name."""
        return ()

    @hookspec
    def register_authenticator(self) -> Iterable[AuthenticatorFactory]:
        """Yield factories of authenticators; the setting ``authentication`` lists them by name."""
        return ()

    @hookspec
    def register_users(self, settings: Mapping[str, Any]) -> Iterable[Any]:
        """Yield one replacement for the configuration's user registry (see ``jsonrpc_tm.auth.users.Users``)."""
        return ()

    @hookspec
    def register_policy(self, settings: Mapping[str, Any]) -> Iterable[Policy]:
        """Yield a policy that replaces the default one."""
        return ()

    @hookspec
    def register_status_rule(self, settings: Mapping[str, Any]) -> Iterable[StatusRule]:
        """Yield rules that restrict status changes."""
        return ()

    @hookspec
    def register_listener(self, settings: Mapping[str, Any]) -> Iterable[Callable[[Event], None]]:
        """Yield functions called after every committed change. They must not wait; what they raise is logged."""
        return ()

    @hookspec
    def register_call_observer(self, settings: Mapping[str, Any]) -> Iterable[Callable[[CallRecord], None]]:
        """Yield functions called after every call, refused ones too. They must not wait; what they raise is logged."""
        return ()

    @hookspec
    def register_routes(self, settings: Mapping[str, Any]) -> Iterable[Route]:
        """Yield HTTP routes."""
        return ()

    @hookspec
    def register_commands(self) -> Iterable[Any]:
        """Yield click commands for the command line."""
        return ()

    @hookspec
    def register_replay_wire(self) -> "Iterable[Wire]":
        """Yield wires for ``jsonrpc-tm replay --wire NAME``."""
        return ()

    @hookspec
    def register_lifetime(
        self, settings: Mapping[str, Any]
    ) -> "Iterable[Callable[[Service], AbstractAsyncContextManager[None] | AsyncIterator[None]]]":
        """Yield functions that return an async context manager, entered at start and left at shutdown."""
        return ()
