"""What is no HTTP request, and whose address a connection has (REPORTS A7, A14)."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import aiohttp
import pytest

from jsonrpc_tm.auth.x509 import OPTIONS
from jsonrpc_tm.core.addresses import address, host, is_loopback, network, normal
from jsonrpc_tm.core.errors import BadCredentials
from jsonrpc_tm.core.identity import Credentials, Identity
from jsonrpc_tm.core.records import CallRecord, Route
from jsonrpc_tm.http.listener import local_url
from jsonrpc_tm.settings import load
from tests.http.fakes import ECHO, HEAD, Wire, make_service, raw, serving

POST = b"POST /rpc HTTP/1.1\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NO_REQUESTS = {
    "a header of 70 kB": (HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "200 headers": (HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n", 431),
    "a URL of 9 kB": (b"POST /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "no Host": (POST + b"Content-Length: 2\r\n\r\n[]", 400),
    "two Hosts": (POST + b"Host: x\r\nHost: y\r\nContent-Length: 2\r\n\r\n[]", 400),
    "a bad chunk": (CHUNKED + b"zz\r\n\r\n", 400),
    "a bad header": (HEAD + b"a b: c\r\n\r\n", 400),
    "a bad URL": (b"POST http://[ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "no HTTP": (b"hello\r\n\r\n", 400),
    "HTTP/9.9": (b"POST /rpc HTTP/9.9\r\n\r\n", 400),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
}


async def _fail(request: Any) -> Any:
    raise ValueError("mysql://root:secret@db")


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving(make_service(routes=[Route("GET", "/broken", _fail)])) as wire:
        yield wire


def _refused(answer: bytes, status: int) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    lines = head.split(b"\r\n")
    assert b"Server: jsonrpc-tm" in lines
    assert b"Content-Type: application/json" in lines
    assert answer.count(b"HTTP/1.") == 1
    error: dict[str, Any] = json.loads(body)
    assert (error["jsonrpc"], error["id"]) == ("2.0", None)
    assert error["error"]["data"]["request_id"].encode() in head
    return error["error"]


async def test_a_header_that_is_there_twice_is_said(wire: Wire) -> None:
    error = _refused(await raw(wire, HEAD + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"), 400)
    assert error["message"] == "Invalid request: a header that may be there once is there twice"


@pytest.mark.parametrize("case", NO_REQUESTS)
async def test_a7_what_is_no_request_gets_an_answer_of_ours(
    wire: Wire, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    sent, status = NO_REQUESTS[case]
    with caplog.at_level(logging.INFO):
        error = _refused(await raw(wire, sent), status)
    assert (error["code"], error["data"]["type"]) == (-32600, "InvalidRequest")
    assert await wire.call("echo", 1) == 1
    (record,) = caplog.records
    assert (record.levelno, record.exc_info, vars(record)["address"]) == (logging.INFO, None, "127.0.0.1")


async def test_a7_a_bad_chunk_later_ends_the_body(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(CHUNKED + b"1\r\n[\r\n")
    await writer.drain()
    assert await wire.call("echo", 1) == 1  # the server waits for the rest now
    writer.write(b"zz\r\n\r\n")
    async with asyncio.timeout(15):
        _refused(await reader.read(), 400)
    writer.close()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a7_a_route_that_fails_is_answered_alike(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    error = _refused(await raw(wire, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n"), 500)
    assert (error["code"], error["message"]) == (-32603, "Internal error")
    assert any(record.exc_info for record in caplog.records)


class Balanced:
    """Knows callers by the header Name; remembers where they came from."""

    name = "balanced"
    seen: ClassVar[set[str | None]] = set()

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        self.seen.add(credentials.remote)
        if "Name" in credentials.headers:
            raise BadCredentials("That is not your name")
        return None


async def test_a14_an_ipv4_address_is_one_on_a_socket_of_ipv6(caplog: pytest.LogCaptureFixture) -> None:
    records: list[CallRecord] = []
    limits = {"server.host": "::", "server.tls.force_off": True, "limits.failures_per_minute": 2}
    service = make_service(authenticators=[Balanced()], observers=[records.append], **limits)
    async with serving(service) as wire, aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.post(
                f"http://127.0.0.1:{wire.port}/rpc",
                json=ECHO,
                headers={"Name": "bad"},
            ) as answer:
                status = answer.status
        with caplog.at_level(logging.INFO):
            await raw(wire, b"hello\r\n\r\n")
    assert status == 429
    assert {record.address for record in records} == {"127.0.0.1"}
    assert Balanced.seen == {"127.0.0.1"}
    assert vars(caplog.records[-1])["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:0a00:0001", "10.0.0.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("not:an:address", "not:an:address"),
        ("host", "host"),
    ],
)
def test_a14_every_address_has_one_form(written: str, form: str) -> None:
    assert normal(written) == form


@pytest.mark.parametrize("written", ["10.0.0.1", "::ffff:10.0.0.1", "::ffff:0:0/96", "10.0.0.0/8", "::ffff:a00:0/104"])
def test_a14_balancers_are_matched_however_they_are_written(written: str) -> None:
    (found,) = OPTIONS["balancers"].deserialize([written])
    assert address("::ffff:10.0.0.1") in found


def test_a14_networks_of_ipv6_stay() -> None:
    assert address("fe80::1%eth1") in network("fe80::%eth0/64")
    assert address("10.0.0.1") not in network("2001:db8::/32")
    assert address("10.0.0.1") not in network("::/0")


@pytest.mark.parametrize(
    ("given", "loaded", "shown"),
    [
        ("[::1]", "::1", "[::1]"),
        ("0:0:0:0:0:0:0:1", "::1", "[::1]"),
        ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("LocalHost", "localhost", "localhost"),
        ("fe80::1%eth0", "fe80::1%eth0", "[fe80::1%25eth0]"),
    ],
)
def test_a14_the_host_to_listen_on(given: str, loaded: str, shown: str) -> None:
    settings = load(None, {}, {"server.host": given}, ())
    assert settings["server.host"] == loaded
    assert local_url(settings) == f"https://{shown}:8443/rpc"


def test_a14_loopback_is_loopback() -> None:
    for written in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "localhost", "LOCALHOST"):
        assert is_loopback(written)
    for written in ("0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "localhost.example.org"):
        assert not is_loopback(written)


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:80", "::1"),
        ("[::FFFF:127.0.0.1]", "127.0.0.1"),
        ("::1", "::1"),
        ("Host.example.org:443", "host.example.org"),
        ("host", "host"),
    ],
)
def test_a14_addresses_with_ports(written: str, form: str) -> None:
    assert host(written) == form
