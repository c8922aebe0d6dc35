"""No garbage collections while a very long request is there, for a while."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass

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
    """Keep the garbage collector away, on the event loop's thread.

    It would look at all the new values again and again, with everybody waiting: 5 million lists take it a second.
    Values go without it; only cycles wait until nobody is inside any more, or for ``LONGEST``: whoever reads a list may
    take its time.
    """
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
