"""Compressed requests and answers, and the largest body."""

import gzip
import itertools
import json
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from jsonrpc_tm.core.errors import ParseError
from jsonrpc_tm.http import compression as encoding
from jsonrpc_tm.rpc.service import Service

from .fakes import ANSWER, ECHO, Wire, is_refused


def _raw_deflate(data: bytes) -> bytes:
    worker = zlib.compressobj(wbits=-15)
    return worker.compress(data) + worker.flush()


COMPRESSORS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("name", COMPRESSORS)
async def test_compressed_bodies(wire: Wire, name: str) -> None:
    for value in ("hello", "x" * 500_000, [f"/lhcb/{n * 7919}" for n in range(30_000)]):
        body = COMPRESSORS[name](json.dumps({**ECHO, "params": [value]}).encode())
        assert (await (await wire.post(body, Content_Encoding=name)).json())["result"] == value


async def test_bare_deflate_which_many_clients_send(wire: Wire) -> None:
    response = await wire.post(_raw_deflate(json.dumps(ECHO).encode()), Content_Encoding="deflate")
    assert await response.json() == ANSWER


@pytest.mark.parametrize("name", ["br", "zstd", "compress", "gzip, gzip", "deflate,gzip", "nonsense"])
async def test_other_encodings_are_415(wire: Wire, name: str) -> None:
    response = await wire.post(ECHO, Content_Encoding=name)
    assert await is_refused(response, 415)
    assert response.headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize("name", ["gzip", "deflate"])
@pytest.mark.parametrize("damage", ["cut", "short", "trailing", "flipped", "plain", "empty", "padded", "another"])
async def test_a_stream_that_does_not_decompress_to_its_end_is_a_parse_error(
    wire: Wire, name: str, damage: str
) -> None:
    whole = COMPRESSORS[name](json.dumps({**ECHO, "params": ["x" * 1000]}).encode())
    body = {
        "cut": whole[:-1],
        "short": whole[:5],
        "trailing": whole + b"x",
        "flipped": whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:],
        "plain": json.dumps(ECHO).encode(),
        "empty": b"",
        "padded": whole + b"\0",
        "another": whole + {"gzip": zlib.compress, "deflate": gzip.compress}[name](b"  "),
    }[damage]
    response = await wire.post(body, Content_Encoding=name)
    assert await is_refused(response, 200, -32700, "ParseError")


@pytest.mark.parametrize("cuts", [[], [0], [10], [10, 10, 30], [0, 5, 2000]])
async def test_a_gzip_body_may_have_several_members(wire: Wire, cuts: list[int]) -> None:
    text = json.dumps({**ECHO, "params": ["x" * 2000]}).encode()
    places = [0, *cuts, len(text)]
    members = [gzip.compress(text[begin:end]) for begin, end in itertools.pairwise(places)]
    for body in (b"".join(members), b"".join([*members, gzip.compress(b"")])):
        response = await wire.post(body, Content_Encoding="gzip")
        assert (await response.json())["result"] == "x" * 2000
        for damaged in (body[:-1], body + b"x", body + members[0][:5]):
            assert await is_refused(await wire.post(damaged, Content_Encoding="gzip"), 200, -32700, "ParseError")


async def test_other_streams_have_no_members(wire: Wire) -> None:
    for compress in (zlib.compress, _raw_deflate):
        body = compress(json.dumps(ECHO).encode()) + compress(b"")
        assert await is_refused(await wire.post(body, Content_Encoding="deflate"), 200, -32700, "ParseError")


@pytest.mark.parametrize("size", [1, 1000, 70_000])
def test_the_limit_is_on_all_members_together(size: int) -> None:
    body = b"".join(gzip.compress(bytes([n]) * size) for n in range(20))
    whole = b"".join(bytes([n]) * size for n in range(20))
    assert encoding.decompress(body, "gzip", 20 * size) == whole
    with pytest.raises(encoding.TooLarge):
        encoding.decompress(body, "gzip", 20 * size - 1)


def test_members_without_end_are_not_read_without_end() -> None:
    assert encoding.decompress(gzip.compress(b"") * 10_000, "gzip", 10) == b""
    with pytest.raises(ParseError):
        encoding.decompress(gzip.compress(b"") * 10_001, "gzip", 10)


