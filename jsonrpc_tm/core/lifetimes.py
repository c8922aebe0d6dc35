"""Work that goes on beside the calls, as long as the server runs."""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

from .containment import contained
from .errors import ConfigurationError

logger = logging.getLogger(__name__)
S = TypeVar("S")

GRACE = 1.0
"""Seconds that such work has to end when it is cancelled."""


AGAIN = 5.0
"""Seconds after which the server's own work begins anew when it failed."""


LONG = 5.0
"""Seconds after which the start says which lifetime it waits for."""


def told(
    lifetime: Callable[[S], AbstractAsyncContextManager[object]], origin: str
) -> Callable[[S], AbstractAsyncContextManager[None]]:
    """Return a plugin's lifetime, which says whose it is when it cannot begin, and when that takes long."""

    @asynccontextmanager
    async def named(service: S) -> AsyncIterator[None]:
        late = asyncio.get_running_loop().call_later(
            LONG, logger.warning, "the start waits for the lifetime of plugin %s", origin
        )
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(lifetime(service))
            except ConfigurationError:
                raise
            except Exception as error:
                said = f"the lifetime of plugin {origin} cannot begin: {type(error).__name__}: {error}"
                raise RuntimeError(said) from error
            finally:
                late.cancel()
            yield

    return functools.update_wrapper(named, lifetime)


def background(
    work: Callable[[S], Awaitable[None]], *, again: float | None = None
) -> Callable[[S], AbstractAsyncContextManager[None]]:
    """Return a lifetime, for ``register_lifetime``, that runs *work* beside the calls.

    It starts with the server. When the server stops it is cancelled, and has ``GRACE`` seconds to end. When it fails
    that is logged, and the server goes on without it, or it begins anew.

    :param work: ``async def work(service)``.
    :param again: seconds after which it begins anew when it fails; None: never.
    """
    name = getattr(work, "__qualname__", repr(work))

    async def run(service: S) -> None:
        while True:
            try:
                return await contained(work(service))
            except Exception:
                what = "the server goes on without it" if again is None else f"it begins anew in {again:g} s"
                logger.exception("the background work %s failed; %s", name, what)
            if again is None:
                return None
            await asyncio.sleep(again)

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
