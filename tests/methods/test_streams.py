"""Lists in another form: rows from the cursor to the socket, and an end that proves them (8.5)."""

import asyncio
import contextlib
import gzip
import hashlib
import json
import sys

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jsonrpc_tm.client import Client, Incomplete, SyncClient
from jsonrpc_tm.core import errors
from jsonrpc_tm.core.errors import StorageUnavailable
from jsonrpc_tm.domain import event_log
from jsonrpc_tm.http import endpoint
from jsonrpc_tm.rpc.answer import json_lines, row_lines
from jsonrpc_tm.rpc.arrow import Arrow
from jsonrpc_tm.rpc.listing import Head

LINES = "application/x-ndjson"
PLAIN = {"Accept": LINES, "Accept-Encoding": "identity"}
ARROW = "application/vnd.apache.arrow.stream"
LISTS = [
    ("getTransformations", {}),
    ("getTransformations", {"columns": ["Status", "TransformationID"], "limit": 2, "after": 1}),
    ("getTransformations", {"extraParams": True}),
    ("getTransformations", {"condDict": {"TransformationID": -1}}),
    ("getTransformationFiles", {}),
    ("getTransformationFiles", {"columns": ["LFN", "LastUpdate"], "condDict": {"Status": {"!=": "Unused"}}}),
    ("getTransformationFiles", {"limit": 3, "after": [3, 2]}),
    ("getTransformationTasks", {"inputVector": True, "orderAttribute": "TargetSE:DESC"}),
    ("getTransformationLogging", {"transName": 5}),
    ("getCounters", {"table": "TransformationFiles", "attrList": ["Status", "UsedSE"], "condDict": {}}),
    ("getCounters", {"table": "TransformationFiles", "attrList": ["TaskID"], "condDict": {}, "newer": None}),
]


async def ask(tm, method, params, accept=LINES, id=7, **headers):
    body = {"jsonrpc": "2.0", "method": method, "params": params, "id": id}
    given = {"Content-Type": "application/json", "Accept": accept, "Accept-Encoding": "identity", **headers}
    async with tm.session.post(tm.url, data=json.dumps(body), headers=given) as response:
        return response, await response.read()


def proved(body):
    """Return the rows of a body and its last line, which proves them."""
    *rows, last = body.split(b"\n")[:-1]
    end = json.loads(last)
    before = body[: -len(last) - 1]
    assert end == {
        "end": True,
        "count": len(rows),
        "revision": end["revision"],
        "sha256": hashlib.sha256(before).hexdigest(),
        "id": end["id"],
    }
    return [json.loads(row) for row in rows], end


async def test_lines_are_the_rows_of_the_list(wire):
    await wire("setTransformationParameter", 3, "end", True)
    for method, params in LISTS:
        response, body = await ask(wire, method, params)
        assert (response.status, response.content_type) == (200, LINES)
        rows, end = proved(body)
        assert rows == await wire(method, **params)
        assert end["id"] == 7


async def test_arrow_has_the_same_rows(wire):
    arrow = pytest.importorskip("pyarrow")
    for method, params in LISTS:
        if "extraParams" in params:
            continue
        response, body = await ask(wire, method, params, ARROW)
        assert (response.status, response.content_type) == (200, ARROW)
        reader = arrow.ipc.open_stream(body)
        rows, metadata = [], {}
        with contextlib.suppress(StopIteration):
            while True:
                batch, metadata = reader.read_next_batch_with_custom_metadata()
                rows += batch.to_pylist()
        assert batch.num_rows == 0
        expected = await wire(method, **params)
        if method == "getCounters":
            expected = [{**values, "count": number} for values, number in expected]
        assert rows == expected
        assert metadata == {b"count": str(len(rows)).encode(), b"revision": metadata[b"revision"]}


def test_a_column_of_arrow_begins_with_any_number_of_nulls():
    arrow = pytest.importorskip("pyarrow")
    values = [[{"TaskID": task, "Status": None}, 1] for task in (None, None, 7)]
    form, head = Arrow(), Head(1, None, values=values)
    body = form.rows(head, values[:2]) + form.rows(head, values[2:]) + form.end(head, 1)
    table = arrow.ipc.open_stream(body).read_all()
    assert table.to_pylist() == [{**keys, "count": count} for keys, count in values]
    assert [str(one.type) for one in table.schema] == ["int64", "string", "int64"]


async def test_the_revision_is_where_the_events_stand(wire):
    await event_log.number(wire.storage)
    before = proved((await ask(wire, "getTransformationFiles", {}))[1])[1]["revision"]
    await wire("addFilesToTransformation", 1, ["/one/more"])
    await event_log.number(wire.storage)
    after = proved((await ask(wire, "getTransformationFiles", {}))[1])[1]["revision"]
    assert after == before + 1


async def test_what_is_accepted_is_what_comes(small_wire):
    for accept, form in (
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("APPLICATION/X-NDJSON", LINES),
        ("application/json;q=0.5, application/x-ndjson", LINES),
        ("application/x-ndjson, */*", LINES),
        ("application/x-ndjson; q=0.4, */*;q=0.5", "application/json"),
        ("application/x-ndjson;q=0", "application/json"),
        ("application/x-ndjson;q=nan", "application/json"),
        ("application/x-ndjson;q=0, application/json;q=0", "application/json"),
    ):
        response, _ = await ask(small_wire, "getTransformationFiles", {}, accept)
        assert response.content_type == form, accept


