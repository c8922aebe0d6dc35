"""Getting an answer out: in parts, as fast as its reader takes it, until no buffer of this process holds any of it."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, cast

from aiohttp import abc, payload, web

from ..core.breath import CALLS, Breath
from .waiting import Accepted

logger = logging.getLogger(__name__)

PART = 64 * 1024
"""Bytes that are compressed, encrypted and written at a time."""
# bytes of a body that is written at once: with its headers no more than asyncio keeps before it lets the writer wait
_AT_ONCE = PART - 4 * 1024
OUT = web.ResponseKey("out", bool)
"""``response[OUT]`` is true when it is out, or lost on the way."""
# seconds between two looks at what a slow reader left
_LOOKS = (0.001, 0.1)


class Connected(Protocol):
    """What a request came with."""

    @property
    def accepted(self) -> Accepted:
        """The connection below TLS."""


class _Parts(payload.Payload):
    """A long body. asyncio's TLS takes, and encrypts, all it is given at once, and says that it is written."""

    def __init__(self, body: bytes | bytearray) -> None:
        super().__init__(body)
        self._size = len(body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        return bytes(self._value).decode(encoding, errors)

    async def write(self, writer: abc.AbstractStreamWriter) -> None:
        """Write the body; each part is waited for before the next is taken up."""
        await in_parts(writer.write, self._value)


async def in_parts(write: Callable[[memoryview], Awaitable[None]], body: bytes | bytearray) -> None:
    """Write *body* in parts; others have their turn meanwhile, also where a fast reader never lets it wait."""
    whole, breath = memoryview(body), Breath()
    with CALLS.without_one():
        for start in range(0, len(whole), PART):
            await write(whole[start : start + PART])
            await breath.taken()


async def send(request: web.Request, response: web.StreamResponse, patience: float) -> None:
    """Write *response*, once, and return when all of it has left for the client, or the connection is lost.

    :param patience: seconds after which a client that takes nothing is given up, at least, and at most twice as many; 0
        for none.
    """
    if response.get(OUT):
        return
    response[OUT] = True
    try:
        if isinstance(response, web.Response) and not response.prepared:
            body = response.body
            if isinstance(body, (bytes, bytearray)):
                if len(body) <= _AT_ONCE:
                    await response.prepare(request)
                    await response.write_eof()
                    if not _unsent(request):
                        return
                elif len(body) > PART:
                    response.body = _Parts(body)
        with watched(request, patience):
            await response.prepare(request)
            await response.write_eof()
            pause, longest = _LOOKS
            while _unsent(request):
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)
    except ConnectionError:
        pass


@contextlib.contextmanager
def watched(request: web.Request, patience: float) -> Iterator[None]:
    """End the connection when there is something to take, and nothing of it is taken for *patience* seconds."""
    if not patience:
        yield
        return
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look(before: int) -> None:
        nonlocal timer
        left = _unsent(request)
        taken = request.writer.output_size - left
        if left and taken == before and request.transport is not None:
            facts = {"address": request.remote}
            logger.info("closing a connection: %d bytes of an answer were not read", left, extra=facts)
            request.transport.abort()
        else:
            timer = loop.call_later(patience, look, taken)

    timer = loop.call_later(patience, look, -1)
    try:
        yield
    finally:
        timer.cancel()


def _unsent(request: web.Request) -> int:
    """Return how many bytes wait in the buffers of a request's connection; 0 where it is lost."""
    transport = request.transport
    return 0 if transport is None else cast(Connected, request.protocol).accepted.unsent(transport)
