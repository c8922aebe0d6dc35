"""HTTP routes of plugins: bare ones, and those with a rule, whose callers are known before the handler runs."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import payload, web

from jsonrpc_tm.core import errors
from jsonrpc_tm.core.context import Context
from jsonrpc_tm.core.errors import BadCredentials, ConfigurationError
from jsonrpc_tm.core.identity import Credentials, Identity
from jsonrpc_tm.core.records import CallRecord, Route
from jsonrpc_tm.http.endpoint import RUNNING, SERVICE, read_body
from jsonrpc_tm.http.refusal import Refusal
from jsonrpc_tm.http.server import build_app

from .fakes import Wire, is_refused, make_service, serving


class ByName:
    """Believes a header: ``alice`` may watch, ``claims`` claims a group that is not hers, ``bad`` is refused."""

    name = "by name"

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        match credentials.headers.get("Name"):
            case None:
                return None
            case "bad":
                raise BadCredentials("That is not your name")
            case "crash":
                raise ValueError("secret")
            case "claims":
                return Identity("claims", refused="You are not in that group")
            case name:
                return Identity(name, "prod", ("Watching",) if name == "alice" else ())


async def plain(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {len(request.app[SERVICE].registry)}")


async def watch(request: web.Request, context: Context) -> web.Response:
    assert request.app[RUNNING].calls == 1
    return web.json_response([context.identity.username, context.identity.group, context.peer, context.request_id])


async def size(request: web.Request, context: Context) -> web.Response:
    return web.json_response(len(await read_body(request)))


async def fail(request: web.Request, context: Context) -> web.Response:
    match request.query["how"]:
        case "bug":
            raise ValueError("secret")
        case "exit":
            raise SystemExit("secret")
        case "refusal":
            raise Refusal(418, errors.InvalidRequest("I am a teapot"), X_Tea="green")
        case "redirect":
            raise web.HTTPFound("/elsewhere")
        case "call":
            await request.app[SERVICE].call(context, "nothing")
            raise AssertionError
        case kind:
            raise getattr(errors, kind)("a sentence")


ROUTES = [
    Route("GET", "/plain", plain),
    Route("GET", "/all", watch, "all"),
    Route("GET", "/known", watch, "authenticated"),
    Route("GET", "/watchers", watch, ("Watching", "Managing")),
    Route("GET", "/listed", watch, ["Watching", "Managing"]),  # type: ignore[arg-type]
    Route("POST", "/size", size, "all"),
    Route("*", "/fail", fail, "all"),
]


@pytest.fixture
def records() -> list[CallRecord]:
    return []


@pytest.fixture
async def wire(records: list[CallRecord]) -> AsyncIterator[Wire]:
    service = make_service(routes=ROUTES, authenticators=[ByName()], observers=[records.append])
    async with serving(service) as wire:
        yield wire


async def get(wire: Wire, path: str, **headers: str) -> aiohttp.ClientResponse:
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    response = await wire.session.get(wire.base + path, headers=sent, allow_redirects=False)
    await response.read()
    return response


async def test_a_bare_route_gets_the_request(wire: Wire) -> None:
    assert await (await get(wire, "/plain", Name="bad")).text() == "GET 3"


async def test_routes_answer_with_files(caplog: pytest.LogCaptureFixture) -> None:
    connections = set()

    async def bare(request: web.Request) -> web.FileResponse:
        connections.add(request.transport)
        return web.FileResponse(__file__)

    async def guarded(request: web.Request, context: Context) -> web.FileResponse:
        return await bare(request)

    routes = [Route("GET", "/bare", bare), Route("GET", "/guarded", guarded, "all")]
    content = Path(__file__).read_bytes()
    async with serving(make_service(routes=routes)) as wire:
        for path in ("/bare", "/guarded") * 2:
            async with wire.session.get(wire.base + path) as response:
                assert await response.read() == content
    assert len(connections) == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_nobody_begins_anew_with_an_answer_whose_reader_has_left(caplog: pytest.LogCaptureFixture) -> None:
    begun = []

    class Body(payload.Payload):
        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
            raise NotImplementedError

        async def write(self, writer: Any) -> None:
            begun.append(writer)
            writer.transport.abort()
            raise ConnectionResetError

    async def bare(request: web.Request) -> web.Response:
        return web.Response(body=Body(b""))

    async def guarded(request: web.Request, context: Context) -> web.Response:
        return web.Response(body=Body(b""))

    routes = [Route("GET", "/bare", bare), Route("GET", "/guarded", guarded, "all")]
    async with serving(make_service(routes=routes)) as wire:
        for path in ("/bare", "/guarded"):
            with pytest.raises(aiohttp.ClientError):
                await (await wire.session.get(wire.base + path)).read()
    assert len(set(begun)) == len(begun)  # the client tries again, on another connection
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_with_a_rule_the_handler_gets_the_context(wire: Wire) -> None:
    response = await get(wire, "/watchers", Name="alice", X_Request_ID="r-1")
    assert (response.status, await response.json()) == (200, ["alice", "prod", "127.0.0.1", "r-1"])
    assert response.headers["X-Request-ID"] == "r-1"
    response = await get(wire, "/known", Name="bob")
    assert await response.json() == ["bob", "prod", "127.0.0.1", response.headers["X-Request-ID"]]
    assert (await (await get(wire, "/all")).json())[:2] == [None, None]


@pytest.mark.parametrize(
    ("path", "name", "status", "kind"),
    [
        ("/all", "bad", 401, "Unauthenticated"),
        ("/known", None, 401, "Unauthenticated"),
        ("/watchers", None, 401, "Unauthenticated"),
        ("/watchers", "bob", 403, "Forbidden"),
        ("/listed", "bob", 403, "Forbidden"),
        ("/all", "claims", 403, "Forbidden"),
        ("/known", "claims", 403, "Forbidden"),
    ],
)
async def test_who_may_not_ask_gets_an_error_object_and_is_recorded(
    wire: Wire, records: list[CallRecord], path: str, name: str | None, status: int, kind: str
) -> None:
    response = await get(wire, path, **({} if name is None else {"Name": name}))
    assert await is_refused(response, status, {"Unauthenticated": -32001, "Forbidden": -32003}[kind], kind)
    assert response.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
    [record] = records
    assert (record.method, record.outcome, record.changes, record.address) == ("", kind, False, "127.0.0.1")
    if (path, name) == ("/watchers", "bob"):
        assert (await response.json())["error"]["data"]["needs"] == ["Watching", "Managing"]
        assert record.reason == "GET /watchers needs one of: Watching, Managing"


async def test_requests_count_against_the_limits() -> None:
    service = make_service(routes=ROUTES, authenticators=[ByName()], **{"limits.calls_per_minute": 2})
    async with serving(service) as wire:
        assert [(await get(wire, "/known", Name="bob")).status for _ in range(3)] == [200, 200, 429]
        assert (await get(wire, "/plain")).status == 200


async def test_a_body_is_read_within_the_limits(wire: Wire) -> None:
    for length, status in ((2**20, 200), (2**20 + 1, 413)):
        response = await wire.session.post(wire.base + "/size", data=io.BytesIO(b"x" * length))
        assert response.status == status
    assert await is_refused(response, 413)


@pytest.mark.parametrize(
    ("how", "status", "code", "kind"),
    [
        ("bug", 500, -32603, "InternalError"),
        ("exit", 500, -32603, "InternalError"),
        ("refusal", 418, -32600, "InvalidRequest"),
        ("call", 400, -32601, "MethodNotFound"),
        ("InvalidParams", 400, -32602, "InvalidParams"),
        ("Unauthenticated", 401, -32001, "Unauthenticated"),
        ("Forbidden", 403, -32003, "Forbidden"),
        ("NotFound", 404, -32004, "NotFound"),
        ("Conflict", 409, -32009, "Conflict"),
        ("InvalidState", 409, -32010, "InvalidState"),
        ("InternalError", 500, -32603, "InternalError"),
        ("CatalogError", 502, -32060, "CatalogError"),
        ("StorageUnavailable", 503, -32050, "StorageUnavailable"),
    ],
)
async def test_what_a_handler_raises_has_a_status(wire: Wire, how: str, status: int, code: int, kind: str) -> None:
    response = await get(wire, f"/fail?how={how}")
    assert await is_refused(response, status, code, kind)
    assert b"secret" not in await response.read()
    assert (await get(wire, "/all")).status == 200


async def test_what_is_no_response_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def give(request: web.Request, context: Context) -> Any:
        return {"a": 1}

    async with serving(make_service(routes=[Route("GET", "/dict", give, "all")])) as wire:
        assert (await get(wire, "/dict")).status == 500
    assert "the route /dict gave {'a': 1} instead of a response" in caplog.text


async def test_a_bug_is_logged_with_the_request(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    response = await get(wire, "/fail?how=exit")
    await get(wire, "/known", Name="crash")
    first, second = [record for record in caplog.records if record.exc_info]
    assert vars(first)["request_id"] == response.headers["X-Request-ID"]
    assert (first.getMessage(), second.getMessage()) == ("the route /fail failed", "the route /known failed")


async def test_other_answers_of_a_handler_stay_as_they_are(wire: Wire) -> None:
    response = await get(wire, "/fail?how=redirect")
    assert (response.status, response.headers["Location"]) == (302, "/elsewhere")
    assert (await get(wire, "/fail?how=refusal")).headers["X-Tea"] == "green"


async def test_an_answer_that_fails_when_it_has_begun_ends_with_its_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def begin(request: web.Request, context: Context) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"the first half")
        raise ValueError("secret")

    async with serving(make_service(routes=[Route("GET", "/half", begin, "all")])) as wire:
        async with wire.session.get(wire.base + "/half") as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        assert await wire.call("echo", 1) == 1
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["the route /half failed"]


async def test_a_bare_route_that_raises_systemexit_does_not_end_the_server() -> None:
    async def end(request: web.Request) -> web.Response:
        raise SystemExit

    async with serving(make_service(routes=[Route("GET", "/end", end)])) as wire:
        assert (await get(wire, "/end")).status == 500
        assert await wire.call("echo", 1) == 1


@pytest.mark.parametrize(
    ("routes", "says"),
    [
        ([("*", "/rpc")], "the path '/rpc' is served by both server.path and tests"),
        ([("GET", "/health/live")], "the path '/health/live' is served by both the server and tests"),
        ([("GET", "/a"), ("POST", "/b"), ("*", "/a")], "the path '/a' is served by both tests and tests"),
        ([("GET", "metrics")], "tests: 'metrics' cannot be a route's path"),
        ([("GET", "/{metrics")], r"tests: '/\{metrics' cannot be a route's path"),
    ],
)
def test_routes_that_cannot_be_served_stop_the_start(routes: list[tuple[str, str]], says: str) -> None:
    service = make_service(routes=[Route(verb, path, plain) for verb, path in routes])
    with pytest.raises(ConfigurationError, match=says):
        build_app(service)


async def test_one_path_may_have_several_verbs() -> None:
    async with serving(make_service(routes=[Route(verb, "/a", plain) for verb in ("GET", "POST")])) as wire:
        assert await (await wire.session.post(wire.base + "/a")).text() == "POST 3"


async def test_stopping_waits_for_the_answer_of_a_route_with_a_rule() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request, context: Context) -> web.Response:
        entered.set()
        await leave.wait()
        return web.Response(text="done")

    async def ask(wire: Wire) -> tuple[str, str | None]:
        async with aiohttp.ClientSession() as session, session.get(wire.base + "/slow") as response:
            return await response.text(), response.headers.get("Connection")

    async with serving(make_service(routes=[Route("GET", "/slow", slow, "all")])) as wire:
        asking = asyncio.create_task(ask(wire))
        await entered.wait()
        asyncio.get_running_loop().call_later(0.05, leave.set)
    assert await asking == ("done", "close")
