"""Bodies as they come: counted against the budget, never more than a limit of them."""

import asyncio

from aiohttp import StreamReader

from .compression import Encoding, TooLarge, decompress
from .limits import Share

# zlib lets other threads run; below this the hop costs more than the work
_IN_THREAD = 64 * 1024
# bytes from which on Python lets other threads run while it joins them
_JOINED_IN_THREAD = 2**20


async def received(content: StreamReader, share: Share, limit: int) -> bytes:
    """Return the body as it comes.

    :raises TooLarge: it is more than *limit* bytes.
    :raises Unavailable: too much is in flight.
    """
    parts, size = [], 0
    while part := await content.readany():
        size += len(part)
        if size > limit:
            raise TooLarge
        share.take(len(part))
        parts.append(part)
    return b"".join(parts) if size < _JOINED_IN_THREAD else await asyncio.to_thread(b"".join, parts)


async def decompressed(body: bytes, compressed: Encoding, share: Share, limit: int) -> bytes:
    """Return what *body* holds; see ``decompress`` for what is raised, and ``received``."""
    if len(body) <= _IN_THREAD:
        return decompress(body, compressed, limit, share.take)
    return await asyncio.to_thread(decompress, body, compressed, limit, share.take)
