"""Answers that are made before anything of them is sent: in memory while they are short, then on disk."""

import asyncio
import logging
from collections.abc import Sequence
from tempfile import SpooledTemporaryFile

from aiohttp import abc, payload

from ..core.errors import Unavailable
from .limits import Share
from .sending import PART, in_parts

logger = logging.getLogger(__name__)

MEMORY = 4 * 2**20
"""Bytes of a spool that stay in memory; more of them go into a file."""
# bytes that are read at a time
_READ = 2**20


class Spool:
    """A part of an answer, which grows. Its file has no name in its folder, and is gone when the answer is out.

    :param share: of the request, counts what is in memory, and what is on the disk.
    """

    def __init__(self, share: Share) -> None:
        self.size = 0
        self._share = share
        self._file = SpooledTemporaryFile(MEMORY)  # noqa: SIM115 - whoever sends the answer closes it
        share.files.append(self._file)

    def write(self, text: bytes | memoryview) -> None:
        """Add bytes; in a thread.

        :raises Unavailable: too much is in flight, or there is no room on the disk.
        """
        before, self.size = self.size, self.size + len(text)
        if self.size <= MEMORY:
            self._share.answer(len(text), needed=False)
        elif (disk := self._share.disk) is not None:
            disk.stranger = self._share.stranger
            disk.take(len(text) if before > MEMORY else self.size)
        try:
            self._file.write(text)
        except OSError as error:
            logger.error("there is no room for a long answer: %s", error)
            raise Unavailable("The server has no room for so long an answer at the moment") from error
        if before <= MEMORY < self.size:
            self._share.release(before)

    def rewind(self) -> None:
        """Go back to where it begins."""
        self._file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, none at the end."""
        return self._file.read(size)


class _Spooled(payload.Payload):
    """A body that is in spools."""

    def __init__(self, spools: Sequence[Spool]) -> None:
        super().__init__(spools)
        self._size = sum(spool.size for spool in spools)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        return _whole(self._value).decode(encoding, errors)

    async def write(self, writer: abc.AbstractStreamWriter) -> None:
        """Write the body as it is read; each part is waited for before the next is taken up."""
        for spool in self._value:
            await asyncio.to_thread(spool.rewind)
            while text := await asyncio.to_thread(spool.read, _READ):
                await in_parts(writer.write, text)


def body_of(spools: Sequence[Spool]) -> bytes | payload.Payload:
    """Return the body of an answer that is in spools, one after the other."""
    return _Spooled(spools) if sum(spool.size for spool in spools) > PART else _whole(spools)


def _whole(spools: Sequence[Spool]) -> bytes:
    for spool in spools:
        spool.rewind()
    return b"".join(spool.read() for spool in spools)
