"""The way in: connections are taken from the listening socket, counted, and get TLS.

Not by the loop's own server, which tells nobody of a connection before its handshake has ended, and hides what is below
TLS.
"""

import asyncio
import errno
import functools
import logging
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

from .waiting import Accepted, Waiting

logger = logging.getLogger(__name__)

# seconds without taking anything when there is no room for another connection
_PAUSE = 1
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Arriving(asyncio.Protocol):
    """A connection on its way through the handshake; what comes too early is kept.

    :param accepted: is told of its transport, and how it ends.
    """

    def __init__(self, accepted: Accepted) -> None:
        self.accepted = accepted
        self.http: asyncio.Protocol | None = None
        """What comes after this."""
        self.lost = False
        self._came = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are of no class of asyncio's
        self.accepted.begin(cast(asyncio.WriteTransport, transport))

    def data_received(self, data: bytes) -> None:
        """Keep what comes before TLS takes over, which uvloop does not hold back; or before HTTP does."""
        self._came += data

    def taken(self) -> bytes:
        """Return what has come, once."""
        came = bytes(self._came)
        self._came.clear()
        return came

    def connection_lost(self, exc: Exception | None) -> None:
        """End before anything of HTTP; or asyncio had begun to tell of the end before HTTP came."""
        self.lost = True
        if self.http is None:
            self.accepted.left()
        else:
            self.http.connection_lost(exc)


ARRIVING: ContextVar[Arriving | None] = ContextVar("arriving", default=None)
"""The connection whose TLS begins."""


class EntranceContext(ssl.SSLContext):
    """A TLS context whose connections take up what came before them."""

    def wrap_bio(self, incoming: ssl.MemoryBIO, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Start a connection."""
        made = super().wrap_bio(incoming, *args, **kwargs)
        if (arriving := ARRIVING.get()) is not None:
            incoming.write(arriving.taken())
        return made


class Entrance:
    """Takes connections, one at a turn of the loop: worker processes share a burst.

    :param bound: a listening socket.
    :param waiting: counts the connections.
    :param connect: makes the HTTP end of one; it calls ``left`` of what it is given when the connection is lost.
    :param context: for TLS, see ``tls.server_context``; None for plain HTTP.
    """

    def __init__(
        self,
        bound: socket.socket,
        waiting: Waiting,
        connect: Callable[[Accepted], asyncio.Protocol],
        context: EntranceContext | None,
    ) -> None:
        self._bound = bound
        self._waiting = waiting
        self._connect = connect
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to take connections."""
        self._bound.setblocking(False)
        self._loop.add_reader(self._bound, self._take)

    def close(self) -> None:
        """Take no more; those that are being made still get through."""
        self._loop.remove_reader(self._bound)
        if self._later is not None:
            self._later.cancel()

    async def abandon(self) -> None:
        """Give up those that are still being made."""
        for task in self._arriving:
            task.cancel()
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _take(self) -> None:
        try:
            connection, peer = self._bound.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the peer left
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            logger.error("no connection can be taken for a second: %s", error.strerror)
            self._loop.remove_reader(self._bound)
            self._later = self._loop.call_later(_PAUSE, self.open)
            return
        connection.setblocking(False)
        taken = [connection]
        task = self._loop.create_task(self._begin(taken, self._waiting.admit(peer)))
        self._arriving.add(task)
        task.add_done_callback(functools.partial(self._made, taken))

    def _made(self, taken: list[socket.socket], task: asyncio.Task[None]) -> None:
        self._arriving.discard(task)
        for connection in taken:  # it was cancelled before it began
            connection.close()

    async def _begin(self, taken: list[socket.socket], accepted: Accepted) -> None:
        connection = taken.pop()  # its transport closes it from here on
        try:
            if self._context is None:
                transport, _ = await self._loop.connect_accepted_socket(lambda: self._connect(accepted), connection)
                accepted.begin(transport)
            else:
                await self._secure(connection, accepted, self._context)
        except (OSError, ssl.SSLError):
            accepted.left()  # the context logs why a handshake failed
        except BaseException:
            accepted.left()
            raise

    async def _secure(self, connection: socket.socket, accepted: Accepted, context: EntranceContext) -> None:
        arriving = Arriving(accepted)
        ARRIVING.set(arriving)
        plain, _ = await self._loop.connect_accepted_socket(lambda: arriving, connection)
        if plain.is_closing():
            return
        transport = await self._loop.start_tls(plain, arriving, context, server_side=True)
        came = arriving.taken()
        # a client that wants no answer may have closed it already, behind its request
        if transport is None or arriving.lost or (transport.is_closing() and not came):
            accepted.left()
            return
        http = arriving.http = self._connect(accepted)
        transport.set_protocol(http)
        http.connection_made(transport)
        if came:
            http.data_received(came)
