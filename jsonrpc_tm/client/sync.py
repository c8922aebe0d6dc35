"""The client for scripts without asyncio."""

import asyncio
from collections.abc import Iterable
from typing import Any, Self

from .base import Params
from .https import Client


class SyncClient:
    """``Client`` for scripts without asyncio: ``with SyncClient(url) as client: client.call("ping")``.

    Takes the parameters of ``Client`` and belongs to one thread.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._client = Client(url, **options)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
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

    def batch(self, calls: Iterable[tuple[str, Params]], *, key: str | None = None) -> list[Any]:
        """Make several calls in one request; see ``BaseClient.batch``."""
        return self._runner.run(self._client.batch(calls, key=key))
