"""No garbage collections while a very long request is there."""

import contextlib
import gc
from collections.abc import Iterator

_holders: list[None] = []


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Keep the garbage collector away, on the event loop's thread.

    It would look at all the new values again and again, with everybody waiting: 5 million lists take it a second.
    Values go without it; only cycles wait until nobody is inside any more.
    """
    if not _holders and not gc.isenabled():
        yield  # somebody else keeps it away
        return
    _holders.append(None)
    gc.disable()
    try:
        yield
    finally:
        _holders.pop()
        if not _holders:
            gc.enable()
