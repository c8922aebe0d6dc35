"""A13: nobody waits for another caller's long answer. What is counted is how often others have their turn meanwhile."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from jsonrpc_tm.api import Method, RequestLimits, Tuples, fields
from jsonrpc_tm.auth.users import ConfiguredUsers
from jsonrpc_tm.core import breath, garbage
from jsonrpc_tm.core.context import Context
from jsonrpc_tm.core.identity import ANONYMOUS
from jsonrpc_tm.rpc import answer
from jsonrpc_tm.rpc.answer import in_turns, json_text, long_parts
from jsonrpc_tm.rpc.dispatch import Dispatcher
from jsonrpc_tm.storage.base import Transaction
from jsonrpc_tm.storage.mysql import MySQLProvider
from plugins.dirac_https import endpoint, listing

from ..http.fakes import make_service

ROWS = [{"LFN": f"/f{n}", "FileID": n, "TaskID": None, "LastUpdate": "2024-10-15T12:00:00Z"} for n in range(20_000)]


class Turns:
    """How often something else had its turn."""

    def __init__(self) -> None:
        self.number = 0

    async def count(self) -> None:
        while True:
            self.number += 1
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def _counted(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Turns]:
    """Count turns, with work that gives way wherever it can."""
    monkeypatch.setattr(breath, "LONGEST", 0)
    turns = Turns()
    task = asyncio.create_task(turns.count())
    yield turns
    task.cancel()


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        ROWS,
        ROWS[:501],
        {"Successful": {row["LFN"]: row for row in ROWS[:1200]}, "Failed": {}},
        {"jsonrpc": "2.0", "result": {"Records": [[n, "x"] for n in range(501)], "Total": 501}, "id": "a[]b"},
        dict.fromkeys(range(501), datetime(2026, 11, 23, tzinfo=UTC)),
        {"a": [None] * 501, "b": [], "c": {}},
    ],
    ids=repr,
)
async def test_a13_long_answers_are_the_same_text_in_turns(value: Any) -> None:
    assert bytes(await in_turns(value)) == json_text(value)


async def test_a13_long_texts_become_json_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["é" * 70_000, "a", 1, None, "y" * 100_000, *("z" * 30_000 for _ in range(5)), "b"]
    for value in (texts, {"Value": texts}, texts[:1]):
        assert long_parts(value)
        assert bytes(await in_turns(value)) == json_text(value)
    lengths: list[int] = []
    real = answer.json_text
    monkeypatch.setattr(answer, "json_text", lambda value: lengths.append(len(repr(value))) or real(value))
    await in_turns(texts)
    assert max(lengths) < 200_000
    lengths.clear()
    await in_turns([1] * 100_000)
    assert len(lengths) < 220


async def test_a13_what_is_no_json_is_noticed_in_every_piece() -> None:
    with pytest.raises(TypeError):
        await in_turns([*range(1000), object()])


def test_a13_what_is_long() -> None:
    many = dict.fromkeys(range(501))
    result = {"Successful": many, "Failed": {}}
    assert [part.value for part in long_parts(ROWS)] == [ROWS]
    assert [part.value for part in long_parts(result)] == [result, many]
    assert not any(map(long_parts, (ROWS[:500], {"a": 1}, "x" * 10**6, None, {"Failed": {}})))


async def test_a13_others_have_their_turn_while_an_answer_becomes_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async def rows(outside: Any) -> list[dict[str, Any]]:
        """Return many rows."""
        return ROWS

    service = make_service(Method("rows", rows, rule="all"))
    body = json.dumps({"jsonrpc": "2.0", "method": "rows", "id": 1}).encode()
    async with _counted(monkeypatch) as turns:
        answer = await Dispatcher(service).handle(body, Context(ANONYMOUS, "r", datetime.now(UTC)))
    assert answer is not None
    assert orjson.loads(answer)["result"] == ROWS
    assert turns.number > 40


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "made"])
async def test_a13_others_have_their_turn_while_long_values_go(sent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def rows(outside: Any, given: list[Any]) -> list[Any]:
        """Return what is given, or many rows."""
        return given or [dict(row) for row in ROWS]

    service = make_service(Method("rows", rows, {"given": fields.Any_()}, rule="all"))
    given = ROWS if sent else []
    body = json.dumps({"jsonrpc": "2.0", "method": "rows", "id": 1, "params": [given]}).encode()
    steps = []

    class Counted(breath.Breath):
        async def taken(self) -> None:
            steps.append(1)

    monkeypatch.setattr(garbage, "Breath", Counted)
    assert await Dispatcher(service).handle(body, Context(ANONYMOUS, "r", datetime.now(UTC)))
    assert len(steps) > 39


async def test_a13_rows_of_mariadb_are_read_a_few_at_a_time(mysql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(tx: Transaction) -> int:
        return len(await tx.fetch_all("SELECT seq, REPEAT('x', 100) AS text FROM seq_1_to_20000"))

    read, given_way = [], []
    real_read, real_taken = asyncio.StreamReader.read, breath.Breath.taken

    async def some(self: asyncio.StreamReader, most: int) -> bytes:
        data = await real_read(self, most)
        read.append(len(data))
        return data

    async def taken(self: breath.Breath) -> None:
        given_way.append(1)
        await real_taken(self)

    monkeypatch.setattr(asyncio.StreamReader, "read", some)
    monkeypatch.setattr(breath.Breath, "taken", taken)
    async with MySQLProvider().open(mysql_url, migrate=True, migrations=(), options={}) as storage:
        assert await storage.run("many", body, read=True) == 20_000
    assert sum(read) > 2_000_000
    assert max(read) <= 32 * 1024
    assert len(given_way) >= 20


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("records", [False, True])
def test_a13_diracs_rows_become_text_a_few_at_a_time(
    as_text: bool, records: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = []
    real = listing.orjson.dumps
    monkeypatch.setattr(listing.orjson, "dumps", lambda value, **how: lengths.append(len(value)) or real(value, **how))
    rows = [(row["LFN"], row["FileID"], None, f"2024-10-15 12:00:{n % 60:02}") for n, row in enumerate(ROWS)]
    rows = rows[: 3 * listing.PIECE + 1]
    found = Tuples(("LFN", "FileID", "TaskID", "LastUpdate"), rows)
    answer = json.loads(listing.made(found, listing.Shape(False, ConfiguredUsers({}, {}, {}), records, as_text)))
    shown = (json.loads(answer["Value"]) if as_text else answer)["Value"]
    assert [row["FileID"] for row in shown] == list(range(3 * listing.PIECE + 1))
    assert max(lengths) == listing.PIECE


async def _nothing(outside: Any, condDict: Any) -> None:
    """Do nothing."""


async def test_a13_long_parameters_are_looked_at_in_a_thread() -> None:
    seen = []

    class Seen(fields.Texts):
        def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
            seen.append(threading.current_thread() is threading.main_thread())
            return super()._deserialize(value)

    async def count(outside: Any, lfns: list[str]) -> int:
        """Count."""
        return len(lfns)

    service = make_service(Method("count", count, {"lfns": Seen(required=True)}, rule="all"))
    names = [f"/f{n}" for n in range(10_001)]
    assert await service.call(service.context(), "count", [names[:10]]) == 10
    assert await service.call(service.context(), "count", [names]) == 10_001
    assert await service.call(service.context(), "count", {"lfns": names}) == 10_001
    assert seen == [True, False, False]


async def test_a13_diracs_long_arguments_are_taken_apart_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = endpoint.decode

    def decode(text: str, limits: RequestLimits) -> Any:
        seen.append(threading.current_thread() is threading.main_thread())
        return real(text, limits)

    monkeypatch.setattr(endpoint, "decode", decode)
    limits = RequestLimits(64, 2**20)
    assert await endpoint.decoded("[1]", limits) == [1]
    assert await endpoint.decoded(json.dumps(["x" * 70_000]), limits) == ["x" * 70_000]
    assert seen == [True, False]
