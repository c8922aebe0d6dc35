"""Requests over a real socket, as the reports had them (REPORTS A3, A8, A10, A11, A12).

The rules behind them have their own tests in ``http`` and ``rpc``.
"""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.http.fakes import ANSWER, ECHO, HEAD, Wire, is_refused, make_service, raw, serving


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving(make_service()) as wire:
        yield wire


async def _error(wire: Wire, body: bytes) -> Any:
    return await (await wire.post(body)).json()


async def test_a3_the_refusal_of_an_integer_has_the_requests_id(wire: Wire) -> None:
    body = b'{"jsonrpc":"2.0","id":7,"method":"echo","params":[18446744073709551616]}'
    answer = await _error(wire, body)
    assert (answer["id"], answer["error"]["code"]) == (7, -32600)
    first, second = await _error(wire, b"[" + body + b"," + json.dumps(ECHO).encode() + b"]")
    assert (first["id"], first["error"]["code"], second) == (7, -32600, ANSWER)


@pytest.mark.parametrize(
    "rest",
    [
        '"method":"echo","params":[18446744073709551616]',
        '"method":"echo","params":' + "[" * 50 + "]" * 50,
        '"method":"echo","params":' + "[" * 5000 + "]" * 5000,
        '"method":"echo","params":7',
        '"method":7',
        '"params":[]',
        '"method":"nothing"',
        '"method":"echo","params":{"wrong":1}',
    ],
)
async def test_a3_so_has_every_other_refusal(wire: Wire, rest: str) -> None:
    for body in (f'{{"jsonrpc":"2.0","id":"x",{rest}}}', f'{{"jsonrpc":"2.0",{rest},"id":"x"}}'):
        answer = await _error(wire, body.encode())
        assert answer["id"] == "x"
        assert "error" in answer


async def test_a8_bodies_of_several_gzip_members(wire: Wire) -> None:
    text = json.dumps(ECHO).encode()
    for parts in ([text[:20], text[20:]], [text, b""], [b"", text], [text[:9], b"", text[9:], b""]):
        body = b"".join(map(gzip.compress, parts))
        assert await (await wire.post(body, Content_Encoding="gzip")).json() == ANSWER
    # the limit is on what comes out of all together
    half = b" " * (600 * 1024)
    over = gzip.compress(half) + gzip.compress(half) + gzip.compress(text)
    assert await is_refused(await wire.post(over, Content_Encoding="gzip"), 413)


def _asking(version: bytes, expect: bytes) -> bytes:
    body = json.dumps(ECHO).encode()
    head = HEAD.replace(b"HTTP/1.1", version) + b"Connection: close\r\nExpect: %b\r\n" % expect
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def test_a10_expectations(wire: Wire) -> None:
    assert (await raw(wire, _asking(b"HTTP/1.0", b"100-continue"))).startswith(b"HTTP/1.0 200 OK\r\n")
    assert (await raw(wire, _asking(b"HTTP/1.0", b"200-ok"))).startswith(b"HTTP/1.0 200 OK\r\n")
    assert (await raw(wire, _asking(b"HTTP/1.1", b"200-ok"))).startswith(b"HTTP/1.1 417 ")


async def test_a10_two_content_encodings(wire: Wire) -> None:
    body = gzip.compress(json.dumps(ECHO).encode())
    length = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    lines = b"Content-Encoding: gzip\r\nContent-Encoding: br\r\n"
    assert (await raw(wire, HEAD + lines + length + body)).startswith(b"HTTP/1.1 415 ")
    assert (await raw(wire, HEAD + lines[:24] + length + body)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "name", ["application/json-rpc", "application/jsonrequest", "Application/JSON-RPC;charset=utf-8"]
)
async def test_a11_the_content_types_of_json_rpc(wire: Wire, name: str) -> None:
    assert await (await wire.post(ECHO, Content_Type=name)).json() == ANSWER


@pytest.mark.parametrize("name", ["text/plain", "application/jsonp"])
async def test_a11_no_others(wire: Wire, name: str) -> None:
    assert await is_refused(await wire.post(ECHO, Content_Type=name), 415)


async def test_a12_the_place_of_a_mistake_is_that_in_the_body_as_sent(wire: Wire) -> None:
    answer = await _error(wire, b'{"a":100000000000000000000000, x}')
    assert answer["error"]["message"] == "Parse error: not JSON at line 1 column 32"
