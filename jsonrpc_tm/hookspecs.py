"""The contract for plugin authors: synchronous hooks, called once at start-up, that hand over objects.

Every hook may be left out, and an implementation may leave out arguments that it does not use.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from .core.identity import AuthenticatorFactory, Policy
from .core.records import CallRecord, Event, Migration, Route, StatusRule
from .plugin.marker import hookspec
from .rpc.method import Method
from .storage.base import StorageProvider

if TYPE_CHECKING:
    from .catalog.base import CatalogProvider
    from .rpc.service import Service
    from .settings import Setting
    from .tools.replay.wire import Wire


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
