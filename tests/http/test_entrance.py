"""How connections come in, on both loops."""

import asyncio
import errno
import logging
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jsonrpc_tm.api import Method
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.http import entrance
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.loops import loop_factory
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.http.waiting import Accepted, Waiting
from tests.reports.test_handshakes import Site

from ..waiting import until
from .fakes import SETTINGS, Gate, make_service

BODY = b'{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": [5]}'
REQUEST = (
    b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
)


async def test_a_request_comes_with_the_end_of_the_handshake(tmp_path: Path) -> None:
    site = Site(tmp_path)
    context = ssl.create_default_context(cafile=site.ca)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    async with site.serving() as place:
        reader, writer = await asyncio.open_connection(*place.split(":"))

        async def finish(step: Callable[[], Any]) -> Any:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await asyncio.wait_for(reader.readexactly(1), 20))

        await finish(tls.do_handshake)
        tls.write(REQUEST)
        writer.write(outgoing.read())  # the last of the handshake, and the request
        answer = b""
        while b"}" not in answer:
            answer += await finish(lambda: tls.read(65536))
        assert answer.startswith(b"HTTP/1.1 200 OK") and b'"result":5' in answer
        writer.close()


async def test_a_client_closes_behind_its_request_which_comes_with_the_end_of_the_handshake(tmp_path: Path) -> None:
    site = Site(tmp_path)
    gate = Gate()
    context = ssl.create_default_context(cafile=site.ca)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    async with site.serving(Method("wait", gate.wait, rule="all")) as place:
        gate.open.set()
        reader, writer = await asyncio.open_connection(*place.split(":"))
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await asyncio.wait_for(reader.read(65536), 20))
        tls.write(REQUEST.replace(b'"echo", "params": [5]', b'"wait", "params": [ ]'))
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        writer.write(outgoing.read())
        await asyncio.wait_for(gate.finished.wait(), 20)
        writer.close()


async def test_many_come_at_once_and_say_something_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    context = ssl.create_default_context(cafile=site.ca)

    async def ask(port: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(REQUEST)
        try:
            return await asyncio.wait_for(reader.readuntil(b"}"), 20)
        finally:
            writer.close()

    async with site.serving() as place:
        answers = await asyncio.gather(*(ask(place.split(":")[1]) for _ in range(50)))
    assert all(b'"result":5' in answer for answer in answers)


@pytest.mark.parametrize("then", [REQUEST, REQUEST.replace(b"application/json", b"text/plain")])
async def test_many_requests_come_at_once_after_one_in_two_parts(then: bytes) -> None:
    head, _, body = REQUEST.partition(b"\r\n\r\n")
    with bind("127.0.0.1", 0) as bound:
        async with make_service() as service, listening(service, bound):
            reader, writer = await asyncio.open_connection(*bound.getsockname())
            writer.write(head + b"\r\n\r\n")
            await asyncio.sleep(0.05)
            writer.write(body)
            await asyncio.wait_for(reader.readuntil(b"}"), 20)
            writer.write(100 * then)
            for _ in range(100):
                await asyncio.wait_for(reader.readuntil(b"HTTP/1.1 "), 20)
            writer.close()


async def test_a_request_comes_after_one_in_as_many_chunks_as_are_kept() -> None:
    chunked = REQUEST.partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    with bind("127.0.0.1", 0) as bound:
        async with make_service() as service, listening(service, bound):
            reader, writer = await asyncio.open_connection(*bound.getsockname())
            chunks = [b"1\r\n%c\r\n" % byte for byte in BODY.ljust(2**14 + 1)]
            writer.write(chunked + b"".join(chunks) + b"0\r\n\r\n")
            await asyncio.wait_for(reader.readuntil(b"}"), 20)
            writer.write(REQUEST)
            await asyncio.wait_for(reader.readuntil(b"}"), 20)
            writer.close()


class _Full(socket.socket):
    """A listening socket of a process that has no room for another connection, some times."""

    left = 2

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept one.

        :raises OSError: there is no room.
        """
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_no_room_for_a_connection_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(entrance, "_PAUSE", 0.05)
    made: list[Accepted] = []

    def connect(accepted: Accepted) -> asyncio.Protocol:
        made.append(accepted)
        return entrance.Arriving(accepted)

    with bind("127.0.0.1", 0) as first, _Full(fileno=first.detach()) as bound:
        door = entrance.Entrance(bound, Waiting(SETTINGS), connect, None)
        door.open()
        _, writer = await asyncio.open_connection(*bound.getsockname())
        await until(lambda: made)
        assert made[0].address == "127.0.0.1"
        bound.left = 1
        _, second = await asyncio.open_connection(*bound.getsockname())
        await until(lambda: not bound.left)
        door.close()  # while it pauses: it does not begin again
        await asyncio.sleep(0.1)
        assert len(made) == 1
        await door.abandon()
        for one in (writer, second):
            one.close()
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.message for record in lines] == 3 * ["no connection can be taken for a second: Too many open files"]


async def test_those_that_are_being_made_are_given_up(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.serving() as place:
        reader, writer = await asyncio.open_connection(*place.split(":"))
        writer.write(b"\x16\x03\x01")
        await asyncio.sleep(0.05)
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()


async def test_those_that_have_not_begun_are_closed() -> None:
    made: list[Accepted] = []
    with bind("127.0.0.1", 0) as bound:
        door = entrance.Entrance(bound, Waiting(SETTINGS), lambda one: made.append(one) or asyncio.Protocol(), None)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        bound.setblocking(False)
        door._take()
        await door.abandon()
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
    assert made == []


def test_a_loop_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ConfigurationError, match=r"server\.event_loop: uvloop is not installed: pip install"):
        loop_factory({"server.event_loop": "uvloop"})
