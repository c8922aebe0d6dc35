"""Which calls run, so that a server that stops lets them end."""

import asyncio
import logging
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)


@dataclass
class Running:
    """The calls that run now, and whether the server is stopping."""

    calls: int = 0
    draining: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> None:
        self.calls += 1

    def __exit__(self, *exc: object) -> None:
        self.calls -= 1
        if self.draining and not self.calls:
            self.idle.set()

    async def drain(self, grace: float) -> None:
        """Wait until no call runs, at most *grace* seconds."""
        self.draining = True
        if self.calls:
            logger.info("waiting for %d running call(s)", self.calls)
            try:
                async with asyncio.timeout(grace):
                    await self.idle.wait()
            except TimeoutError:
                logger.warning("%d call(s) still run after %g s: giving them up", self.calls, grace)
