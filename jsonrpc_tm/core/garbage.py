"""No garbage collections while a very long request is there, for a while."""

import contextlib
import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 10.0
"""Seconds after which cycles are collected though long requests follow each other."""


@dataclass
class _Away:
    holders: int = 0
    since: float = 0.0


_away = _Away()


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Keep the garbage collector away, on the event loop's thread.

    It would look at all the new values again and again, with everybody waiting: 5 million lists take it a second.
    Values go without it; only cycles wait until nobody is inside any more, or ``LONGEST`` is over and somebody leaves.
    """
    if not _away.holders and not gc.isenabled():
        yield  # somebody else keeps it away
        return
    if not _away.holders:
        _away.since = time.monotonic()
    _away.holders += 1
    gc.disable()
    try:
        yield
    finally:
        _away.holders -= 1
        if not _away.holders:
            gc.enable()
        elif time.monotonic() - _away.since > LONGEST:
            _away.since = time.monotonic()
            gc.collect(1)
