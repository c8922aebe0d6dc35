"""The load generator: HTTP/1.1 on kept connections and as little else as possible, in a process of its own."""

import asyncio
import gc
import itertools
import multiprocessing
import re
import ssl
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_END_OF_CHUNKS = b"\r\n0\r\n\r\n"
_ERROR = re.compile(rb'"error": ?\{|"OK": ?false')
_SHOWN = 300
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Target:
    """Where requests go, with the headers that all of them have.

    :param tls: folder with ``ca.pem`` and the certificate and key of ``manager``; None for plain HTTP.
    """

    port: int
    tls: Path | None = None
    headers: str = ""

    def context(self) -> ssl.SSLContext | None:
        """Return how to speak TLS with it."""
        if self.tls is None:
            return None
        context = ssl.create_default_context(cafile=self.tls / "ca.pem")
        context.load_cert_chain(self.tls / "manager.pem", self.tls / "manager.key")
        return context

    def request(self, path: str, body: bytes, headers: str = "Content-Type: application/json\r\n") -> bytes:
        """Return the bytes of a POST."""
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{self.headers}{headers}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Load:
    """What a load generator has seen.

    :param seconds: from the first request to the last answer.
    :param latencies: of each request, seconds.
    :param size: bytes of the last answer's body.
    """

    seconds: float
    latencies: list[float]
    size: int


class Refused(RuntimeError):
    """The server answered an error, or not at all."""


class Connection(asyncio.Protocol):
    """A kept connection, with one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None
        self.size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Refused(f"the connection was lost: {exc}"))

    def data_received(self, data: bytes) -> None:
        if self._missing is None:
            self._head += data
            end = self._head.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            data, self._head = self._head[end:], self._head[:end]
            length = _LENGTH.search(self._head)
            self._missing = int(length[1]) if length else -1
            self._first = data[:_SHOWN]
        self.size += len(data)
        self._last = (self._last + data[-_SHOWN:])[-_SHOWN:]
        # the chunks of JSON hold no such bytes, so the end is seen without parsing them
        if self.size == self._missing or (self._missing < 0 and self._last.endswith(_END_OF_CHUNKS)):
            self._answer.set_result(None)

    async def ask(self, request: bytes) -> None:
        """Send a request and wait for the whole answer.

        :raises Refused: it is an error.
        """
        self._head, self._missing, self._first, self._last, self.size = b"", None, b"", b"", 0
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self._answer
        if b" 200 " not in self._head[:20] or any(_ERROR.search(text) for text in (self._first, self._last)):
            raise Refused(f"{self._head[:40]!r} {self._first!r}")


class _Caller:
    """Keeps connections from one run to the next, so that handshakes are not measured."""

    def __init__(self) -> None:
        self._kept: dict[Target, list[Connection]] = defaultdict(list)

    async def _connections(self, target: Target, number: int) -> list[Connection]:
        loop = asyncio.get_running_loop()
        kept = [connection for connection in self._kept[target] if not connection.transport.is_closing()]
        context = target.context() if len(kept) < number else None
        while len(kept) < number:
            kept.append((await loop.create_connection(Connection, "127.0.0.1", target.port, ssl=context))[1])
        self._kept[target] = kept
        return kept[:number]

    async def run(
        self, target: Target, requests: Sequence[bytes], callers: int, seconds: float, every: float, stop: asyncio.Event
    ) -> Load:
        connections = await self._connections(target, callers)
        latencies: list[float] = []
        begin = time.perf_counter()
        endless = seconds > 0
        end = begin + seconds
        left = itertools.cycle(requests) if endless else iter(requests)

        async def call(connection: Connection) -> None:
            due = begin
            for request in left:
                before = time.perf_counter()
                if every:
                    await asyncio.sleep(due - before)
                    before, due = due, due + every
                if latencies and (stop.is_set() or (endless and before >= end)):
                    break
                await connection.ask(request)
                latencies.append(time.perf_counter() - before)

        await asyncio.gather(*(call(connection) for connection in connections))
        return Load(time.perf_counter() - begin, latencies, connections[0].size)


def _work(pipe: Pipe, other: Pipe) -> None:
    """Do what the parent sends until it has gone; whatever it sends meanwhile stops a run."""
    other.close()
    gc.disable()  # there are no cycles, and pauses would count as the server's

    async def main() -> None:
        caller, loop = _Caller(), asyncio.get_running_loop()
        while True:
            try:
                job = await loop.run_in_executor(None, pipe.recv)
            except EOFError:
                return
            if job is None:  # a run that had come to its end was stopped
                continue
            stop = asyncio.Event()
            loop.add_reader(pipe.fileno(), stop.set)
            try:
                answer: Load | Exception = await caller.run(*job, stop)
            except (Refused, OSError) as error:
                answer = Refused(str(error))
            loop.remove_reader(pipe.fileno())
            pipe.send(answer)

    asyncio.run(main())


class Loader:
    """A process that sends requests."""

    def __init__(self) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(theirs, self._pipe), daemon=True)
        self._process.start()
        theirs.close()

    def start(
        self, target: Target, requests: Sequence[bytes], callers: int = 1, seconds: float = 0, every: float = 0
    ) -> None:
        """Begin to send.

        :param callers: connections at a time.
        :param seconds: send the requests again and again for so long; 0 sends each of them once.
        :param every: seconds from one request of a caller to the next. One that has to wait for the answer before it is
            late from then on: no stall is left out because nobody asked meanwhile.
        """
        self._pipe.send((target, requests, callers, seconds, every))

    @property
    def running(self) -> bool:
        """Whether what was started has not come to its end."""
        return not self._pipe.poll()

    def stop(self) -> Load:
        """Send no more, and return what was seen."""
        self._pipe.send(None)
        return self.finish()

    def finish(self) -> Load:
        """Wait for the end.

        :raises Refused: the server answered an error.
        """
        found = self._pipe.recv()
        if isinstance(found, Exception):
            raise found
        return found

    def run(self, *args: Any, **named: Any) -> Load:
        """Send as `start` does, and wait for the end."""
        self.start(*args, **named)
        return self.finish()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        # it may be waiting for an answer still, where a measurement failed
        self._process.terminate()
        self._process.join()
        self._process.close()
