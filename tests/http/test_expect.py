"""Clients that ask before they send the body."""

import asyncio
import json

import pytest

from .fakes import ANSWER, ECHO, HEAD, Wire, raw


async def test_a_client_that_asks_first_sends_only_bodies_that_are_wanted(wire: Wire) -> None:
    async def first_line(length: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
        line = await reader.readline()
        if b"100" in line:
            assert await reader.readline() == b"\r\n"
            writer.write(json.dumps(ECHO).encode())
            assert b"200 OK" in await reader.readline()
            assert json.dumps(ANSWER, separators=(",", ":")).encode() in await reader.readuntil(b"}")
        writer.close()
        return line

    assert await first_line(len(json.dumps(ECHO))) == b"HTTP/1.1 100 Continue\r\n"
    assert b" 413 " in await first_line(100_000_000)


@pytest.mark.parametrize("expect", ["100-Continue", "200-ok", "100-continue, x"])
async def test_http_1_0_knows_no_expectations(wire: Wire, expect: str) -> None:
    body = json.dumps(ECHO).encode()
    head = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Expect: %b\r\nContent-Length: %d\r\n\r\n" % (
        expect.encode(),
        len(body),
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    # the body comes later, as from somebody who waits for it to be asked for
    writer.write(head)
    await writer.drain()
    for _ in range(3):
        assert await wire.call("echo", 1) == 1
    writer.write(body)
    assert (await reader.read()).startswith(b"HTTP/1.0 200 OK\r\n")
    writer.close()


@pytest.mark.parametrize("lines", [["200-ok"], ["100-continue, x"], ["100-continue", "x"], ["100-continue;q=1"]])
async def test_other_expectations_are_417(wire: Wire, lines: list[str]) -> None:
    headers = "".join(f"Expect: {line}\r\n" for line in lines).encode()
    answer = await raw(wire, HEAD + headers + b"Connection: close\r\nContent-Length: 2\r\n\r\n[]")
    assert answer.startswith(b"HTTP/1.1 417 ")
    error = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (error["id"], error["error"]["code"]) == (None, -32600)
