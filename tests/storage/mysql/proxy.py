"""A TCP proxy in front of the database that breaks connections at a chosen command."""

import asyncio
import contextlib
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """Forwards connections to *port*; ``arm`` says what goes wrong, once.

    Small commands arrive as one piece each, so a piece from the client counts as a command.
    """

    port: int
    listening: int = 0
    commands: int = 0
    refusing: bool = False
    _point: int | None = None
    _mode: str = ""
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task] = field(default_factory=set)
    _held: list[asyncio.StreamWriter] = field(default_factory=list)

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.listening = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._held:
            await _close(writer)
        await self._server.wait_closed()

    def arm(self, point: int, mode: str) -> None:
        """Break the connection at the command number *point* from now on, counted from 0.

        :param mode: ``before`` the server gets it, ``after`` (it answers nobody), ``late``: the client is cut off,
            the server gets the command half a second later, ``held``: the server never gets it and the connection to
            it stays open.
        """
        self.commands, self._point, self._mode = 0, point, mode

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            if self.refusing:
                return
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.port)
            answers = asyncio.create_task(self._pump(up_reader, writer))
            self._tasks.add(answers)
            try:
                await self._commands(reader, writer, up_writer, answers)
            finally:
                answers.cancel()
                if up_writer not in self._held:
                    up_writer.close()
                await asyncio.gather(answers, return_exceptions=True)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            await _close(writer)
            self._tasks.discard(task)

    async def _commands(self, reader, writer, up_writer, answers):
        while data := await reader.read(1 << 20):
            number, self.commands = self.commands, self.commands + 1
            if number != self._point:
                up_writer.write(data)
                continue
            self._point = None
            if self._mode == "after":
                answers.cancel()
                up_writer.write(data)
                await up_writer.drain()
                # the server has worked on it when it would answer
                await asyncio.sleep(0.1)
            elif self._mode == "late":
                self._held.append(up_writer)
                self._later(up_writer, data)
            elif self._mode == "held":
                self._held.append(up_writer)
            return

    def _later(self, up_writer, data):
        async def send():
            await asyncio.sleep(0.5)
            up_writer.write(data)
            await up_writer.drain()

        self._tasks.add(asyncio.create_task(send()))

    @staticmethod
    async def _pump(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 20):
                writer.write(data)
                await writer.drain()
        writer.close()


async def _close(writer):
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
