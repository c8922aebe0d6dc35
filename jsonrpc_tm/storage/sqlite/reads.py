"""The threads that read, and whose turn it is.

Waking a thread costs more than a small SELECT, and two that are awake take Python's lock from each other at every
statement. So one reader is woken for all that has come in one turn of the event loop, does one job after the other,
and its answers go back together; another one is woken when nothing has been begun for a while.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from typing import Any

from ...core.errors import StorageUnavailable
from ..lanes import Turns
from .threads import Job, Worker, end

PATIENCE = 0.001
"""Seconds after which a job counts as long: what waits behind it gets a reader of its own, what is done is told."""
LOOK_SECONDS = 0.002
"""How often it is looked for such jobs while there are any."""
_FULL = "Your share of the connections to the database that read is busy"


class Reads:
    """What waits to be read, shared out among readers; see ``Turns``.

    :param size: readers; none if 0.
    :param share: of the readers that one caller may hold.
    :param wait: seconds that a caller who holds some waits for another.
    """

    def __init__(self, size: int, share: float, wait: float) -> None:
        self._size = size
        self._wait = wait
        self._turns: Turns[Job] = Turns(size, share)
        self._lock = threading.Lock()
        self._calls: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._awake = 0
        self._begun = 0.0
        self._done: deque[Job] = deque()
        self._flushing = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def crowded(self) -> bool:
        """Whether what comes now may have to wait for others: they hold all readers, or wait themselves."""
        return not self._turns.free or bool(self._turns.waiting)

    # in the event loop

    async def run(self, caller: str, job: Job) -> Any:
        """Return the result of a job.

        :raises StorageUnavailable: its caller's share was busy for too long.
        """
        with self._lock:
            self._turns.add(caller, job)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)
        try:
            return await job.future
        except asyncio.CancelledError:
            self._forget(caller, job)
            raise

    def _forget(self, caller: str, job: Job) -> None:
        with self._lock:
            if job in self._turns.waiting.get(caller, ()):
                self._turns.remove(caller, job)

    def _flush(self) -> None:
        self._flushing = False
        self._rouse()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _rouse(self) -> None:
        """Wake a reader, if there is something to do that nobody is about to begin."""
        with self._lock:
            now = time.perf_counter()
            about_to = self._awake and now - self._begun < PATIENCE
            if about_to or self._closed or self._turns.next() is None:
                return
            self._awake += 1
            self._begun = now
        self._calls.put(True)

    def _look(self) -> None:
        self._timer = None
        self.settle()
        self._rouse()
        if self._turns.waiting:
            self._refuse()
        if self._awake:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _refuse(self) -> None:
        """Tell those whose own reads have kept theirs waiting for too long."""
        turns, before = self._turns, time.perf_counter() - self._wait
        with self._lock:
            for caller in [one for one in turns.waiting if turns.share == 1 or turns.held.get(one)]:
                while caller in turns.waiting and (job := turns.waiting[caller][0]).since < before:
                    turns.remove(caller, job)
                    job.error = StorageUnavailable(_FULL)
                    self._done.append(job)

    def settle(self) -> None:
        """Give what is done to those who wait for it."""
        while self._done:
            self._done.popleft().settle()

    def close(self) -> None:
        """Let the readers end when they have done what waits; any thread may say so."""
        with self._lock:
            self._closed = True
        for _ in range(self._size):
            self._calls.put(False)

    # in the readers

    def called(self) -> bool:
        """Wait until there is something to do; return whether there will be more."""
        more = self._calls.get()
        if not more:
            with self._lock:
                self._awake += 1
        return more

    def take(self) -> tuple[str, Job] | None:
        """Return the next job and its caller, who holds the reader then; with None the reader sleeps."""
        with self._lock:
            self._begun = time.perf_counter()
            if (taken := self._turns.take()) is None:
                self._awake -= 1
            return taken

    def leave(self, caller: str, job: Job) -> None:
        """Note that a job is done."""
        with self._lock:
            self._turns.leave(caller)
        self._done.append(job)


class Reader(Worker):
    """Runs one reading transaction after another, each on the snapshot of its beginning.

    :param reads: where it gets them.
    """

    def __init__(self, *args: Any, reads: Reads) -> None:
        super().__init__(*args)
        self._reads = reads

    def _work(self) -> None:
        more = True
        while more:
            more = self._reads.called()
            told = time.perf_counter()
            while (taken := self._reads.take()) is not None:
                self._read(taken[1])
                self._reads.leave(*taken)
                if time.perf_counter() - told > PATIENCE:
                    self._call(self._reads.settle)
                    told = time.perf_counter()
            self._call(self._reads.settle)

    def _read(self, job: Job) -> None:
        if job.future.cancelled():
            return
        try:
            self._check()
            self.connection.execute("BEGIN")
            self._drive(job)
        except Exception as error:
            job.error = error
        finally:
            end(self.connection, "ROLLBACK")
