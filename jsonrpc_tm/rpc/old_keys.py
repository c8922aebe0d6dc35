"""Keys of calls are forgotten when they are old (``idempotency.keep``): every process forgets some, now and then."""

import asyncio
from collections.abc import Iterable

from ..core.chance import about
from ..core.clock import ago
from ..core.errors import StorageUnavailable
from ..core.lifetimes import AGAIN, background
from ..plugin.marker import hookimpl
from ..settings import Settings
from ..storage.keys import forget
from .service import Lifetime, Service

SECONDS = 60.0


async def prune(service: Service) -> None:
    """Forget old keys as long as the server runs."""
    keep: float = service.settings["idempotency.keep"]
    while True:
        await asyncio.sleep(about(SECONDS))
        try:
            while await forget(service.storage, ago(service.clock(), keep)):
                pass
        except StorageUnavailable:
            pass  # it is logged, and later will do


@hookimpl
def register_lifetime(settings: Settings) -> Iterable[Lifetime]:
    """Provide it where keys are not kept for ever."""
    if settings["idempotency.keep"]:
        yield background(prune, again=AGAIN)
