"""Following the server's events: one stream after the other, none lost and none twice."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
from aiohttp import ClientResponse

from ..core import errors
from ..core.errors import TMError
from .base import PAUSES, ConnectionFailed, error_of


class EventsMissed(Exception):
    """The server does not keep events for as long as nobody listened: look at everything anew.

    :param revision: whence to go on, as ``since``; have it before you look.
    """

    def __init__(self, revision: int) -> None:
        super().__init__(f"events were missed; look anew, then go on after {revision}")
        self.revision = revision


Open = Callable[[int | None], AbstractAsyncContextManager[ClientResponse]]
"""Asks for the events after a revision, None for those from now on."""


async def follow(open: Open, since: int | None, patience: float) -> AsyncIterator[dict[str, Any]]:
    """Yield events; see ``Client.events``."""
    pause, longest = PAUSES
    lost = time.monotonic()
    while True:
        try:
            async with open(since) as response:
                if response.status != 200:
                    raise _refused(response.status, await response.read())
                async for name, revision, data in _messages(response):
                    pause, lost = PAUSES[0], time.monotonic()
                    if revision is None:
                        continue
                    since = revision
                    if name == "resync":
                        raise EventsMissed(revision)
                    if data:
                        yield orjson.loads(data)
                        lost = time.monotonic()
        except (ConnectionFailed, TMError) as error:
            if isinstance(error, TMError) and not error.data.get("retryable"):
                raise
            if time.monotonic() - lost > patience:
                raise
        await asyncio.sleep(random.uniform(pause / 2, pause))
        pause = min(2 * pause, longest)


def _refused(status: int, body: bytes) -> Exception:
    try:
        return error_of(orjson.loads(body)["error"], errors.BadCredentials if status == 401 else None)
    except (ValueError, KeyError, TypeError):
        return ConnectionFailed(f"No events there: it answered with HTTP status {status}.", sent=True)


async def _messages(response: ClientResponse) -> AsyncIterator[tuple[str, int | None, bytes]]:
    """Yield name, revision and data of what an event stream says, as far as it is whole; heartbeats may have none."""
    name, data, revision, rest = "", b"", None, b""
    async for part in response.content.iter_any():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            field, _, value = line.partition(b": ")
            if field == b"event":
                name = value.decode()
            elif field == b"id":
                revision = int(value)
            elif field == b"data":
                data = value
            elif not line:
                yield name, revision, data
                name, data, revision = "", b"", None
