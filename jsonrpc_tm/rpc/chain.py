"""From a loaded call to its result: what is prepared outside, the transaction, and what follows its commit."""

import asyncio
import functools
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from inspect import getdoc, signature
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

import orjson

from ..catalog.guard import GuardedCatalog
from ..core.containment import contained
from ..core.context import Context
from ..core.errors import TMError
from ..core.events import Event
from ..core.identity import Asker, Identity, Policy
from ..core.records import CallRecord
from ..domain.active_queries import ActiveQueries
from ..domain.rows import Rows
from ..domain.work import DomainParts, Work
from ..settings import Settings
from ..storage import keys
from ..storage.base import CallKey, Storage, Transaction
from .answer import json_text, prove_json
from .attendance import Attendance, Attended
from .call_records import record_of
from .method import Change, Handler, Method, Read
from .retries import when_free

logger = logging.getLogger(__name__)
_OURS = f"{__package__.rpartition('.')[0]}.methods."
_FAREWELL = 1.0
"""Seconds that a call which is ended may take for it."""
P = ParamSpec("P")
T = TypeVar("T")
Arguments = Mapping[str, Any]
Perform = Callable[[Context, Arguments, CallKey | None], Awaitable[Any]]
Body = Callable[Concatenate[Work, P], Awaitable[T]]


class Abandoned(asyncio.CancelledError):
    """The caller was cancelled; what it asked for goes on.

    :param task: has the outcome in the end.
    """

    def __init__(self, task: asyncio.Task[Any]) -> None:
        super().__init__()
        self.task = task


