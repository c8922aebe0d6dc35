"""Streams of rows: what all engines share. How many at once, for how long, and that each of them comes to an end."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from ..core.errors import StorageUnavailable
from .base import Batch, Select
from .lanes import Lanes
from .runner import Runner

logger = logging.getLogger(__name__)
H = TypeVar("H")
Opener = Callable[[Any], Awaitable[tuple[H, Select]]]

STREAMS = 4
"""How many may be open at once; each has a connection of its own, beside those of ``run``."""
STALL_SECONDS = 30.0
"""How long a reader may leave a batch alone: its snapshot keeps the database from clearing away what has changed."""
CLOSED = "The database is closed"
_FULL = "The database is at work on as many long answers as it can"


class Source(Protocol):
    """One query on a connection of its own. Calls do not overlap, but ``close`` may come at any time.

    After a call that failed or was cancelled there is only ``close``.
    """

    sql: str

    async def start(self, open: Opener[H], size: int) -> tuple[H, Batch]:
        """Begin a transaction that only reads, and run *open* and its query; return the head and the first batch."""

    async def fetch(self, size: int) -> Batch:
        """Return the next rows, fewer than *size* only at the end."""

    async def close(self, *, whole: bool) -> None:
        """Give the connection back; a call at work ends soon, with an error. It is called once, and never raises.

        :param whole: all rows were read.
        """


class Streams:
    """The streams of one storage.

    :param make: returns a source for the stream of this name, which has opened nothing yet.
    :param wait: seconds that a caller waits for other streams to end, when there are too many.
    :param limit: seconds that a stream may take after its first batch, the reader's time included.
    :param share: the share of the streams that one caller may have open, see ``Lanes``.
    """

    def __init__(
        self, runner: Runner, make: Callable[[str], Source], *, wait: float, limit: float, share: float = 0
    ) -> None:
        self.runner = runner
        self.limit = limit
        self._make = make
        self._places = Lanes(STREAMS, share=share, wait=wait, full=_FULL)
        self._open: set[Stream] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = True

    def open(self) -> None:
        """Take streams from now on."""
        self._closed = False

    async def close(self) -> None:
        """Take no more, and end those there are; their readers are told."""
        self._closed = True
        for stream in list(self._open):
            stream.fail(StorageUnavailable(CLOSED))
        await self._places.empty()
        while self._closing:
            await asyncio.wait(self._closing)

    @asynccontextmanager
    async def stream(
        self, name: str, open: Opener[H], size: int, caller: str = ""
    ) -> AsyncIterator[tuple[H, AsyncIterator[Batch]]]:
        """Give the head and the batches of a stream; see ``Storage.stream``."""
        await self._places.enter(caller)
        try:
            head, source, first = await self.runner.run(name, lambda: self._start(name, open, size), read=True)
        except BaseException:
            self._places.leave(caller)
            raise
        stream = Stream(self, name, caller, source, first, size)
        self._open.add(stream)
        try:
            if self._closed:
                stream.fail(StorageUnavailable(CLOSED))
            yield head, stream
        finally:
            await asyncio.shield(stream.end())

    def at_once(self, caller: str) -> bool:
        """Whether there is a place, and another one after it; see ``Storage.streams_at_once``."""
        return self._places.free > 1 and self._places.at_once(caller)

    async def _start(self, name: str, open: Opener[H], size: int) -> tuple[H, Source, Batch]:
        if self._closed:
            raise StorageUnavailable(CLOSED)
        source = self._make(name)
        try:
            head, first = await source.start(open, size)
        except BaseException:
            await asyncio.shield(self._close(source, whole=False))
            raise
        return head, source, first

    def _close(self, source: Source, *, whole: bool) -> "asyncio.Task[None]":
        """Close a source, to the end even where who waits for it is cancelled."""
        task = asyncio.create_task(source.close(whole=whole))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    def end(self, stream: "Stream", source: Source, *, whole: bool) -> "asyncio.Task[None]":
        """Close the source of a stream, then let another one have its place."""

        def ended(_: object) -> None:
            self._open.discard(stream)
            self._places.leave(stream.caller)

        task = self._close(source, whole=whole)
        task.add_done_callback(ended)
        return task


class Stream:
    """The batches of one stream.

    :param caller: whose it is.
    :param first: the first batch, which was read ahead.
    """

    def __init__(self, owner: Streams, name: str, caller: str, source: Source, first: Batch, size: int) -> None:
        self.caller = caller
        self._owner = owner
        self._name = name
        self._source = source
        self._size = size
        self._ahead: Batch | None = first
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + owner.limit
        self._timer: asyncio.TimerHandle | None = None
        self._seconds = 0.0
        self._whole = False
        self._error: Exception | None = None
        self._end: asyncio.Task[None] | None = None
        self._got(first)

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Batch:
        if self._error is not None:
            raise self._error
        if self._ahead is not None:
            batch, self._ahead = self._ahead, None
            self._wait()
        elif self._whole:
            batch = []
        elif self._end is not None:
            raise RuntimeError(f"stream {self._name} has been left")
        else:
            batch = await self._fetch()
            self._got(batch)
        if not batch:
            raise StopAsyncIteration
        return batch

    async def _fetch(self) -> Batch:
        self._stop_waiting()
        begin = time.perf_counter()
        try:
            async with asyncio.timeout_at(self._deadline) as clock:
                return await self._source.fetch(self._size)
        except Exception as error:
            # where there is a reason already, this error came of it
            if self._error is None:
                self._error = self._too_slow() if clock.expired() else self._owner.runner.failed(self._name, error)
            if self._error is error:
                raise
            raise self._error from error
        except BaseException:
            self._error = self._error or StorageUnavailable("The reader of this answer went away")
            raise
        finally:
            self._seconds += time.perf_counter() - begin
            if self._error is not None:
                self.end()

    def _got(self, batch: Batch) -> None:
        self._whole = len(batch) < self._size
        if self._whole:
            # the reader may take its time with the last rows: nothing is held any more
            self.end()
        else:
            self._wait()

    def _wait(self) -> None:
        """Wait for the reader to ask for more, but not for ever."""
        self._stop_waiting()
        if self._end is None:
            until = min(self._deadline, self._loop.time() + STALL_SECONDS)
            self._timer = self._loop.call_at(until, lambda: self.fail(self._too_slow()))

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> StorageUnavailable:
        if self._loop.time() < self._deadline - 0.01:  # a timer may be that early
            return StorageUnavailable(f"The answer was not read for {STALL_SECONDS:g} s")
        return StorageUnavailable(f"Reading the answer took longer than {self._owner.limit:g} s")

    def fail(self, error: StorageUnavailable) -> None:
        """End the stream; the reader gets *error* instead of the next batch, if there is one."""
        if self._error is None and not self._whole:
            self._error = error
            logger.info("stream %s ends early: %s", self._name, error)
            self.end()

    def end(self) -> "asyncio.Task[None]":
        """Let go of the database."""
        if self._end is None:
            self._stop_waiting()
            self._owner.runner.statement(self._name, self._source.sql, self._seconds)
            self._end = self._owner.end(self, self._source, whole=self._whole)
        return self._end
