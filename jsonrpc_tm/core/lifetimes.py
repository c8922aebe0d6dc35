"""Work that goes on beside the calls, as long as the server runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from .containment import contained

logger = logging.getLogger(__name__)
S = TypeVar("S")

GRACE = 1.0
"""Seconds that such work has to end when it is cancelled."""


def background(work: Callable[[S], Awaitable[None]]) -> Callable[[S], AbstractAsyncContextManager[None]]:
    """Return a lifetime, for ``register_lifetime``, that runs *work* beside the calls.

    It starts with the server. When the server stops it is cancelled, and has ``GRACE`` seconds to end. When it fails
    that is logged, and the server goes on without it.

    :param work: ``async def work(service)``.
    """
    name = getattr(work, "__qualname__", repr(work))

    async def run(service: S) -> None:
        try:
            await contained(work(service))
        except Exception:
            logger.exception("the background work %s failed; the server goes on without it", name)

    @asynccontextmanager
    async def lifetime(service: S) -> AsyncIterator[None]:
        task = asyncio.create_task(run(service), name=f"background {name}")
        try:
            yield
        finally:
            task.cancel()
            _, still = await asyncio.wait([task], timeout=GRACE)
            if still:
                logger.warning("the background work %s did not end within %g s of being cancelled", name, GRACE)

    return lifetime
