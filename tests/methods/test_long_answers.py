"""Plain JSON answers of lists: short ones in one piece, long ones as their rows are read (8.5)."""

import gzip
import json

import aiohttp
import pytest

from jsonrpc_tm.client import Client, ConnectionFailed
from jsonrpc_tm.core import errors
from jsonrpc_tm.core.errors import StorageUnavailable

from ..waiting import until
from .test_streams import LISTS, PLAIN, ask, breaking

JSON = "application/json"
FILES = "getTransformationFiles"


@pytest.fixture(autouse=True)
def shortness(monkeypatch):
    """Three rows are a long list."""
    monkeypatch.setattr("jsonrpc_tm.http.listing._SHORT", 2)


@pytest.fixture
def opened(small_wire, monkeypatch):
    """The names of the streams that were opened."""
    names = []
    genuine = small_wire.storage.storage.stream

    def stream(name, *args, **kwargs):
        names.append(name)
        return genuine(name, *args, **kwargs)

    monkeypatch.setattr(small_wire.storage, "stream", stream)
    return names


async def test_long_answers_are_what_short_ones_are(wire):
    await wire("setTransformationParameter", 3, "end", '"é\\\n\u0001😀')
    lengths = []
    for method, params in LISTS:
        expected = await wire(method, **params)
        response, body = await ask(wire, method, params, JSON)
        assert (response.status, response.content_type) == (200, JSON)
        answer = json.loads(body)
        assert list(answer) == ["jsonrpc", "result", "id"]
        assert json.dumps(answer) == json.dumps({"jsonrpc": "2.0", "result": expected, "id": 7})
        lengths.append((len(expected) > 2, "Content-Length" in response.headers))
        assert wire.records[-1].outcome == "ok"
    assert {(True, False), (False, True)} <= set(lengths)


async def test_short_answers_need_no_stream(small_wire, opened):
    for params in ({"limit": 10}, {"condDict": {"LFN": "none"}}, {"limit": 1, "offset": 1}):
        response, body = await ask(small_wire, FILES, params, JSON)
        assert json.loads(body)["result"] == await small_wire(FILES, **params)
        assert int(response.headers["Content-Length"]) == len(body)
    assert opened == []
    response, body = await ask(small_wire, FILES, {"limit": 11, "offset": 1}, JSON)
    assert json.loads(body)["result"] == (await small_wire(FILES))[1:12]
    assert opened == [FILES]


async def test_batches_and_http_1_0_get_one_piece(small_wire, opened):
    expected = await small_wire(FILES)
    call = {"jsonrpc": "2.0", "method": FILES, "id": 1}
    async with small_wire.session.post(small_wire.url, json=[call], headers=PLAIN) as response:
        assert (await response.json())[0]["result"] == expected
    async with (
        aiohttp.ClientSession(version=aiohttp.HttpVersion10) as session,
        session.post(small_wire.url, json=call) as response,
    ):
        assert "Content-Length" in response.headers
        assert (await response.json())["result"] == expected
    assert opened == []


async def test_long_answers_are_compressed(small_wire):
    _, plain = await ask(small_wire, FILES, {}, JSON)
    response, body = await ask(small_wire, FILES, {}, JSON, **{"Accept-Encoding": "gzip"})
    assert (response.headers["Content-Encoding"], response.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(body) == plain


async def test_what_is_hidden_is_hidden_in_long_answers(small_wire):
    small_wire.policy.allowed = {"TransformationID": [1, 3]}
    _, body = await ask(small_wire, FILES, {}, JSON)
    assert {row["TransformationID"] for row in json.loads(body)["result"]} == {1, 3}


@pytest.mark.parametrize("error", [StorageUnavailable("The database is gone"), ValueError("secret")])
async def test_an_error_midway_ends_the_connection(small_wire, monkeypatch, error):
    breaking(small_wire, monkeypatch, error)
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(small_wire, FILES, {}, JSON)
    kind = "InternalError" if isinstance(error, ValueError) else "StorageUnavailable"
    assert small_wire.records[-1].outcome == kind


async def test_errors_before_the_first_row_are_objects(small_wire, monkeypatch):
    for method, params, kind in (
        (FILES, {"limit": -1}, "InvalidParams"),
        (FILES, {"columns": ["x"]}, "InvalidParams"),
        ("getTransformationLogging", {"transName": "none"}, "NotFound"),
    ):
        response, body = await ask(small_wire, method, params, JSON)
        error = json.loads(body)["error"]
        assert (response.status, error["data"]["type"]) == (200, kind)
        assert error["data"]["request_id"] == response.headers["X-Request-ID"]

    def lost(*args, **kwargs):
        raise StorageUnavailable("The database is gone")

    monkeypatch.setattr(small_wire.storage, "stream", lost)
    _, body = await ask(small_wire, FILES, {}, JSON)
    assert json.loads(body)["error"]["data"]["type"] == "StorageUnavailable"


async def test_who_finds_no_place_for_a_stream_gets_one_piece(small_wire, monkeypatch, opened):
    monkeypatch.setattr(small_wire.storage, "streams_at_once", lambda caller: False)
    response, body = await ask(small_wire, FILES, {}, JSON)
    assert "Content-Length" in response.headers
    assert json.loads(body)["result"] == await small_wire(FILES)
    assert opened == []


async def test_long_answers_wait_for_room(small_wire, monkeypatch):
    taken = []

    def full(_, number, *__):
        taken.append(number)
        if len(taken) > 1:  # all but the request
            raise errors.Unavailable("The server has too much in flight at the moment")

    monkeypatch.setattr("jsonrpc_tm.http.limits.Budget.check", full)
    response, body = await ask(small_wire, FILES, {}, JSON)
    assert (response.status, response.headers["Retry-After"]) == (503, "5")
    assert json.loads(body)["error"]["data"]["retryable"]


async def test_who_has_gone_is_no_longer_read_for(small_wire, monkeypatch):
    breaking(small_wire, monkeypatch, None)
    body = {"jsonrpc": "2.0", "method": FILES, "id": 1}
    async with small_wire.session.post(small_wire.url, json=body) as response:
        small_wire.records.clear()
        response.close()
    await until(lambda: small_wire.records)
    assert small_wire.records[0].outcome == "Cancelled"


async def test_clients_take_no_part_for_the_whole(small_wire, monkeypatch):
    async with Client(small_wire.url) as client:
        assert await client.call(FILES) == await small_wire(FILES)
        breaking(small_wire, monkeypatch, StorageUnavailable("The database is gone"))
        with pytest.raises(ConnectionFailed):
            await client.call(FILES)