@dataclass
class Ground:
    """What calls stand on.

    :param catalog: guarded: whatever goes wrong in it is a CatalogError.
    :param tell: gets the events of a committed transaction.
    :param document: returns the OpenRPC document for the address that was asked.
    :param started: when the server began (UTC, aware).
    :param change_writers: write more in the transaction of every change.
    :param permits: whether the rule of a method lets somebody call it.
    :param signals: wake up what works in the background, by name.
    """

    storage: Storage
    catalog: GuardedCatalog
    domain: DomainParts
    tell: Callable[[Sequence[Event]], None]
    document: Callable[[str], Mapping[str, Any]]
    started: datetime
    change_writers: Sequence[Callable[[Work, CallRecord], Awaitable[None]]] = ()
    permits: Callable[[str, Identity], bool] = lambda name, identity: True
    signals: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    changing: set[asyncio.Task[Any]] = field(default_factory=set)
    attendance: Attendance = field(default_factory=Attendance)

    async def shield(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what *work* returns; it goes on when the caller is cancelled, so that what is committed is told.

        :raises Abandoned: the caller was cancelled.
        """
        task = asyncio.create_task(contained(work))
        self.changing.add(task)
        task.add_done_callback(self.changing.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            raise Abandoned(task) from None

    async def finish(self) -> None:
        """Wait for the calls whose callers have gone, as long as shutdown waits for calls; then end them."""
        grace: float = self.domain.settings["server.shutdown_grace"]
        end = asyncio.get_running_loop().time() + grace
        while self.changing and (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self.changing, timeout=left)
        if self.changing:
            logger.error(
                "%d call(s) whose callers have gone still run after %g s: ending them", len(self.changing), grace
            )
            for task in self.changing:
                task.cancel()
            await asyncio.wait(self.changing, timeout=_FAREWELL)


class Outside:
    """What a call has outside of a transaction."""

    def __init__(self, ground: Ground, context: Context, action: str) -> None:
        self.context = context
        self._ground = ground
        self._action = action

    @property
    def catalog(self) -> GuardedCatalog:
        """The file catalog, asked for the caller; whatever goes wrong in it is a CatalogError."""
        return self._ground.catalog.on_behalf(Asker(self.context.identity))

    def catalog_for(self, owner: str | None, group: str | None) -> GuardedCatalog:
        """Return the file catalog, asked for a transformation.

        :param owner: the transformation's Author.
        :param group: its AuthorGroup.
        """
        return self._ground.catalog.on_behalf(Asker(self.context.identity, owner, group))

    @property
    def settings(self) -> Settings:
        """The settings by dotted name."""
        return self._ground.domain.settings

    @property
    def policy(self) -> Policy:
        """Decides on transformations."""
        return self._ground.domain.policy

    @property
    def queries(self) -> ActiveQueries:
        """The Input queries that count, as this process has compiled them."""
        return self._ground.domain.queries

    @property
    def document(self) -> Mapping[str, Any]:
        """The OpenRPC document of every method that the server has, at the address that was asked."""
        return self._ground.document(self.context.url)

    @property
    def started(self) -> datetime:
        """When the server began (UTC, aware)."""
        return self._ground.started

    def permits(self, method: str) -> bool:
        """Whether the rule of a method lets the caller call it."""
        return self._ground.permits(method, self.context.identity)

    def acting(self, action: str) -> "Outside":
        """Return the same for a caller who does what *action* does: the policy is asked about that method."""
        return Outside(self._ground, self.context, action)

    async def read(self, body: Body[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``body(work, …)`` in a transaction that only reads."""
        found: T = await self._run(body, True, *args, **kwargs)
        return found

    async def ask(self, body: Body[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``body(work, …)`` in a transaction that may lock and is always rolled back."""

        async def asked(work: Work) -> NoReturn:
            raise _Answer(await body(work, *args, **kwargs))

        try:
            found: T = await self._run(asked, False)
        except _Answer as answer:
            found = answer.value
        return found

    async def _run(self, body: Any, read: bool, *args: Any, **kwargs: Any) -> Any:
        ground, context, action = self._ground, self.context, self._action

        async def transaction(tx: Transaction) -> Any:
            return await body(Work(tx, context, ground.domain, action), *args, **kwargs)

        return await ground.storage.run(action, transaction, read=read, caller=context.caller)


class Afterwards(Outside):
    """The same after the commit, when there may be more to write."""

    def signal(self, name: str) -> None:
        """Wake up what works in the background in this process."""
        self._ground.signals[name].set()

    async def write(self, body: Body[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``body(work, …)`` in a transaction of its own; its events are told when it is committed."""

        async def collecting(work: Work) -> tuple[T, list[Event]]:
            result = await body(work, *args, **kwargs)
            await work.settle()
            return result, work.events

        result: T
        result, events = await self._run(collecting, False)
        self._ground.tell(events)
        return result


class _Answer(Exception):
    """Ends a transaction that is not to be kept."""

    def __init__(self, value: Any) -> None:
        self.value = value


def compose(method: Method, ground: Ground) -> Perform:
    """Return what performs calls of *method*: prepare, transaction, events, after."""
    name, handler, access = method.name, trusted(method), method.access
    prepare, after = _partly(method.prepare, 1), _partly(method.after, 3)
    trans = None if access is None else access.trans
    find = functools.partial(Work.hold, shared=access.shared) if isinstance(access, Change) else Work.seen

    async def prepared_for(context: Context, arguments: Arguments) -> Any:
        return prepare and await prepare(Outside(ground, context, name), arguments)

    async def outside(context: Context, arguments: Arguments, _: CallKey | None) -> Any:
        with Attended(ground.attendance, context):
            prepared = prepare and await prepared_for(context, arguments)
            return await handler(
                Outside(ground, context, name), *((prepared,) if method.takes_prepared else ()), **arguments
            )

    async def transact(
        context: Context, arguments: Arguments, prepared: Any, key: CallKey | None, *, read: bool = False
    ) -> tuple[Any, list[Event] | None]:
        """Return the result and what happened; no list where the key has a result, so that nothing did."""
        given = (prepared,) if method.takes_prepared else ()
        writers = () if read else ground.change_writers
        begin = time.perf_counter()

        async def body(tx: Transaction) -> tuple[Any, list[Event] | None]:
            if key is not None and (kept := await tx.claim(key)) is not None:
                return orjson.loads(kept), None
            work = Work(tx, context, ground.domain, name)
            if trans is None:
                result = await handler(work, *given, **arguments)
            else:
                own = dict(arguments)
                transformation = await find(work, own.pop(trans))
                result = await handler(work, transformation, *given, **own)
            if isinstance(result, Rows):
                result = await result.run(work)
            for write in writers:
                await write(work, record_of(context, method, arguments, begin))
            if key is not None:
                await keys.keep(tx, key, json_text(result).decode())
            if not read:
                await work.settle()
            return result, work.events

        run = functools.partial(ground.storage.run, name, body, read=read, caller=context.caller)
        return await (run() if key is None else when_free(run))

    async def read(context: Context, arguments: Arguments, _: CallKey | None) -> Any:
        with Attended(ground.attendance, context):
            prepared = prepare and await prepared_for(context, arguments)
            found = await transact(context, arguments, prepared, None, read=True)
        return found[0]

    async def commit(context: Context, arguments: Arguments, prepared: Any, key: CallKey | None) -> Any:
        result, events = await transact(context, arguments, prepared, key)
        if events is None:
            context.replays[-1] = True
            return result
        ground.tell(events)
        if after is not None:
            try:
                await contained(after(Afterwards(ground, context, name), arguments, result, prepared))
            except Exception:
                logger.warning(
                    "%s was done, but not what follows: %s",
                    name,
                    (getdoc(method.after) or "").partition("\n")[0],
                    exc_info=True,
                    extra={"request_id": context.request_id},
                )
        return result

    async def write(context: Context, arguments: Arguments, key: CallKey | None) -> Any:
        try:
            prepared = prepare and await prepared_for(context, arguments)
        except TMError:
            # it may be what the first call did that is in the way
            run = ground.storage.run
            if key is None or (kept := await run(name, keys.find, key, read=True, caller=context.caller)) is None:
                raise
            context.replays[-1] = True
            return orjson.loads(kept)
        return await ground.shield(commit(context, arguments, prepared, key))

    if access is None:
        return outside
    return read if isinstance(access, Read) else write


def trusted(method: Method) -> Handler:
    """Return the handler of a method; a plugin's result that is no JSON fails as a bug, before anything is
    committed."""
    handler = method.handler
    if handler.__module__.startswith(_OURS):
        return handler

    @functools.wraps(handler)
    async def proved(*args: Any, **kwargs: Any) -> Any:
        result = await handler(*args, **kwargs)
        if not isinstance(result, Rows):
            prove_json(result)
        return result

    return proved


def _partly(function: Handler | None, first: int) -> Callable[..., Awaitable[Any]] | None:
    """Return *function* called with those of a call's arguments that it names.

    :param first: how many arguments it gets otherwise, by position.
    """
    if function is None:
        return None
    wanted = tuple(signature(function).parameters)[first:]

    async def call(outside: Outside, arguments: Arguments, *more: Any) -> Any:
        return await function(outside, *more, **{name: arguments[name] for name in wanted})

    return call
