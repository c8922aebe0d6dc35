"""HTTP on a real socket: what is refused and how, compression, request ids, health."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jsonrpc_tm.api import Method
from jsonrpc_tm.core.errors import BadCredentials
from jsonrpc_tm.core.identity import Credentials, Identity
from jsonrpc_tm.core.records import CallRecord
from jsonrpc_tm.http.connection import Connections

from .fakes import ANSWER, ECHO, HEAD, Gate, Wire, is_refused, make_service, raw, serving


async def test_a_call(wire: Wire) -> None:
    response = await wire.post(ECHO)
    assert (response.status, response.content_type) == (200, "application/json")
    assert await response.json() == ANSWER


async def test_a_notification_is_204_without_a_body(wire: Wire) -> None:
    response = await wire.post({"jsonrpc": "2.0", "method": "bug"})
    assert response.status == 204
    assert await response.read() == b""
    assert "Content-Type" not in response.headers


async def test_json_rpc_errors_are_http_200(wire: Wire) -> None:
    for body in (b"{", [], {**ECHO, "method": "bug"}, {**ECHO, "method": "nothing"}, {**ECHO, "params": {}}):
        response = await wire.post(body)
        assert response.status == 200
        assert "error" in await response.json()


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
async def test_other_verbs_are_405(wire: Wire, verb: str) -> None:
    response = await wire.session.request(verb, wire.url)
    assert await is_refused(response, 405)
    assert response.headers["Allow"] == "POST"


async def test_head_is_405(wire: Wire) -> None:
    response = await wire.session.head(wire.url)
    assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8; profile=x",
        "Application/JSON",
        "application/json;",
        "application/json; charset=utf-16",
        "application/json-rpc",
        "Application/JSON-RPC;charset=utf-8",
        "application/jsonrequest; a=b",
    ],
)
async def test_json_with_any_parameters_counts(wire: Wire, content_type: str) -> None:
    assert await (await wire.post(ECHO, Content_Type=content_type)).json() == ANSWER


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "text/json", "application/jsonp", "application/json-rpcs", "json", "/", ";"]
)
async def test_other_content_types_are_415(wire: Wire, content_type: str) -> None:
    if content_type:
        response = await wire.post(ECHO, Content_Type=content_type)
    else:
        response = await wire.session.post(
            wire.url, data=json.dumps(ECHO).encode(), skip_auto_headers=["Content-Type"], headers={}
        )
    assert await is_refused(response, 415)


@pytest.mark.parametrize("sent", ["abc-123", "0" * 128, "a.b:c/d+e=f@g~h_"])
async def test_a_well_formed_request_id_is_taken_over(wire: Wire, sent: str) -> None:
    for body in (ECHO, {**ECHO, "method": "nothing"}, b"{", {"jsonrpc": "2.0", "method": "echo"}):
        response = await wire.post(body, X_Request_ID=sent)
        assert response.headers["X-Request-ID"] == sent
        raw = await response.read()
        if b"error" in raw:
            assert json.loads(raw)["error"]["data"]["request_id"] == sent


@pytest.mark.parametrize("sent", ["", " ", "0" * 129, 'a"b', "a b", "é", "a;b", "<b>"])
async def test_any_other_request_id_is_replaced(wire: Wire, sent: str) -> None:
    first, second = await wire.post(b"{", X_Request_ID=sent), await wire.post(b"{", X_Request_ID=sent)
    made = first.headers["X-Request-ID"]
    assert made not in (sent, second.headers["X-Request-ID"])
    assert (await first.json())["error"]["data"]["request_id"] == made


class Tokens:
    """An authenticator: ``Authorization: alice`` is alice, ``bad`` is refused, ``crash`` and ``exit`` are bugs."""

    name = "tokens"

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        token = credentials.headers.get("Authorization")
        assert credentials.remote == "127.0.0.1"
        if token == "bad":
            raise BadCredentials("The token is wrong", reason="expired")
        if token == "crash":
            raise ValueError("secret")
        if token == "exit":
            raise SystemExit("secret")
        return Identity(username=token, group="g") if token else None


@pytest.fixture
async def known() -> AsyncIterator[Wire]:
    """The same server, which asks ``Tokens`` who calls."""
    async with serving(make_service(authenticators=[Tokens()])) as wire:
        yield wire


async def test_who_calls(known: Wire) -> None:
    who = {**ECHO, "method": "who", "params": []}
    assert (await (await known.post(who, Authorization="alice")).json())["result"] == "alice"
    assert (await (await known.post(who)).json())["result"] is None
    refused = await known.post([who], Authorization="bad")
    assert await is_refused(refused, 401, -32001, "Unauthenticated")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert (await refused.json())["error"]["data"]["reason"] == "expired"


async def test_the_log_has_the_address_of_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[CallRecord] = []
    async with serving(make_service(authenticators=[Tokens()], observers=[seen.append])) as wire:
        await wire.post(ECHO)
        await wire.post(ECHO, Authorization="bad")
        assert [record.address for record in seen] == ["127.0.0.1"] * 2
        with caplog.at_level("INFO"):
            await wire.session.get(wire.base + "/nothing")
            await wire.session.get(wire.url)
            await wire.post([])
    assert [vars(record)["address"] for record in caplog.records[-3:]] == ["127.0.0.1"] * 3


@pytest.mark.parametrize("token", ["crash", "exit"])
async def test_a_bug_outside_of_methods_leaks_nothing(
    known: Wire, caplog: pytest.LogCaptureFixture, token: str
) -> None:
    response = await known.post(ECHO, Authorization=token)
    assert await is_refused(response, 200, -32603, "InternalError")
    assert b"secret" not in await response.read()
    assert any(record.exc_info for record in caplog.records)
    assert await known.call("echo", 1) == 1


@pytest.mark.parametrize("failure", [SystemExit(0), BaseException("secret"), asyncio.CancelledError("secret")])
async def test_a_method_that_would_end_more_than_its_call_does_not(failure: BaseException) -> None:
    async def end(outside: Any) -> None:
        """End everything."""
        raise failure

    async with serving(make_service(Method("end", end, rule="all"))) as wire:
        response = await wire.post({**ECHO, "method": "end", "params": []})
        answer = await response.json()
        assert (response.status, answer["id"]) == (200, 1)
        assert answer["error"]["data"]["type"] == "InternalError"
        assert b"secret" not in await response.read()
        # the other entries of its batch are answered too
        batch = await (await wire.post([{**ECHO, "method": "end", "params": []}, ECHO])).json()
        assert [entry.get("result") for entry in batch] == [None, "hello"]


async def test_other_paths_are_404(wire: Wire) -> None:
    for verb, path in (("POST", "/"), ("GET", "/rpc/"), ("PUT", "/a%0Ab")):
        response = await wire.session.request(verb, wire.base + path, data=b"{}")
        assert await is_refused(response, 404)
        message = (await response.json())["error"]["message"]
        assert message == f"Invalid request: there is no {verb} {path} here; calls go to POST /rpc"


async def test_other_verbs_on_other_routes_are_405(wire: Wire) -> None:
    response = await wire.session.post(wire.base + "/health/live", data=b"{}")
    assert await is_refused(response, 405)
    assert response.headers["Allow"] == "GET,HEAD"


@pytest.mark.parametrize("path", ["/rpc", "/health/live", "/nothing"])
async def test_no_answer_tells_versions(wire: Wire, path: str) -> None:
    response = await wire.session.get(wire.base + path)
    assert response.headers["Server"] == "jsonrpc-tm"


async def test_a_body_that_does_not_arrive_ends_after_the_timeout() -> None:
    async with serving(make_service(**{"server.body_timeout": 0.05})) as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(HEAD + b'Content-Length: 100\r\n\r\n{"jsonrpc"')
        answer = await reader.readuntil(b"null}")
        writer.close()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"InvalidRequest"' in answer
        assert await wire.call("echo", 1) == 1


async def test_headers_that_do_not_arrive_end_the_connection() -> None:
    async with serving(make_service(**{"server.keepalive": 0.05})) as wire:
        assert await raw(wire, HEAD) == b""
        assert await wire.call("echo", 1) == 1


async def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    def message(number: int, connection: str) -> bytes:
        body = json.dumps({**ECHO, "params": [number]}).encode()
        return HEAD + b"Connection: %b\r\nContent-Length: %d\r\n\r\n" % (connection.encode(), len(body)) + body

    answer = await raw(wire, b"".join(message(n, "keep-alive") for n in range(9)) + message(9, "close"))
    results = [json.loads(part.split(b"\r\n\r\n")[1].split(b"HTTP")[0]) for part in answer.split(b"HTTP/1.1 200")[1:]]
    assert [result["result"] for result in results] == list(range(10))


async def test_a_client_that_goes_away_does_not_stop_its_call(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    async with serving(make_service(Method("wait", gate.wait, rule="all"))) as wire:
        body = json.dumps({"jsonrpc": "2.0", "method": "wait", "id": 1}).encode()
        _, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await gate.entered.wait()
        writer.close()
        await writer.wait_closed()
        # round trips, so that the server has seen the end of the connection
        for _ in range(3):
            assert await wire.call("echo", 1) == 1
        gate.open.set()
        await gate.finished.wait()
        assert await wire.call("echo", 2) == 2
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_of_rubbish_behind_a_request_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    made: list[Any] = []
    connect = Connections.connect
    monkeypatch.setattr(Connections, "connect", lambda *args: made.append(connect(*args)) or made[-1])
    async with serving(make_service(Method("wait", gate.wait, rule="all"))) as wire:
        body = json.dumps({"jsonrpc": "2.0", "method": "wait", "id": 1}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await gate.entered.wait()
        for _ in range(9):
            made[0].data_received(b"rubbish\r\n\r\n")
        assert len(made[0]._messages) == 1
        gate.open.set()
        answer = await reader.read()
        assert (answer.count(b'"through"'), answer.count(b"what came is not HTTP")) == (1, 1)
        writer.close()


async def test_stopping_finishes_running_calls_and_refuses_new_connections() -> None:
    gate = Gate()
    service = make_service(Method("wait", gate.wait, rule="all"))
    stopped = asyncio.Event()
    ready: asyncio.Future[Wire] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with serving(service) as wire:
            ready.set_result(wire)
            await stopped.wait()

    server = asyncio.create_task(serve())
    wire = await ready
    # a connection that is open and idle when the server begins to stop
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await reader.readline()
    await reader.readuntil(b"}")
    running = asyncio.create_task(
        raw(wire, HEAD + b"Content-Length: 44\r\n\r\n" + b'{"jsonrpc":"2.0","method":"wait","id":1}    ')
    )
    await gate.entered.wait()
    stopped.set()
    await asyncio.sleep(0)
    while True:
        try:
            _, other = await asyncio.open_connection("127.0.0.1", wire.port)
            other.close()
        except ConnectionError:
            break
    writer.write(b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"503" in await reader.readline()
    assert not server.done()
    gate.open.set()
    answer = await running
    assert b'"through"' in answer
    assert b"Connection: close" in answer
    await server
    writer.close()


async def test_stopping_gives_up_calls_after_the_grace(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    async with serving(make_service(Method("wait", gate.wait, rule="all"), **{"server.shutdown_grace": 0.05})) as wire:
        running = asyncio.create_task(
            raw(wire, HEAD + b"Content-Length: 44\r\n\r\n" + b'{"jsonrpc":"2.0","method":"wait","id":1}    ')
        )
        await gate.entered.wait()
    assert await running == b""
    assert "giving them up" in caplog.text
    assert not gate.finished.is_set()
