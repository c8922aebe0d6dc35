"""Long work lets others have their turn, on the event loop and in threads beside it."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

LONGEST = 0.001
"""Seconds of work on the loop between two turns of others: a small call needs five turns or more."""
# seconds after which a turn, or Python's lock, is known to have been somebody's, and what the others get then: a small
# call needs the lock a dozen times, and would wait for a step of the long work each time
_NOT_ALONE, _TURN = 0.00005, 0.0005

_apart: ContextVar[bool] = ContextVar("apart", default=False)


class Calls:
    """How many calls are at work in this process that long work makes way for."""

    number = 0

    @contextlib.contextmanager
    def without_one(self) -> Iterator[None]:
        """Count one less, on the event loop's thread: nobody makes way for work that is long, or waits for ever.

        Once for a call: what is inside of another one changes nothing.
        """
        if _apart.get():
            yield
            return
        apart = _apart.set(True)
        self.number -= 1
        try:
            yield
        finally:
            self.number += 1
            _apart.reset(apart)


CALLS = Calls()


class Breath:
    """When work on the loop last let others have their turn: make one where it begins."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def taken(self) -> None:
        """Let others have their turn, if they have waited for long enough; between steps that are short.

        While short calls are at work, half of the time is theirs, and their threads'.
        """
        now = time.perf_counter()
        if now - self._since > LONGEST:
            await asyncio.sleep(0)
            if CALLS.number > 0 and time.perf_counter() - now > _NOT_ALONE:
                await asyncio.sleep(_TURN)
            self._since = time.perf_counter()


def give_way() -> None:
    """Let others have their turn, in a thread that works for long: after each step of about a millisecond."""
    if CALLS.number > 0:
        now = time.perf_counter()
        time.sleep(0)
        if time.perf_counter() - now > _NOT_ALONE:
            time.sleep(_TURN)
