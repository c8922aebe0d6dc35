"""Streams: what all engines share, on a source that does as it is told; and SQLite's own side."""

import asyncio
import io
import logging
import os
import sqlite3
import sys

import pytest

from jsonrpc_tm.core.errors import StorageUnavailable
from jsonrpc_tm.storage import streams
from jsonrpc_tm.storage.base import Select
from jsonrpc_tm.storage.circuit import Failure
from jsonrpc_tm.storage.runner import Runner
from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.storage.sqlite.stream import SqliteSource
from jsonrpc_tm.storage.streams import STREAMS, Streams
from jsonrpc_tm.tools.testing.storage_contract import add_files, count
from tests.docs.blocks import files as files_of_page


class Source:
    """Gives the batches it has, or raises what is among them; counts what is open."""

    open = 0

    def __init__(self, batches):
        self.sql = "SELECT rows"
        self.batches = batches
        self.wholes = []

    async def start(self, open, size):
        Source.open += 1
        head, _ = await open(None)
        return head, await self.fetch(size)

    async def fetch(self, size):
        batch = self.batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        if isinstance(batch, float):
            await asyncio.sleep(batch)
            return await self.fetch(size)
        return [(row,) for row in batch]

    async def close(self, *, whole):
        await asyncio.sleep(0)
        Source.open -= 1
        self.wholes.append(whole)


async def head(tx):
    return "head", Select("SELECT rows")


KINDS = {"locked": Failure("busy", "It is busy"), "lost": Failure("gone", "It is gone")}


@pytest.fixture
def make():
    """Return a function that makes streams whose sources get the batches given, one list an attempt."""
    Source.open = 0
    made = []

    def make(*attempts, wait=0.2, limit=10.0, slow=1.0):
        left = list(attempts)

        def source(name):
            made.append(Source(list(left.pop(0)) if len(left) > 1 else list(left[0])))
            return made[-1]

        runner = Runner(lambda error: KINDS.get(str(error)), timeout=0.3, slow=slow)
        found = Streams(runner, source, wait=wait, limit=limit)
        found.open()
        found.made = made
        return found

    yield make
    assert Source.open == 0


async def collect(found, size=2):
    async with found.stream("x", head, size) as (given, batches):
        assert given == "head"
        return [batch async for batch in batches]


async def test_what_fails_before_the_first_batch_is_tried_again(make):
    found = make([OSError("locked")], [OSError("locked")], ["ab", "c"])
    assert await collect(found) == [[("a",), ("b",)], [("c",)]]
    assert [source.wholes for source in found.made] == [[False], [False], [True]]
    assert found.runner.statistics["x"].retries == 2


async def test_what_fails_before_the_first_batch_for_too_long_is_unavailable(make):
    with pytest.raises(StorageUnavailable, match="It is busy"):
        await collect(make([OSError("locked")]))


@pytest.mark.parametrize(
    ("error", "raised", "match"),
    [(OSError("locked"), StorageUnavailable, "It is busy"), (OSError("a bug"), OSError, "a bug")],
)
async def test_what_fails_halfway_is_not_tried_again(make, error, raised, match):
    found = make(["ab", error])
    async with found.stream("x", head, 2) as (_, batches):
        assert await anext(batches) == [("a",), ("b",)]
        for _ in range(2):  # and so it stays
            with pytest.raises(raised, match=match) as caught:
                await anext(batches)
        assert error in (caught.value, caught.value.__cause__)
        await asyncio.sleep(0.01)
        assert Source.open == 0
    (source,) = found.made
    assert source.wholes == [False]
    assert found.runner.statistics["x"].failures == 1


async def test_rows_that_are_all_there_hold_nothing_any_more(make):
    found = make(["ab", "c"])
    async with found.stream("x", head, 3) as (_, batches):
        await asyncio.sleep(0.01)
        assert Source.open == 0
        assert [len(batch) async for batch in batches] == [2]
        with pytest.raises(StopAsyncIteration):
            await anext(batches)


