"""Events are numbered, read for those who follow, and forgotten when they are old: every process does so."""

from collections.abc import Iterable

from ..core.lifetimes import AGAIN, background
from ..plugin.marker import hookimpl
from .service import Lifetime, Service


async def follow(service: Service) -> None:
    """Number, read and forget events as long as the server runs."""
    await service.tail.run()


@hookimpl
def register_lifetime() -> Iterable[Lifetime]:
    """Provide it."""
    yield background(follow, again=AGAIN)
