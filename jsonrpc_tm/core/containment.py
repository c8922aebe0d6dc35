"""Running what plugins brought: nothing that they raise ends the server, or the task that it serves a caller in."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def contained(work: Awaitable[T]) -> T:
    """Return what *work* returns, and raise what it raises; what would end more than the work becomes an exception.

    :raises RuntimeError: it raised SystemExit or the like, or CancelledError though nobody cancelled it.
    """
    try:
        return await work
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        raise RuntimeError(f"{type(error).__name__} was raised") from error
