"""The end of the log of events, which a process reads once for all who follow it.

In every process this also numbers what was committed (``domain.event_log``), and forgets old events.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from ..core.chance import about
from ..core.clock import Clock, ago
from ..core.errors import StorageUnavailable
from ..domain import event_log, event_reading
from ..domain.event_reading import Logged
from ..settings import Settings
from ..storage.base import Storage

PAGE = 1000
"""Events that are read at a time, and kept for those who follow."""
FOLLOWED = 0.1
"""Seconds between two looks at what other processes committed, while somebody follows."""
ALONE = 1.0
"""Seconds between two looks while nobody does."""
FORGET = 60.0


class Tail:
    """The last events, and those who wait for the next one.

    Somebody who falls behind what is kept here reads the database; nobody holds anybody up.
    """

    def __init__(self, storage: Storage, settings: Settings, clock: Clock) -> None:
        self._storage = storage
        self._settings = settings
        self._clock = clock
        self._events: deque[Logged] = deque(maxlen=PAGE)
        self._position = 0
        self._readers: set[Callable[[], None]] = set()
        self._committed = False
        self._wake = asyncio.Event()
        self._forgotten = time.monotonic()

    def notify(self) -> None:
        """Say that this process has committed events."""
        self._committed = True
        if self._readers:
            self._wake.set()

    async def join(self, wake: Callable[[], None]) -> tuple[int, int]:
        """Follow the log.

        :param wake: called when there are more events.
        :return: the last revision, which is no lower than that of anything committed before, and the first one kept.
        :raises StorageUnavailable: the database is gone or busy.
        """
        await event_log.number(self._storage)
        last, first = await self._storage.run("find the last event", event_reading.bounds, read=True)
        if not self._readers:
            self._events.clear()
            self._position = last
        self._readers.add(wake)
        self._wake.set()
        return last, first

    def leave(self, wake: Callable[[], None]) -> None:
        """Follow no longer."""
        self._readers.discard(wake)

    async def after(self, revision: int) -> list[Logged]:
        """Return the next events that are known, none where all were seen.

        The first one is not the next revision where some in between have been forgotten.

        :raises StorageUnavailable: the database is gone or busy.
        """
        if revision >= self._position:
            return []
        if self._events and (seen := revision + 1 - self._events[0].revision) >= 0:
            return list(islice(self._events, seen, None))
        return await self._page(revision)

    async def _page(self, revision: int) -> list[Logged]:
        return await self._storage.run("read events", event_reading.after, revision, PAGE, read=True)

    async def run(self) -> None:
        """Keep it up to date as long as the server runs."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(about(FOLLOWED if self._readers else ALONE)):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
            except StorageUnavailable:  # it is logged, and later will do
                await asyncio.sleep(ALONE)

    async def _look(self) -> None:
        # who follows numbers for all processes; else each does for itself, in time for who asks for the position
        if self._committed or self._readers:
            self._committed = False
            await event_log.number(self._storage)
        while self._readers and (found := await self._page(self._position)):
            if self._events and found[0].revision != self._events[-1].revision + 1:
                self._events.clear()
            self._events.extend(found)
            self._position = found[-1].revision
            for wake in tuple(self._readers):
                wake()
        keep: float = self._settings["events.keep"]
        if keep and time.monotonic() - self._forgotten > FORGET:
            self._forgotten = time.monotonic() + about(FORGET) - FORGET
            before = ago(self._clock(), keep)
            while await event_log.forget(self._storage, before):
                pass