async def test_two_lines_are_one_header(wire: Wire) -> None:
    for lines in (["gzip", "gzip"], ["identity", "gzip"], ["gzip", "br"]):
        headers = CIMultiDict([("Content-Type", "application/json"), *(("Content-Encoding", one) for one in lines)])
        response = await wire.session.post(wire.url, data=gzip.compress(json.dumps(ECHO).encode()), headers=headers)
        assert await is_refused(response, 415)
    body = json.dumps({**ECHO, "params": ["x" * 2000]}).encode()
    for lines, expected in ((["br", "gzip"], "gzip"), (["*", "gzip;q=0"], "deflate")):
        headers = CIMultiDict([("Content-Type", "application/json"), *(("Accept-Encoding", one) for one in lines)])
        response = await wire.session.post(wire.url, data=body, headers=headers)
        assert response.headers["Content-Encoding"] == expected


async def test_the_largest_body(service: Service, wire: Wire) -> None:
    limit = service.settings["server.max_body"]
    frame = len(json.dumps({**ECHO, "params": [""]}))
    largest = json.dumps({**ECHO, "params": ["x" * (limit - frame)]}).encode()
    assert len(largest) == limit
    assert (await wire.post(largest)).status == 200
    assert await is_refused(await wire.post(largest + b" "), 413)
    assert (await wire.post(gzip.compress(largest), Content_Encoding="gzip")).status == 200
    assert await is_refused(await wire.post(gzip.compress(largest + b" "), Content_Encoding="gzip"), 413)


async def test_large_answers_are_compressed_beside_the_loop(wire: Wire) -> None:
    threads = []

    class Backend:
        """zlib, which tells in what thread it works."""

        def __getattr__(self, name: str) -> Any:
            return getattr(zlib, name)

        def compressobj(self, **arguments: Any) -> Any:
            worker = zlib.compressobj(**arguments)

            class Watched:
                flush = worker.flush

                def compress(self, data: bytes) -> bytes:
                    threads.append(threading.current_thread())
                    return worker.compress(data)

            return Watched()

    aiohttp.set_zlib_backend(Backend())
    try:
        for size in (2_000, 2**18):
            await wire.post({**ECHO, "params": ["x" * size]}, Accept_Encoding="gzip")
    finally:
        aiohttp.set_zlib_backend(zlib)
    # the long one's last part is short
    assert [thread is threading.current_thread() for thread in threads] == [True, *[False] * 4, True]


@pytest.mark.parametrize("name", ["gzip", "deflate"])
async def test_a_bomb_is_413(wire: Wire, name: str) -> None:
    bomb = COMPRESSORS[name](b" " * 200_000_000)
    assert await is_refused(await wire.post(bomb, Content_Encoding=name), 413)
    assert await wire.call("echo", 1) == 1


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_a_bomb_does_not_fill_the_memory(name: str) -> None:
    bomb = COMPRESSORS[name](bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(encoding.TooLarge):
            encoding.decompress(bomb, name, 2**20)  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


async def test_a_chunked_body_is_counted_as_it_comes(service: Service, wire: Wire) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        body = json.dumps({**ECHO, "params": ["x" * size]}).encode()
        for begin in range(0, len(body), 50_000):
            yield body[begin : begin + 50_000]

    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    response = await wire.session.post(wire.url, data=chunks(500_000), headers=headers)
    assert len((await response.json())["result"]) == 500_000
    response = await wire.session.post(wire.url, data=chunks(3_000_000), headers=headers)
    assert await is_refused(response, 413)


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("*", "gzip"),
        ("gzip;q=0, deflate;q=0.5", "deflate"),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip;q=0, *", "deflate"),
        ("*;q=0, gzip;q=0.1", "gzip"),
        ("identity", None),
    ],
)
async def test_answers_are_compressed_when_asked_and_worth_it(wire: Wire, accept: str, encoding: str | None) -> None:
    for size in (2_000, 200_000):
        response = await wire.post({**ECHO, "params": ["x" * size]}, Accept_Encoding=accept)
        assert response.headers.get("Content-Encoding") == encoding
        assert response.headers["Vary"] == "Accept-Encoding"
        raw = await response.read()
        plain = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[encoding](raw)
        assert json.loads(plain)["result"] == "x" * size
        assert encoding is None or len(raw) < size / 10
    response = await wire.post(ECHO, Accept_Encoding=accept)
    assert "Content-Encoding" not in response.headers
