"""Changes of the counters are folded (``domain.folding``): every process does some of it, now and then."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from ..core.chance import about
from ..core.errors import StorageUnavailable
from ..core.lifetimes import AGAIN, background
from ..domain.folding import fold
from ..plugin.marker import hookimpl
from .service import Lifetime, Service

SECONDS = 30.0


async def fold_counters(service: Service) -> None:
    """Fold as long as the server runs."""
    while True:
        await asyncio.sleep(about(SECONDS))
        with suppress(StorageUnavailable):  # it is logged, and later will do
            await fold(service.storage, service.clock())


@hookimpl
def register_lifetime() -> Iterable[Lifetime]:
    """Provide it."""
    yield background(fold_counters, again=AGAIN)
