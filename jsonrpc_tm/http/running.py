"""What runs in a process, so that it stops when that has come to its end."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..core.breath import CALLS

logger = logging.getLogger(__name__)


@dataclass
class Running:
    """The calls that run now, and whether the server is stopping."""

    calls: int = 0
    draining: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    endless: set[Callable[[], None]] = field(default_factory=set)

    def __enter__(self) -> None:
        self.calls += 1
        CALLS.number += 1

    def __exit__(self, *exc: object) -> None:
        self.calls -= 1
        CALLS.number -= 1
        if self.draining and not self.calls:
            self.idle.set()

    @contextmanager
    def telling(self, leave: Callable[[], None]) -> Iterator[None]:
        """Call *leave* when the server is about to stop: for what would not come to an end by itself."""
        self.endless.add(leave)
        try:
            with CALLS.without_one():
                yield
        finally:
            self.endless.discard(leave)

    def stop(self) -> None:
        """Say that the server is about to stop."""
        self.draining = True
        for leave in tuple(self.endless):
            leave()

    async def drain(self, grace: float) -> None:
        """Wait until no call runs, at most *grace* seconds."""
        self.stop()
        if self.calls:
            logger.info("waiting for %d running call(s)", self.calls)
            try:
                async with asyncio.timeout(grace):
                    await self.idle.wait()
            except TimeoutError:
                logger.warning("%d call(s) still run after %g s: giving them up", self.calls, grace)
