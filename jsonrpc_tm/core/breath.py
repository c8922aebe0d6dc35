"""Long work on the event loop lets others have their turn."""

import asyncio
from time import perf_counter

LONGEST = 0.005
"""Seconds of work between two turns of others."""


class Breath:
    """When work on the loop last let others have their turn: make one where it begins."""

    def __init__(self) -> None:
        self._since = perf_counter()

    async def taken(self) -> None:
        """Let others have their turn, if they have waited for long enough; between steps that are short."""
        if perf_counter() - self._since > LONGEST:
            await asyncio.sleep(0)
            self._since = perf_counter()