async def test_a_reader_that_rests_too_long_loses_its_stream(make, monkeypatch, caplog):
    monkeypatch.setattr(streams, "STALL_SECONDS", 0.1)
    for taken in (0, 1):
        found = make(["ab", "cd", "ef"])
        async with found.stream("x", head, 2) as (_, batches):
            for _ in range(taken):
                await anext(batches)
            with caplog.at_level(logging.INFO):
                await asyncio.sleep(0.2)
            assert Source.open == 0
            assert "stream x ends early" in caplog.text
            with pytest.raises(StorageUnavailable, match=r"not read for 0\.1 s"):
                await anext(batches)


async def test_a_reader_that_rests_now_and_then_does_not(make, monkeypatch):
    monkeypatch.setattr(streams, "STALL_SECONDS", 0.2)
    found = make(["ab", "cd", "ef", ""])
    async with found.stream("x", head, 2) as (_, batches):
        async for _ in batches:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("batches", [["ab"] * 1000, ["ab", 60.0, "cd"]])
async def test_a_stream_does_not_take_for_ever(make, batches):
    """Whether the reader is slow or the database."""
    found = make(batches, limit=0.2)
    async with found.stream("x", head, 2) as (_, rows):

        async def read():
            async for _ in rows:
                await asyncio.sleep(0.01)

        with pytest.raises(StorageUnavailable, match=r"took longer than 0\.2 s"):
            await read()


async def test_too_many_streams_wait_for_their_turn_then_are_refused(make):
    found = make(["ab", "cd", ""])
    open = [found.stream("x", head, 2) for _ in range(STREAMS)]
    for each in open:
        await each.__aenter__()
    with pytest.raises(StorageUnavailable, match="long answers"):
        await collect(found)
    waiting = asyncio.create_task(collect(found))
    await asyncio.sleep(0.05)
    await open[0].__aexit__(None, None, None)
    assert len(await waiting) == 2
    for each in open[1:]:
        await each.__aexit__(None, None, None)


async def test_a_stream_that_was_left_gives_no_more(make):
    found = make(["ab", "cd", ""])
    async with found.stream("x", head, 2) as (_, batches):
        await anext(batches)
    with pytest.raises(RuntimeError, match="left"):
        await anext(batches)


async def test_a_reader_cancelled_while_it_reads_ends_the_stream(make):
    found = make(["ab", 60.0, "cd"])
    async with found.stream("x", head, 2) as (_, batches):
        await anext(batches)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(batches)
        with pytest.raises(StorageUnavailable, match="went away"):
            await anext(batches)


async def test_the_time_of_the_database_is_logged_not_the_readers(make, caplog):
    for each, logged in ((["ab", 0.15, "cd", ""], True), (["ab", "cd", "ef", ""], False)):
        caplog.clear()
        async with make(each, slow=0.1).stream("x", head, 2) as (_, batches):
            async for _ in batches:
                await asyncio.sleep(0.05)
        assert any("a statement of x took" in message for message in caplog.messages) == logged


def test_the_page_shows_how(tmp_path):
    shown = {}
    exec(files_of_page("docs/storage.md")["long_answer.py"], shown)

    async def main():
        out = io.StringIO()
        async with SqliteStorage(tmp_path / "tm.db") as storage:
            await storage.run("add", add_files, [f"/{number:04}" for number in range(3000)])
            await shown["tell"](storage, out)
        return out.getvalue().splitlines()

    lines = asyncio.run(main())
    assert lines[:2] == ["3000 files", "/0000 1"]
    assert len(lines) == 3001


# SQLite

WIDE = "'/' || hex(zeroblob(100)) || printf('%07d', i)"
FILL = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n)"
    f" INSERT INTO DataFiles (LFN, Status) SELECT {WIDE}, 'New' FROM n"
)


async def fill(tx, n):
    await tx.execute(FILL, {"n": n})


async def files(tx):
    return await count(tx, "DataFiles"), Select("SELECT FileID, LFN, Status FROM DataFiles ORDER BY FileID")


async def read_all(storage, open, size, rows):
    async with storage.stream("x", open, size) as (_, batches):
        async for batch in batches:
            rows += batch