async def test_all_else_is_json(small_wire):
    for method, params in (("ping", {}), ("getTransformationStats", {"transName": 1}), ("none", {})):
        response, body = await ask(small_wire, method, params)
        assert response.content_type == "application/json"
        assert json.loads(body)["id"] == 7
    batch = [{"jsonrpc": "2.0", "method": "getTransformationFiles", "id": 1}]
    async with small_wire.session.post(small_wire.url, json=batch, headers=PLAIN) as response:
        assert len((await response.json())[0]["result"]) > 0
    async with small_wire.session.post(
        small_wire.url, json={"jsonrpc": "2.0", "method": "getTransformationFiles"}, headers=PLAIN
    ) as response:
        assert response.status == 204


@pytest.mark.parametrize("accept", [LINES, ARROW])
async def test_errors_before_the_first_row_are_json(small_wire, accept):
    for method, params, kind in (
        ("getTransformationFiles", {"limit": -1}, "InvalidParams"),
        ("getTransformationFiles", {"columns": ["x"]}, "InvalidParams"),
        ("getTransformationLogging", {"transName": "none"}, "NotFound"),
    ):
        response, body = await ask(small_wire, method, params, accept)
        assert (response.status, response.content_type) == (200, "application/json")
        answer = json.loads(body)
        assert (answer["error"]["data"]["type"], answer["id"]) == (kind, 7)
        assert small_wire.records[-1].outcome == kind


@pytest.mark.parametrize("missing", [False, True])
async def test_what_cannot_be_offered_is_406(small_wire, monkeypatch, missing):
    if missing:
        monkeypatch.setitem(sys.modules, "pyarrow.ipc", None)
        monkeypatch.setattr("jsonrpc_tm.http.listing.INSTALLED", False)
        # who takes something else as well gets that
        response, _ = await ask(small_wire, "getTransformations", {}, f"{ARROW}, {LINES};q=0.1")
        assert response.content_type == LINES
        response, _ = await ask(small_wire, "getTransformations", {}, f"{ARROW}, */*;q=0.1")
        assert response.content_type == "application/json"
    else:
        pytest.importorskip("pyarrow")
    response, body = await ask(small_wire, "getTransformations", {"extraParams": not missing}, ARROW)
    assert (response.status, response.content_type) == (406, "application/json")
    assert json.loads(body)["error"]["data"]["type"] == "InvalidRequest"
    assert (await ask(small_wire, "ping", {}, ARROW))[0].status == 200


@pytest.mark.parametrize("accept", [LINES, ARROW])
async def test_what_is_hidden_is_hidden_here_too(small_wire, accept):
    small_wire.policy.allowed = {"TransformationID": [1, 3]}
    assert {row["TransformationID"] for row in proved((await ask(small_wire, "getTransformations", {}))[1])[0]} == {
        1,
        3,
    }
    assert {row["TransformationID"] for row in proved((await ask(small_wire, "getTransformationFiles", {}))[1])[0]} == {
        1,
        3,
    }
    _, body = await ask(small_wire, "getTransformationLogging", {"transName": 2}, accept)
    assert json.loads(body)["error"]["data"]["type"] == "NotFound"


