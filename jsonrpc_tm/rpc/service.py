"""The server without a wire: methods, storage, catalog, policy and the one way to make a call."""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from ..catalog.base import Catalog
from ..catalog.guard import GuardedCatalog
from ..core.clock import Clock
from ..core.containment import contained
from ..core.context import Context
from ..core.cutting import shortened
from ..core.errors import InternalError, TMError
from ..core.events import Event
from ..core.identity import ANONYMOUS, Authenticator, Identity, Policy, Rule, Users
from ..core.records import CallRecord, HealthCheck, Route, StatusRule
from ..core.state_machines import DEFAULT_MACHINES, MachineKind, StateMachine
from ..domain.work import DomainParts, Work
from ..settings import Settings
from ..storage.base import CallKey, Storage
from . import openrpc
from .call_records import record_of
from .chain import Abandoned, Afterwards, Ground, Perform, compose
from .event_tail import Tail
from .listing import Outlet, PutsOut, streamed
from .method import Method, Registry
from .method_rules import check_identity, check_properties, is_permitted
from .retries import key_of

logger = logging.getLogger(__name__)
# members of a parameter: looking at them takes a millisecond or two, ten where they are tasks with files
_MANY = 2000
# more are refused unseen
_MOST_PARAMETERS = 50
Lifetime = Callable[["Service"], AbstractAsyncContextManager[None]]
"""Returns what is entered when the server starts and left when it stops."""


@dataclass(frozen=True, slots=True)
class Reread:
    """A configuration that was read again and is right.

    :param settings: what it says.
    :param apply: puts it in place; cannot fail.
    """

    settings: Settings
    apply: Callable[[], None]