@pytest.fixture
async def storage(tmp_path):
    async with SqliteStorage(tmp_path / "tm.db") as storage:
        yield storage


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells")
@pytest.mark.parametrize("order", ["FileID", "SUBSTR(LFN, -1), LFN"])
async def test_memory_stays_constant(storage, order):
    """Of 100,000 rows of 220 bytes, 22 MB; also where SQLite has to sort them by itself."""
    await storage.run("fill", fill, 100_000)
    command = [sys.executable, "-m", "tests.storage.memory", storage.url, order]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    rows, grown = (await child.communicate())[0].split()
    assert int(rows) == 100_000
    assert float(grown) < 12


async def test_a_batch_costs_one_hop(storage, monkeypatch):
    await storage.run("fill", fill, 1000)
    hops = []
    run = SqliteSource._run

    async def counted(self, function):
        hops.append(function)
        return await run(self, function)

    monkeypatch.setattr(SqliteSource, "_run", counted)
    async with storage.stream("x", files, 100) as (head, batches):
        assert head == 1000
        assert len([batch async for batch in batches]) == 10
    # opening with the first batch, nine more, one that is empty, closing
    assert len(hops) == 12


async def test_a_stalled_reader_does_not_hold_the_log_for_ever(storage, monkeypatch):
    """As long as a snapshot is read, SQLite cannot begin its log anew."""
    monkeypatch.setattr(streams, "STALL_SECONDS", 0.3)
    await storage.run("fill", fill, 5000)

    async def restart():
        other = sqlite3.connect(storage.path, timeout=0.1)
        try:
            return other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        finally:
            other.close()

    async with storage.stream("x", files, 100) as (_, batches):
        await anext(batches)
        await storage.run("write", lambda tx: tx.execute("UPDATE DataFiles SET Status = 'x'"))
        assert not await restart()
        await asyncio.sleep(0.5)
        assert await restart()
        with pytest.raises(StorageUnavailable, match="not read"):
            await anext(batches)


async def test_an_error_halfway_comes_out_and_gives_everything_back(storage):
    await storage.run("fill", fill, 5000)

    async def broken(tx):
        low = -(2**63)
        return None, Select(
            "SELECT CASE WHEN FileID = 3000 THEN ABS(:low) ELSE FileID END FROM DataFiles", {"low": low}
        )

    for _ in range(STREAMS + 1):
        rows = []
        with pytest.raises(sqlite3.OperationalError, match="overflow"):
            await read_all(storage, broken, 100, rows)
        assert len(rows) == 2900


@pytest.mark.parametrize("early", [True, False])
async def test_a_query_that_takes_too_long_is_ended(tmp_path, early):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i {} 2000"

    async def open(tx):
        return None, Select(endless.format("< 0 OR i = " if early else "<"))

    async with SqliteStorage(tmp_path / "tm.db", statement_timeout=0.3) as storage:
        with pytest.raises(StorageUnavailable, match=r"took (too long|longer)"):
            await read_all(storage, open, 1000, [])
        assert (await asyncio.wait_for(storage.run("count", count, "DataFiles", read=True), 10)) == 0


async def test_leaving_does_not_wait_for_a_query_at_work(storage):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 2000"

    async def open(tx):
        return None, Select(endless)

    task = asyncio.create_task(read_all(storage, open, 1000, []))
    await asyncio.sleep(0.3)
    task.cancel()
    async with asyncio.timeout(20):
        await asyncio.wait([task])
    assert task.cancelled()
    assert storage._streams._places.free == STREAMS


async def test_a_stream_of_a_file_that_went_away_is_refused(storage):
    os.unlink(storage.path)
    with pytest.raises(StorageUnavailable, match="gone"):
        async with storage.stream("x", files):
            pass


async def test_connections_of_streams_are_closed(storage):
    before = set(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else set()
    await storage.run("fill", fill, 1000)
    for _ in range(20):
        async with storage.stream("x", files, 100) as (_, batches):
            await anext(batches)
    after = set(os.listdir("/proc/self/fd")) if before else set()
    assert len(after) <= len(before) + 1