async def test_the_hash_is_of_what_was_compressed(small_wire):
    params = {"columns": ["LFN"]}
    response, plain = await ask(small_wire, "getTransformationFiles", params)
    assert response.headers["Vary"] == "Accept-Encoding"
    response, body = await ask(small_wire, "getTransformationFiles", params, **{"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == plain
    proved(plain)


async def test_the_record_is_made_when_the_list_has_ended(small_wire):
    small_wire.records.clear()
    await ask(small_wire, "getTransformationFiles", {})
    (record,) = small_wire.records
    assert (record.method, record.outcome) == ("getTransformationFiles", "ok")


def breaking(tm, monkeypatch, error):
    """Let every stream give its first row, and then *error* or, without one, nothing any more."""
    genuine = tm.storage.storage.stream

    @contextlib.asynccontextmanager
    async def stream(*args, **kwargs):
        async def some(batches):
            async for batch in batches:
                yield batch[:1]
                if error is not None:
                    raise error
                await asyncio.sleep(60)

        async with genuine(*args, **kwargs) as (head, batches):
            yield head, some(batches)

    monkeypatch.setattr(tm.storage, "stream", stream)


@pytest.mark.parametrize("error", [StorageUnavailable("The database is gone"), ValueError("secret")])
async def test_an_error_midway_is_the_last_line(small_wire, monkeypatch, error):
    breaking(small_wire, monkeypatch, error)
    response, body = await ask(small_wire, "getTransformationFiles", {})
    assert response.status == 200
    row, last = body.splitlines()
    assert json.loads(row)["FileID"] == 1
    told = json.loads(last)
    assert told.keys() == {"error"}
    kind = "InternalError" if isinstance(error, ValueError) else "StorageUnavailable"
    assert told["error"]["data"].items() >= {"type": kind, "request_id": response.headers["X-Request-ID"]}.items()
    assert b"secret" not in body
    assert small_wire.records[-1].outcome == kind


async def test_who_has_gone_is_no_longer_read_for(small_wire, monkeypatch):
    breaking(small_wire, monkeypatch, None)
    body = {"jsonrpc": "2.0", "method": "getTransformationFiles", "id": 1}
    async with small_wire.session.post(small_wire.url, json=body, headers=PLAIN) as response:
        await response.content.readline()
        small_wire.records.clear()
        response.close()
    for _ in range(500):
        if small_wire.records:
            break
        await asyncio.sleep(0.02)
    assert small_wire.records[0].outcome == "Cancelled"


async def test_lists_are_refused_when_too_much_is_in_flight(small_wire, monkeypatch):
    taken = []

    def full(_, number, *__):
        taken.append(number)
        if len(taken) > 1:  # all but the request
            raise errors.Unavailable("The server has too much in flight at the moment")

    monkeypatch.setattr("jsonrpc_tm.http.limits.Budget.check", full)
    async with small_wire.session.get(small_wire.url) as response:
        assert response.status == 405
    response, body = await ask(small_wire, "getTransformationFiles", {})
    assert (response.status, response.headers["Retry-After"]) == (503, "5")
    assert json.loads(body)["error"]["data"]["retryable"]


async def test_what_is_out_is_no_longer_in_flight(small_wire, monkeypatch):
    held = []

    class Noting(endpoint.Share):
        def answer(self, number, needed):
            held.append(self._held)
            super().answer(number, needed)

    monkeypatch.setattr(endpoint, "Share", Noting)
    await ask(small_wire, "getTransformationFiles", {})
    rows, end = held
    assert rows == end


async def test_clients_read_them(small_wire, monkeypatch):
    expected = await small_wire("getTransformationFiles")
    async with Client(small_wire.url) as client:
        rows = client.rows("getTransformationFiles", {"limit": None})
        assert [row async for row in rows] == expected
        assert (rows.count, rows.revision > 0) == (len(expected), True)
        with pytest.raises(errors.NotFound):
            [row async for row in client.rows("getTransformationLogging", ["none"])]
        with pytest.raises(errors.MethodNotFound):
            [row async for row in client.rows("none")]
        breaking(small_wire, monkeypatch, StorageUnavailable("The database is gone"))
        with pytest.raises(StorageUnavailable, match="gone"):
            [row async for row in client.rows("getTransformationFiles")]


async def test_clients_read_arrow(small_wire, monkeypatch):
    pytest.importorskip("pyarrow")
    expected = await small_wire("getTransformationFiles")
    async with Client(small_wire.url) as client:
        batches = client.batches("getTransformationFiles")
        assert [row async for batch in batches for row in batch.to_pylist()] == expected
        assert (batches.count, batches.revision > 0) == (len(expected), True)
        with pytest.raises(errors.NotFound):
            [batch async for batch in client.batches("getTransformationLogging", ["none"])]
        breaking(small_wire, monkeypatch, StorageUnavailable("The database is gone"))
        with pytest.raises(StorageUnavailable, match="gone"):
            [batch async for batch in client.batches("getTransformationFiles")]


async def test_scripts_without_asyncio_read_them(small_wire):
    expected = await small_wire("getTransformationFiles")

    def read():
        with SyncClient(small_wire.url) as client:
            rows = client.rows("getTransformationFiles")
            assert list(rows) == expected
            assert rows.count == len(expected)
            for _ in rows:  # who leaves early leaves nothing behind
                break
            return rows.revision

    assert await asyncio.to_thread(read) > 0


@pytest.mark.parametrize("damage", ["cut", "last", "row", "changed"])
async def test_clients_notice_what_is_missing(small_wire, aiohttp_server, damage):
    _, body = await ask(small_wire, "getTransformationFiles", {})
    lines = body.splitlines(keepends=True)
    broken = {
        "cut": body[:-1],
        "last": b"".join(lines[:-1]),
        "row": b"".join(lines[1:]),
        "changed": body.replace(b"Unused", b"Xnused", 1),
    }[damage]

    async def answer(request):
        return aiohttp.web.Response(body=broken, content_type=LINES)

    app = aiohttp.web.Application()
    app.router.add_post("/rpc", answer)
    server = await aiohttp_server(app)
    async with Client(str(server.make_url("/rpc"))) as client:
        rows = client.rows("getTransformationFiles")
        with pytest.raises(Incomplete):
            [row async for row in rows]
        assert rows.revision is None


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1) | st.none(), st.text() | st.sampled_from(['},{"a":', "a", '"'])),
        min_size=1,
    )
)
def test_lines_of_rows_are_lines_of_objects(rows):
    assert row_lines(("a", "b"), rows) == json_lines([{"a": one, "b": two} for one, two in rows])
    assert row_lines(("b", "a"), rows) == json_lines([{"b": one, "a": two} for one, two in rows])