@dataclass
class Service:
    """Everything a call needs. ``app.build_service`` makes it, whole; ``async with`` opens and closes it.

    :param rules: the rule of each method, configuration applied.
    :param machines: the state machine of each kind.
    :param clock: returns the present moment, UTC, aware.
    :param listeners: get the events of every committed transaction.
    :param observers: get the record of every call.
    :param change_writers: write more in the transaction of every change.
    :param lifetimes: return what is entered at the start and left at the end.
    :param routes: further HTTP routes, each with the name of the plugin it came from.
    :param health_checks: further questions of ``/health/ready``, each with the name of the plugin it came from.
    :param reread: reads the configuration again, or raises ConfigurationError; None where nothing can change.
    """

    settings: Settings
    registry: Registry
    rules: Mapping[str, Rule]
    storage: Storage
    catalog: Catalog
    policy: Policy
    users: Users
    clock: Clock
    authenticators: tuple[Authenticator, ...] = ()
    status_rules: tuple[StatusRule, ...] = ()
    machines: Mapping[MachineKind, StateMachine] = field(
        default_factory=lambda: {machine.kind: machine for machine in DEFAULT_MACHINES}
    )
    listeners: tuple[Callable[[Event], None], ...] = ()
    observers: tuple[Callable[[CallRecord], None], ...] = ()
    change_writers: tuple[Callable[[Work, CallRecord], Awaitable[None]], ...] = ()
    lifetimes: tuple[Lifetime, ...] = ()
    routes: tuple[tuple[Route, str], ...] = ()
    health_checks: tuple[tuple[HealthCheck, str], ...] = ()
    reread: Callable[[], Reread] | None = None
    tail: Tail = field(init=False, repr=False)
    """The end of the log of events."""
    changing: frozenset[str] = field(init=False, repr=False)
    """The methods that change something."""
    _perform: Mapping[str, Perform] = field(init=False, repr=False)
    _streams: Mapping[str, PutsOut] = field(init=False, repr=False)
    _ground: Ground = field(init=False, repr=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False, repr=False)

    def __post_init__(self) -> None:
        self.tail = Tail(self.storage, self.settings, self.clock)
        self._ground = Ground(
            self.storage,
            GuardedCatalog(self.catalog),
            DomainParts(self.settings, self.policy, self.status_rules, machines=self.machines),
            self._tell_events,
            lambda asked: self.document.at(openrpc.address(self.settings, asked)),
            self.clock(),
            self.change_writers,
            lambda name, identity: is_permitted(name, self.rules[name], identity),
        )
        self.changing = frozenset(method.name for method in self.registry if method.changes)
        self._perform = {method.name: compose(method, self._ground) for method in self.registry}
        self._streams = {method.name: streamed(method, self._ground) for method in self.registry if method.streams}

    async def __aenter__(self) -> "Service":
        self._ground.started = self.clock()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.storage)
            await stack.enter_async_context(self.catalog)
            # the lifetimes may make calls until they end, and hear of those before them
            stack.push_async_callback(self._ground.finish)
            for lifetime in self.lifetimes:
                await contained(stack.enter_async_context(lifetime(self)))
            stack.push_async_callback(self._ground.finish)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def signals(self) -> Mapping[str, asyncio.Event]:
        """What wakes up those who work in the background, by name."""
        return self._ground.signals

    def outside(self, context: Context, action: str) -> Afterwards:
        """Return what work in the background has: transactions on behalf of somebody.

        :param action: the method that it does, for the policy.
        """
        return Afterwards(self._ground, context, action)

    def renew(self, users: Users, rules: Mapping[str, Rule], authenticators: tuple[Authenticator, ...]) -> None:
        """Let calls that begin from now on go by these."""
        self.users, self.rules, self.authenticators = users, rules, authenticators
        self.__dict__.pop("document", None)

    @functools.cached_property
    def document(self) -> openrpc.Document:
        """The OpenRPC document of all methods, plugins included; whoever looks inside gets a copy."""
        return openrpc.document(self.registry, self.rules, self.settings)

    def context(
        self,
        identity: Identity = ANONYMOUS,
        request_id: str = "",
        peer: str | None = None,
        also: tuple[str, ...] = (),
        gone: Callable[[], bool] | None = None,
        url: str = "",
        key: str | None = None,
    ) -> Context:
        """Return the context of a call that begins now; see ``Context``."""
        return Context(identity, request_id, self.clock(), peer, also, gone, url, key)

    def streams(self, name: str) -> bool:
        """Whether there is a method of that name whose result can be had as a stream."""
        return name in self._streams

    async def call(
        self,
        context: Context,
        name: str,
        params: Sequence[Any] | Mapping[str, Any] | None = None,
        outlet: Outlet | None = None,
    ) -> Any:
        """Call a method and return its result. The checks come in the order of section 2 of the specification.

        :param outlet: takes the rows of a method that ``streams``; nothing is returned then, once the last is out.
        :raises TMError: the call is refused or failed; it changed nothing.
        """
        begin = time.perf_counter()
        outcome, reason = "", ""
        arguments: Mapping[str, Any] = {}
        method: Method | None = None
        try:
            method = self.registry.get(name)
            keyed = context.key is not None and context.identity.username is not None and method.changes
            if keyed:
                context.replays.append(False)
            rule = self.rules[name]
            check_identity(name, rule, context.identity)
            aside = _are_long(params)
            arguments = await asyncio.to_thread(method.load, params) if aside else method.load(params)
            check_properties(name, rule, context.identity)
            key: CallKey | None = None
            if keyed:
                asked = context, name, params, self.settings["idempotency.keep"]
                key = await asyncio.to_thread(key_of, *asked) if aside else key_of(*asked)
            if outlet is None:
                result = await contained(self._perform[name](context, arguments, key))
            else:
                result = await contained(self._streams[name](context, arguments, outlet))
            outcome = "ok"
            return result
        except TMError as error:
            outcome, reason = error.type, _reason(error)
            raise
        except Abandoned as gone:
            later = functools.partial(self._report_abandoned, context, method or name, arguments, begin)
            gone.task.add_done_callback(later)
            # exactly this class: asyncio.timeout() asks for it
            raise asyncio.CancelledError from None
        except asyncio.CancelledError:
            outcome, reason = "Cancelled", "the call was cancelled"
            raise
        except Exception as error:
            outcome, reason = InternalError.type, type(error).__name__
            logger.exception("%s failed", name, extra={"request_id": context.request_id})
            raise InternalError("Internal error") from error
        finally:
            if outcome:
                self._report(context, method or name[:100], arguments, begin, outcome, reason)

    def _tell_events(self, events: Sequence[Event]) -> None:
        if events:
            self.tail.notify()
        for event in events:
            _tell(self.listeners, event)

    def _report_abandoned(
        self,
        context: Context,
        method: Method | str,
        arguments: Mapping[str, Any],
        begin: float,
        task: asyncio.Task[Any],
    ) -> None:
        """Report a call that went on when its caller had gone, now that its outcome is known."""
        if task.cancelled():
            self._report(context, method, arguments, begin, "Cancelled", "the call was cancelled")
        elif (error := task.exception()) is None:
            self._report(context, method, arguments, begin, "ok", "")
        elif isinstance(error, TMError):
            self._report(context, method, arguments, begin, error.type, _reason(error))
        else:
            logger.error("an abandoned call failed", exc_info=error, extra={"request_id": context.request_id})
            self._report(context, method, arguments, begin, InternalError.type, type(error).__name__)

    def _report(
        self,
        context: Context,
        method: Method | str,
        arguments: Mapping[str, Any],
        begin: float,
        outcome: str,
        reason: str,
    ) -> None:
        _tell(self.observers, record_of(context, method, arguments, begin, outcome, reason))

    def report(self, record: CallRecord) -> None:
        """Tell the observers of a call, or of a request that was refused before any call (method ``""``)."""
        _tell(self.observers, record)


def _are_long(params: Sequence[Any] | Mapping[str, Any] | None) -> bool:
    """Whether looking at parameters one by one takes milliseconds: others go on meanwhile."""
    members = params.values() if type(params) is dict else params or ()
    if len(members) <= _MOST_PARAMETERS:
        for one in members:
            if type(one) in (list, dict) and len(one) > _MANY:
                return True
    return False


def _reason(error: TMError) -> str:
    return shortened("; ".join([error.message, *getattr(error, "__notes__", ())]))


def _tell(functions: Sequence[Callable[[Any], None]], message: Any) -> None:
    for function in functions:
        try:
            function(message)
        except KeyboardInterrupt:
            raise
        except BaseException:
            # the call is over: a broken observer must not change its outcome
            logger.exception("%r failed", function)
