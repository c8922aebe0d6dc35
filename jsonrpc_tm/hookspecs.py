"""The contract for plugin authors: synchronous hooks, called once at start-up, that hand over objects.

Every hook may be left out, and an implementation may leave out arguments that it does not use.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .catalog.base import CatalogProvider
from .core.events import Event
from .core.identity import Policy, Users
from .core.records import CallRecord, HealthCheck, Migration, Route, StatusRule, Wire
from .core.state_machines import StateMachine
from .domain.work import Work
from .parts import AuthenticatorFactory
from .plugin.marker import hookspec
from .rpc.method import Method
from .rpc.service import Lifetime
from .settings import Setting, Settings
from .storage.base import StorageProvider


class Hooks:
    """The hooks."""

    @hookspec
    def register_methods(self, settings: Settings) -> Iterable[Method]:
        """Yield the plugin's methods."""
        return ()

    @hookspec
    def register_settings(self) -> Iterable[Setting]:
        """Yield the settings of the plugin's own section, named ``<section>.<key>``."""
        return ()

    @hookspec
    def register_storage(self) -> Iterable[StorageProvider]:
        """Yield storages, each for one URL scheme."""
        return ()

    @hookspec
    def register_migrations(self, settings: Settings) -> Iterable[Migration]:
        """Yield the migrations of the plugin's own tables."""
        return ()

    @hookspec
    def register_catalog(self) -> Iterable[CatalogProvider]:
        """Yield file catalogs; the setting ``catalog`` picks one by name."""
        return ()

    @hookspec
    def register_authenticator(self) -> Iterable[AuthenticatorFactory]:
        """Yield factories of authenticators; the setting ``authentication`` lists them by name."""
        return ()

    @hookspec
    def register_users(self, settings: Settings) -> Iterable[Users]:
        """Yield one replacement for the configuration's user registry."""
        return ()

    @hookspec
    def register_policy(self, settings: Settings) -> Iterable[Policy]:
        """Yield a policy that replaces the default one."""
        return ()

    @hookspec
    def register_status_rule(self, settings: Settings) -> Iterable[StatusRule]:
        """Yield rules that restrict status changes."""
        return ()

    @hookspec
    def register_state_machines(self, settings: Settings) -> Iterable[StateMachine]:
        """Yield state machines that replace the default ones, one of a kind."""
        return ()

    @hookspec
    def register_listener(self, settings: Settings) -> Iterable[Callable[[Event], None]]:
        """Yield functions called after every committed change. They must not wait; what they raise is logged."""
        return ()

    @hookspec
    def register_change_writer(self, settings: Settings) -> Iterable[Callable[[Work, CallRecord], Awaitable[None]]]:
        """Yield functions called in the transaction of every change, when all else is done: what they write is
        committed with it or not at all. What they raise undoes the change.
        """
        return ()

    @hookspec
    def register_call_observer(self, settings: Settings) -> Iterable[Callable[[CallRecord], None]]:
        """Yield functions called after every call, refused ones too. They must not wait; what they raise is logged."""
        return ()

    @hookspec
    def register_routes(self, settings: Settings) -> Iterable[Route]:
        """Yield HTTP routes."""
        return ()

    @hookspec
    def register_health_check(self, settings: Settings) -> Iterable[HealthCheck]:
        """Yield questions that ``/health/ready`` asks."""
        return ()

    @hookspec
    def register_commands(self) -> Iterable[Any]:
        """Yield click commands for the command line."""
        return ()

    @hookspec
    def register_replay_wire(self) -> Iterable[Wire]:
        """Yield wires for ``jsonrpc-tm replay --wire NAME``."""
        return ()

    @hookspec
    def register_lifetime(self, settings: Settings) -> Iterable[Lifetime]:
        """Yield functions that, given the service, return an async context manager, entered at start and left at
        shutdown. ``background`` makes one of a function that runs as long as the server does.
        """
        return ()
