"""Keys from a file that changes and from a URL: cached, refreshed on an unknown key id, bounded."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from jsonrpc_tm.auth import jwks
from jsonrpc_tm.auth.jwks import KeySet
from jsonrpc_tm.core.errors import Unavailable
from jsonrpc_tm.tools import tokens

OLD, NEW = tokens.make_key("ES256"), tokens.make_key("ES256")
OLD_KEY, NEW_KEY = (tokens.public_jwk(key, "ES256") for key in (OLD, NEW))


class Source:
    """A site that publishes keys, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.keys = [OLD_KEY]
        self.body: bytes | None = None
        self.status = 200
        self.wait: asyncio.Event | None = None
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.wait is not None:
            await self.wait.wait()
        if self.status in (301, 302, 307):
            return web.Response(status=self.status, headers={"Location": "/elsewhere"})
        body = json.dumps({"keys": self.keys}).encode() if self.body is None else self.body
        return web.Response(body=body, status=self.status)

    async def elsewhere(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": self.keys})


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    found = Source()
    app = web.Application()
    app.router.add_get("/jwks", found.handle)
    app.router.add_get("/elsewhere", found.elsewhere)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield found
    if found.wait is not None:
        found.wait.set()
    await runner.cleanup()


class Time:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(jwks, "monotonic", lambda: self.now)


async def test_keys_are_asked_for_once(source: Source) -> None:
    keys = KeySet(source.url)
    for _ in range(3):
        assert len(await keys.find(OLD_KEY["kid"], "ES256")) == 1
        assert len(await keys.find(None, "ES256")) == 1
    assert source.asked == 1


async def test_callers_at_once_ask_once(source: Source) -> None:
    keys = KeySet(source.url)
    assert all(await asyncio.gather(*(keys.find(OLD_KEY["kid"], "ES256") for _ in range(20))))
    assert source.asked == 1


async def test_unknown_key_id_asks_again_but_not_often(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeySet(source.url)
    time = Time(monkeypatch)
    assert await keys.find(OLD_KEY["kid"], "ES256")
    source.keys = [NEW_KEY]
    for _ in range(5):
        assert not await keys.find(NEW_KEY["kid"], "ES256")
    assert source.asked == 1
    time.now += jwks.MIN_INTERVAL
    assert await keys.find(NEW_KEY["kid"], "ES256")
    assert source.asked == 2
    assert not await keys.find(OLD_KEY["kid"], "ES256")
    assert source.asked == 2


async def test_withdrawn_keys_end_with_the_next_refresh(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeySet(source.url, refresh=600)
    time = Time(monkeypatch)
    assert await keys.find(OLD_KEY["kid"], "ES256")
    source.keys = [NEW_KEY]
    time.now += 599
    assert await keys.find(OLD_KEY["kid"], "ES256")
    time.now += 1
    assert not await keys.find(OLD_KEY["kid"], "ES256")


@pytest.mark.parametrize("trouble", ["status", "no JSON", "no keys", "redirect", "large"])
async def test_source_in_trouble_leaves_the_keys_that_are_there(
    source: Source, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    keys = KeySet(source.url)
    time = Time(monkeypatch)
    assert await keys.find(OLD_KEY["kid"], "ES256")
    source.keys = [NEW_KEY]
    match trouble:
        case "status":
            source.status = 500
        case "no JSON":
            source.body = b"<html>"
        case "no keys":
            source.body = b'{"keys": {}}'
        case "redirect":
            source.status = 302
        case "large":
            source.body = json.dumps({"keys": [NEW_KEY], "padding": "x" * jwks.MAX_SIZE}).encode()
    time.now += jwks.MIN_INTERVAL
    with pytest.raises(Unavailable):
        await keys.find(NEW_KEY["kid"], "ES256")
    assert source.asked == 2
    assert await keys.find(OLD_KEY["kid"], "ES256")


async def test_source_that_does_not_answer(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT", 0.05)
    source.wait = asyncio.Event()
    with pytest.raises(Unavailable):
        await KeySet(source.url).find(OLD_KEY["kid"], "ES256")


async def test_source_that_is_not_there() -> None:
    with pytest.raises(Unavailable):
        await KeySet("http://127.0.0.1:1/jwks").find("x", "ES256")


async def test_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [OLD_KEY]}))
    keys = KeySet(path)
    assert await keys.find(OLD_KEY["kid"], "ES256")
    path.write_text(json.dumps({"keys": [OLD_KEY, NEW_KEY]}))
    assert await keys.find(NEW_KEY["kid"], "ES256")
    path.write_text("half")
    with pytest.raises(Unavailable):
        await keys.find("x", "ES256")
    assert await keys.find(OLD_KEY["kid"], "ES256")
    path.write_text(json.dumps({"keys": [OLD_KEY]}))
    assert await keys.find("x", "ES256") == []


async def test_private_keys_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{**OLD_KEY, "d": "secret"}]}))
    (key,) = await KeySet(path).find(None, "ES256")
    assert not hasattr(key.key, "sign")
