"""Waiting for what happens by itself."""

import asyncio


async def until(holds, seconds=30):
    """Return when *holds* (a function, or one that returns an awaitable) is true.

    :raises TimeoutError: it never was.
    """
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.01)
