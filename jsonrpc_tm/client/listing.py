"""Lists that are read as they come, and prove that they are whole."""

import asyncio
import contextlib
import hashlib
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import orjson

from .base import ConnectionFailed, result_of

LINES = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
OpensList = Callable[[], AbstractAsyncContextManager[aiohttp.ClientResponse]]


class Incomplete(ConnectionFailed):
    """A list broke off, or is not the one that the server sent: some rows may be missing or wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=True)


class Listing:
    """A list that a server sends row by row; ``async for`` gives the rows, as objects.

    They are given as they come. That they are all there and right is known when the loop ends without an exception:
    ``Incomplete``, or the error that came midway. Each loop asks the server anew.

    :param count: number of rows, once all were read.
    :param revision: position in the log of events, at or before what the list shows; once all rows were read.
    """

    def __init__(self, open: OpensList) -> None:
        self.count: int | None = None
        self.revision: int | None = None
        self._open = open

    async def __aiter__(self) -> AsyncIterator[Any]:
        async with contextlib.aclosing(self.parts()) as parts:
            async for rows in parts:
                for row in rows:
                    yield row

    async def parts(self) -> AsyncGenerator[list[Any], None]:
        """Give the rows in lists, as they come."""
        digest, count, rest, held = hashlib.sha256(), 0, bytearray(), b""
        async with self._open() as response:
            await _check(response, LINES)
            async for chunk in response.content.iter_any():
                rest += chunk
                end = rest.rfind(b"\n") + 1
                if not end:
                    continue
                # the last line is no row, and only at the end it is known which one that is
                *lines, last = (held + rest[:end]).splitlines(keepends=True)
                held = bytes(last)
                del rest[:end]
                if lines:
                    count += len(lines)
                    digest.update(b"".join(lines))
                    yield [orjson.loads(line) for line in lines]
        self._ended(held, bytes(rest), digest.hexdigest(), count)

    def _ended(self, last: bytes, rest: bytes, digest: str, count: int) -> None:
        try:
            end = orjson.loads(last) if not rest else None
        except orjson.JSONDecodeError:
            end = None
        if isinstance(end, dict) and end.keys() == {"error"}:
            result_of(end)
        if not isinstance(end, dict) or end.get("end") is not True:
            raise Incomplete(f"The list broke off after {count} rows.")
        if (end.get("count"), end.get("sha256")) != (count, digest):
            raise Incomplete("The list is not the one that the server sent.")
        self.count, self.revision = count, end.get("revision")


class ArrowListing:
    """The same as record batches of Apache Arrow; needs pyarrow. ``async for`` gives ``pyarrow.RecordBatch`` objects.

    :param count: see ``Listing``.
    :param revision: see ``Listing``.
    """

    def __init__(self, open: OpensList) -> None:
        self.count: int | None = None
        self.revision: int | None = None
        self._open = open

    async def __aiter__(self) -> AsyncIterator[Any]:
        import pyarrow
        import pyarrow.ipc

        count, metadata = 0, {}
        async with self._open() as response:
            await _check(response, ARROW)
            try:
                source = io.BufferedReader(_Blocking(response.content), 2**16)
                reader = await asyncio.to_thread(pyarrow.ipc.open_stream, source)
                while True:
                    batch, found = await asyncio.to_thread(reader.read_next_batch_with_custom_metadata)
                    metadata = dict(found or {})
                    if metadata:
                        break
                    count += batch.num_rows
                    yield batch
            except (StopIteration, pyarrow.ArrowException, RuntimeError, OSError):
                raise Incomplete(f"The list broke off after {count} rows.") from None
        if b"error" in metadata:
            result_of({"error": orjson.loads(metadata[b"error"])})
        if metadata.get(b"count") != str(count).encode():
            raise Incomplete("The list is not the one that the server sent.")
        self.count, self.revision = count, int(metadata[b"revision"])


class _Blocking(io.RawIOBase):
    """An answer for a reader in another thread."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._loop = asyncio.get_running_loop()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = asyncio.run_coroutine_threadsafe(self._content.read(len(buffer)), self._loop).result()
        buffer[: len(part)] = part
        return len(part)


async def _check(response: aiohttp.ClientResponse, media: str) -> None:
    """Refuse an answer that is no list in the form that was asked for.

    :raises TMError: it is an error.
    :raises ConnectionFailed: it is something else.
    """
    if response.content_type == media:
        return
    try:
        answer = orjson.loads(await response.read())
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict) and "error" in answer:
        result_of(answer)
    raise ConnectionFailed(f"There is no such list: the server answered with {response.content_type}.", sent=True)
