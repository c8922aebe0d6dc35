"""Long answers arrive whole, however slowly they are read: A1, A2 and attack 7; and who reads nothing is given up."""

import asyncio
import contextlib
import json
import signal
import socket
import ssl
import sys
from asyncio import constants
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from jsonrpc_tm.api import Method, Route
from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.http import server
from jsonrpc_tm.http.endpoint import RUNNING
from jsonrpc_tm.http.entrance import EntranceContext
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.rpc.chain import Outside
from jsonrpc_tm.rpc.service import Service

from ..http.fakes import HEAD, make_service

MEBIBYTE = 2**20
SIZE = 8 * MEBIBYTE
TEXT = "x" * SIZE


def _request(method: str, *params: str) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
    return HEAD.replace(b"Host: x", b"Host: localhost") + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> devcerts.Folder:
    return devcerts.ensure(tmp_path_factory.mktemp("answers") / "certs", {"alice": "/O=x/CN=alice"})


def _contexts(certificates: devcerts.Folder) -> tuple[EntranceContext, ssl.SSLContext]:
    """Return those of a server and of a client."""
    serving = EntranceContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificates.certificate("server"), certificates.key("server"))
    asking = ssl.create_default_context(cafile=certificates.ca)
    asking.load_cert_chain(certificates.certificate("alice"), certificates.key("alice"))
    return serving, asking


@contextlib.asynccontextmanager
async def _asked(
    port: int, context: ssl.SSLContext | None, request: bytes = _request("text")
) -> AsyncIterator[asyncio.StreamReader]:
    """Ask for ``TEXT``, and give what reads the answer: it takes no more than it is asked to, and some buffers."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
    name = "localhost" if context else None
    reader, writer = await asyncio.open_connection(sock=narrow, ssl=context, server_hostname=name, limit=64 * 1024)
    writer.write(request)
    try:
        yield reader
    finally:
        writer.transport.abort()


async def _is_whole(reader: asyncio.StreamReader, begin: bytes = b"") -> bool:
    head, _, body = (begin + await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
    body += await reader.readexactly(length - len(body))
    return bool(json.loads(body)["result"] == TEXT)


async def _text(outside: Outside) -> str:
    """Return a long text."""
    return TEXT


def _service(**settings: Any) -> Service:
    return make_service(Method("text", _text, rule="all"), **settings)


@pytest.mark.parametrize("tls", [True, False])
async def test_a1_whole_answer_when_the_server_stops(tls: bool, certificates: devcerts.Folder) -> None:
    serving, asking = _contexts(certificates)
    service = _service()
    async with contextlib.AsyncExitStack() as stack:
        bound = stack.enter_context(bind("127.0.0.1", 0))
        await stack.enter_async_context(service)
        running = await stack.enter_async_context(contextlib.AsyncExitStack())
        await running.enter_async_context(listening(service, bound, serving if tls else None))
        reader = await stack.enter_async_context(_asked(bound.getsockname()[1], asking if tls else None))
        begin = await reader.readexactly(4)
        stopping = asyncio.create_task(running.aclose())
        await asyncio.sleep(3 * server._CLOSE_TIMEOUT)
        assert not stopping.done()
        assert await _is_whole(reader, begin)
        await stopping


async def test_a1_whole_answer_after_sigterm(certificates: devcerts.Folder, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    settings = {
        "server": {"port": 0, "tls": {"folder": str(certificates.path)}},
        "registry": {"users": {"alice": {"dns": ["/O=x/CN=alice"], "groups": ["all"]}}, "groups": {"all": {}}},
        "storage": {"url": "sqlite://:memory:"},
        "limits": {"anonymous_body": 0},
    }
    config.write_text(json.dumps(settings))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jsonrpc_tm", "serve", "-c", config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        port = int((await process.stdout.readline()).decode().split(":")[2].split("/")[0])
        async with _asked(port, _contexts(certificates)[1], _request("echo", TEXT)) as reader:
            begin = await reader.readexactly(4)
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(1)
            assert process.returncode is None
            assert await _is_whole(reader, begin)
        assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_a2_the_keepalive_timer_starts_when_the_answer_is_out(
    certificates: devcerts.Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TLS says farewell first, and cuts what is left only then
    monkeypatch.setattr(constants, "SSL_SHUTDOWN_TIMEOUT", 0.1)
    serving, asking = _contexts(certificates)
    service = _service(**{"server.keepalive": 0.1})
    with bind("127.0.0.1", 0) as bound:
        async with (
            service,
            listening(service, bound, serving),
            _asked(bound.getsockname()[1], asking) as reader,
        ):
            begin = await reader.readexactly(4)
            await asyncio.sleep(0.8)
            assert await _is_whole(reader, begin)
            assert await asyncio.wait_for(reader.read(), 20) == b""  # idle now


@pytest.mark.parametrize("tls", [True, False])
async def test_attack_7_no_more_than_some_parts_are_given_to_the_connection(
    tls: bool, certificates: devcerts.Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []
    real = server.add_endpoint

    def watched(app: Any, service: Service) -> None:
        real(app, service)
        apps.append(app)

    apps: list[Any] = []
    monkeypatch.setattr(server, "add_endpoint", watched)
    serving, asking = _contexts(certificates)
    service = _service(**{"server.write_timeout": 0.3})
    with bind("127.0.0.1", 0) as bound:
        # its connections have it from there: Linux would take megabytes that nobody has read
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        async with service, listening(service, bound, serving if tls else None):
            async with _asked(bound.getsockname()[1], asking if tls else None) as reader:
                # slowly, but steadily: longer than the server would wait for one that takes nothing
                begin = await reader.readexactly(4)
                for _ in range(7):
                    begin += await reader.readexactly(MEBIBYTE // 2)
                    left.append(apps[0][RUNNING].calls)
                    await asyncio.sleep(0.1)
                assert left == [1] * 7
                body = (begin + await reader.readexactly(SIZE - len(begin))).partition(b"\r\n\r\n")[2]
                assert body.startswith(b'{"jsonrpc":"2.0","result":"xxx')
            async with _asked(bound.getsockname()[1], asking if tls else None) as reader:
                await reader.readexactly(4)
                async with asyncio.timeout(20):
                    while apps[0][RUNNING].calls:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError, ssl.SSLError)):
                    await reader.readexactly(SIZE)


async def test_who_takes_nothing_of_what_is_no_call_is_given_up() -> None:
    transports: list[Any] = []

    async def page(request: web.Request) -> web.Response:
        transports.append(request.transport)
        return web.Response(text=TEXT)

    service = _service(routes=[Route("GET", "/page", page)], **{"server.write_timeout": 0.3})
    with bind("127.0.0.1", 0) as bound:
        async with service, listening(service, bound):
            request = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
            async with _asked(bound.getsockname()[1], None, request) as reader, asyncio.timeout(20):
                await reader.readexactly(4)
                while not transports[0].is_closing():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
