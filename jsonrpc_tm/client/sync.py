"""The client for scripts without asyncio."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any, Self

from .base import Params
from .https import Client
from .listing import Listing


class SyncClient:
    """``Client`` for scripts without asyncio: ``with SyncClient(url) as client: client.call("ping")``.

    Takes the parameters of ``Client`` and belongs to one thread.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._client = Client(url, **options)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            raise TypeError("where an event loop runs (a notebook has one, too) use Client instead of SyncClient")
        self._runner.run(self._client.__aenter__())
        return self

    def __exit__(self, *exc: object) -> None:
        self._runner.run(self._client.__aexit__())
        self._runner.close()

    def call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method and return its result; see ``BaseClient.call``."""
        return self._runner.run(self._client.call(method, *args, **kwargs))

    def once(self, method: str, params: Params = (), **options: Any) -> Any:
        """Call a method until its outcome is known; see ``BaseClient.once``."""
        return self._runner.run(self._client.once(method, params, **options))

    def rows(self, method: str, params: Params = ()) -> "SyncListing":
        """Return the rows of a list method: ``for row in client.rows(…)``; see ``Client.rows``."""
        return SyncListing(self._client.rows(method, params), self._runner)

    def batch(self, calls: Iterable[tuple[str, Params]], *, key: str | None = None) -> list[Any]:
        """Make several calls in one request; see ``BaseClient.batch``."""
        return self._runner.run(self._client.batch(calls, key=key))


class SyncListing:
    """``Listing`` for scripts without asyncio."""

    def __init__(self, listing: Listing, runner: asyncio.Runner) -> None:
        self._listing = listing
        self._runner = runner

    @property
    def count(self) -> int | None:
        """See ``Listing``."""
        return self._listing.count

    @property
    def revision(self) -> int | None:
        """See ``Listing``."""
        return self._listing.revision

    def __iter__(self) -> Iterator[Any]:
        parts = self._listing.parts()
        try:
            while (rows := self._runner.run(_next(parts))) is not None:
                yield from rows
        finally:
            self._runner.run(parts.aclose())


async def _next(parts: AsyncGenerator[list[Any], None]) -> list[Any] | None:
    return await anext(parts, None)
