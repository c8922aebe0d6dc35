"""Calls go a short way, and are answered on it as on the long one."""

from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from jsonrpc_tm.api import Method
from jsonrpc_tm.core import fields
from jsonrpc_tm.http.connection import Connection
from jsonrpc_tm.rpc.chain import Outside

from .fakes import ANSWER, ECHO, Wire, is_refused, make_service, serving


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the paths that the router is asked about."""
    asked: list[str] = []
    real = web.UrlDispatcher.resolve

    async def resolve(self: web.UrlDispatcher, request: web.Request) -> Any:
        asked.append(request.raw_path)
        return await real(self, request)

    monkeypatch.setattr(web.UrlDispatcher, "resolve", resolve)
    return asked


async def test_the_router_is_asked_only_where_it_has_something_to_say(wire: Wire, resolved: list[str]) -> None:
    assert await (await wire.post(ECHO)).json() == ANSWER
    assert resolved == []
    for path in ("/rpc?x=1", "/%72pc"):
        async with wire.session.post(URL(wire.base + path, encoded=True), json=ECHO) as answer:
            assert await answer.json() == ANSWER
    assert await is_refused(await wire.session.get(wire.base + "/rpcs"), 404)
    assert resolved == ["/rpc?x=1", "/%72pc", "/rpcs"]


async def test_answers_that_pages_read_go_the_long_way(resolved: list[str]) -> None:
    async with serving(make_service(**{"server.origins": ["https://tm.example.org"]})) as wire:
        assert (await wire.post(ECHO)).headers["Vary"] == "Origin"
    assert resolved == ["/rpc"]


async def test_both_ways_give_the_same_headers(wire: Wire) -> None:
    for method in ("echo", "bug", "none"):
        call = {**ECHO, "method": method}
        short = await wire.post(call)
        async with wire.session.post(f"{wire.url}?x", json=call) as long:
            assert [*short.headers] == [*long.headers]
            assert short.headers["Server"] == long.headers["Server"] == "jsonrpc-tm"


class _Leaving(fields.Any_):
    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        raise SystemExit("a plugin")


async def test_what_plugins_raise_ends_the_call_only() -> None:
    async def leave(outside: Outside, data: Any) -> Any:
        """Do nothing."""

    async with serving(make_service(Method("leave", leave, {"data": _Leaving()}, rule="all"))) as wire:
        assert (await wire.post({**ECHO, "method": "leave"})).status == 500
        assert await (await wire.post(ECHO)).json() == ANSWER


async def test_what_came_is_parsed_once(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    real = Connection.data_received

    def data_received(self: Connection, data: bytes) -> None:
        parsed.append(data)
        real(self, data)

    monkeypatch.setattr(Connection, "data_received", data_received)
    assert await (await wire.post(ECHO)).json() == ANSWER
    assert b"" not in parsed
