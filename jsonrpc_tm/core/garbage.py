"""No garbage collections while a very long request is there, for a while; and its values go piece by piece."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from sys import getrefcount
from typing import Any

from .breath import CALLS, Breath

LONGEST = 10.0
"""Seconds after which cycles are collected though a long request, or one after the other, is still there."""


@dataclass
class _Away:
    holders: int = 0
    timer: asyncio.TimerHandle | None = None


_away = _Away()


def _wait() -> None:
    _away.timer = asyncio.get_running_loop().call_later(LONGEST, _collect)


def _collect() -> None:
    gc.collect(1)
    _wait()


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Keep the garbage collector away, on the event loop's thread, for a call that is long.

    It would look at all the new values again and again, with everybody waiting: 5 million lists take it a second.
    Values go without it; only cycles wait until nobody is inside any more, or for ``LONGEST``: whoever reads a list may
    take its time.
    """
    with CALLS.without_one():
        if not _away.holders and not gc.isenabled():
            yield  # somebody else keeps it away
            return
        if not _away.holders:
            _wait()
        _away.holders += 1
        gc.disable()
        try:
            yield
        finally:
            _away.holders -= 1
            if not _away.holders:
                gc.enable()
                if _away.timer is not None:
                    _away.timer.cancel()


@dataclass(slots=True)
class Long:
    """A list or object that is long.

    :param pieces: in which it was made: what one of them holds is let go in some tenths of a millisecond.
    """

    value: list[Any] | dict[str, Any]
    pieces: int = 1


def _holders(long: Long) -> int:
    return getrefcount(long.value)


_ALONE = _holders(Long([]))


async def let_go(values: list[Long]) -> None:
    """Let values go piece by piece; others have their turn meanwhile.

    Python lets a list go in one step with all that is in it: 500,000 texts take 20 ms, a million lists in each other
    300. What somebody else still holds stays as it is.

    :param values: what is around others comes before them; nothing is left here.
    """
    # a future that was awaited is held, with what it brought, until there is another wait
    await asyncio.sleep(0)
    breath = Breath()
    values.reverse()
    while values:
        long = values.pop()
        if _holders(long) > _ALONE:
            continue
        step = len(long.value) // long.pieces + 1
        while long.value:
            if isinstance(long.value, list):
                del long.value[-step:]
            else:
                for _ in range(min(step, len(long.value))):
                    long.value.popitem()
            await breath.taken()
