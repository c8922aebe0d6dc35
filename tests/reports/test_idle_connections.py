"""Attack 8: connections that say nothing. An address has some of them; those that work, or worked, stay."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme

from jsonrpc_tm.api import Method
from jsonrpc_tm.core.addresses import network
from jsonrpc_tm.http.entrance import EntranceContext
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening

from ..http.fakes import HEAD, Gate, make_service

MOST = 3
Talk = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def _server(gate: Gate, tls: bool = False, **settings: Any) -> AsyncIterator[tuple[int, ssl.SSLContext | None]]:
    """Give the port, and the context of clients."""
    serving = asking = None
    if tls:
        authority = trustme.CA()
        serving = EntranceContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(serving)
        asking = ssl.create_default_context()
        authority.configure_trust(asking)
    service = make_service(
        Method("wait", gate.wait, rule="all"),
        **{"limits.idle_connections": MOST, "server.shutdown_grace": 0, **settings},
    )
    with bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        async with service, listening(service, bound, serving):
            yield port, asking


async def _call(talk: Talk, method: str) -> None:
    body = json.dumps({"jsonrpc": "2.0", "method": method, "id": 1}).encode()
    talk[1].write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await talk[1].drain()


async def _answered(talk: Talk) -> bool:
    return b"200 OK" in await asyncio.wait_for(talk[0].readuntil(b"}"), 20)


async def _ended(talk: Talk) -> bool:
    with contextlib.suppress(TimeoutError, ConnectionError):
        return await asyncio.wait_for(talk[0].read(1), 0.1) == b""
    return False


@pytest.mark.parametrize("tls", [False, True])
async def test_attack_8_the_oldest_unused_connection_is_ended(tls: bool) -> None:
    gate = Gate()
    async with _server(gate, tls) as (port, asking):
        name = "localhost" if tls else None
        used = await asyncio.open_connection("127.0.0.1", port, ssl=asking, server_hostname=name)
        await _call(used, "who")
        assert await _answered(used)
        working = await asyncio.open_connection("127.0.0.1", port, ssl=asking, server_hostname=name)
        await _call(working, "wait")
        await gate.entered.wait()
        # these never begin, neither with TLS nor with a request
        silent = []
        for _ in range(6):
            silent.append(await asyncio.open_connection("127.0.0.1", port))
            await asyncio.sleep(0.02)
        assert [await _ended(talk) for talk in silent] == [True] * 4 + [False] * 2
        await _call(used, "who")
        assert await _answered(used)
        gate.open.set()
        assert await _answered(working)
        for talk in (used, working, *silent):
            talk[1].transport.abort()


@pytest.mark.parametrize("settings", [{"limits.idle_connections": 0}, {"server.balancers": (network("127.0.0.0/8"),)}])
async def test_attack_8_balancers_have_any_number_and_0_lifts_the_limit(settings: dict[str, Any]) -> None:
    async with _server(Gate(), **settings) as (port, _):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST + 3)]
        await asyncio.sleep(0.05)
        for talk in silent:
            await _call(talk, "who")
        assert all([await _answered(talk) for talk in silent])
        for talk in silent:
            talk[1].transport.abort()


async def test_attack_8_used_connections_go_when_there_are_only_such() -> None:
    async with _server(Gate()) as (port, _):
        talks: list[Talk] = []
        for _ in range(MOST + 2):
            talks.append(await asyncio.open_connection("127.0.0.1", port))
            await _call(talks[-1], "who")
            assert await _answered(talks[-1])
        await asyncio.sleep(0.05)
        for talk in talks[:2]:
            await talk[0].read(2000)
            assert await _ended(talk)
        for talk in talks:
            talk[1].transport.abort()
