"""SQLite's own side: what a commit survives, threads, groups, and files that go away."""

import asyncio
import logging
import os
import shutil
import sqlite3
import threading

import pytest

from jsonrpc_tm.core.errors import ConfigurationError, NotFound, StorageUnavailable
from jsonrpc_tm.storage.base import CallKey
from jsonrpc_tm.storage.sqlite import SqliteProvider, SqliteStorage
from jsonrpc_tm.storage.sqlite.opening import Opening
from jsonrpc_tm.tools.testing.key_contract import once
from jsonrpc_tm.tools.testing.storage_contract import add_files, add_transformation, count, file_ids


async def pragmas(tx):
    names = ("journal_mode", "synchronous", "foreign_keys", "journal_size_limit")
    return [await tx.fetch_value(f"PRAGMA {name}") for name in names]


@pytest.fixture
async def storage(tmp_path):
    async with SqliteStorage(tmp_path / "tm.db") as storage:
        yield storage


async def test_every_connection_that_writes_waits_for_the_disk(tmp_path, monkeypatch):
    """2 is FULL: NORMAL would lose acknowledged commits when the power goes."""
    made = []
    connect = Opening.connect

    def recorded(self, mode):
        made.append((mode, connect(self, mode)))
        return made[-1][1]

    monkeypatch.setattr(Opening, "connect", recorded)
    async with SqliteStorage(tmp_path / "tm.db") as storage:
        assert await storage.run("pragmas", pragmas) == ["wal", 2, 1, 64 * 2**20]
        writing = [connection for mode, connection in made if mode != "ro"]
        assert [c.execute("PRAGMA synchronous").fetchone()[0] for c in writing] == [2]
        reading = [thread.connection for thread in storage._threads[:-1]]
        assert reading
        for connection in reading:
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                connection.execute("DELETE FROM DataFiles")


async def test_an_engine_that_refuses_full_synchronisation_is_refused(tmp_path, monkeypatch):
    class Lazy(sqlite3.Connection):
        def execute(self, sql, *parameters):
            return super().execute(sql.replace("synchronous = FULL", "synchronous = NORMAL"), *parameters)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: connect(*args, factory=Lazy, **kwargs))
    with pytest.raises(ConfigurationError, match="synchronous=2: it is 1"):
        await SqliteStorage(tmp_path / "tm.db").__aenter__()


async def test_waiting_writes_share_a_commit(storage):
    commits = []
    storage._threads[-1].connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    await asyncio.gather(*(storage.run("add", add_files, [f"/{number}"]) for number in range(200)))
    assert len(await storage.run("ids", file_ids)) == 200
    assert len(commits) < 100


async def test_writes_beyond_a_full_group_get_the_next_one(storage, monkeypatch):
    monkeypatch.setattr("jsonrpc_tm.storage.sqlite.threads.GROUP_SIZE", 3)
    names = [f"t{number}" for number in range(10)]
    async with asyncio.timeout(30):  # else a writer that stopped by mistake would never answer
        ids = await asyncio.gather(*(storage.run("add", add_transformation, name) for name in names))
        assert sorted(ids) == list(range(1, 11))
        assert await storage.run("add", add_transformation, "after") == 11


async def test_a_failing_member_leaves_the_others_of_its_group(storage):
    async def refuse(tx, lfns):
        await add_files(tx, lfns)
        raise NotFound("no")

    calls = [storage.run("x", add_files if number % 3 else refuse, [f"/{number}"]) for number in range(60)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, NotFound) for result in results] == [number % 3 == 0 for number in range(60)]
    assert set(await storage.run("ids", file_ids)) == {f"/{number}" for number in range(60) if number % 3}


async def test_a_full_disk_harms_only_who_needs_it(storage):
    """The others of the group run again, by themselves."""
    writer = storage._threads[-1].connection
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages + 8}")

    async def large(tx):
        await add_transformation(tx, "x" * 200_000)

    calls = [storage.run("add", add_files, [f"/{n}"]) for n in range(5)]
    calls[2:2] = [storage.run("large", large)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results.pop(2), StorageUnavailable)
    assert results == [None] * 5
    assert len(await storage.run("ids", file_ids)) == 5
    with pytest.raises(StorageUnavailable, match="disk of the database is full"):
        await storage.run("large", large)


async def test_a_group_that_the_engine_rolled_back_runs_again(storage):
    """Whatever makes SQLite drop the whole transaction, no innocent member is lost or answered wrongly."""
    turns = 0

    async def vicious(tx):
        nonlocal turns
        turns += 1
        tx._connection.execute("ROLLBACK")
        raise NotFound("gone")

    calls = [storage.run("add", add_files, [f"/{n}"]) for n in range(4)]
    results = await asyncio.gather(*calls[:2], storage.run("bad", vicious), *calls[2:], return_exceptions=True)
    assert isinstance(results.pop(2), NotFound)
    assert results == [None] * 4
    assert turns == 1
    assert len(await storage.run("ids", file_ids)) == 4


async def test_a_failed_commit_of_unknown_outcome_says_so(storage, monkeypatch):
    class Broken:
        def __init__(self, connection):
            self.connection = connection

        def __getattr__(self, name):
            return getattr(self.connection, name)

        def execute(self, sql, *parameters):
            if sql == "COMMIT":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                raise error
            return self.connection.execute(sql, *parameters)

    writer = storage._threads[-1]
    monkeypatch.setattr(writer, "connection", Broken(writer.connection))
    with pytest.raises(StorageUnavailable) as caught:
        await storage.run("add", add_files, ["/a"])
    assert caught.value.data == {"retryable": True, "outcome": "unknown"}


async def test_a_body_that_waits_is_reported_by_name(storage):
    async def waits(tx):
        await add_files(tx, ["/a"])
        await asyncio.sleep(0)

    for read in (False, True):
        with pytest.raises(RuntimeError, match="body of transaction waiting waits"):
            await storage.run("waiting", waits if not read else lambda tx: asyncio.sleep(0), read=read)
    assert await storage.run("ids", file_ids) == {}


async def test_a_body_that_is_no_coroutine_is_reported(storage):
    with pytest.raises(TypeError, match="transaction plain is not an async function"):
        await storage.run("plain", lambda tx: None)


async def test_a_reading_body_that_writes_is_a_bug_not_an_outage(storage):
    with pytest.raises(RuntimeError, match="announced as only reading"):
        await storage.run("liar", add_transformation, read=True)


@pytest.mark.parametrize("change", ["removed", "replaced"])
async def test_a_file_that_went_away_takes_no_more_writes(storage, change):
    """SQLite would go on writing into a file without a name, and lose it all."""
    await storage.run("add", add_files, ["/a"])
    if change == "removed":
        os.unlink(storage.path)
    else:
        shutil.copy(storage.path, f"{storage.path}.new")
        os.replace(f"{storage.path}.new", storage.path)
    for read in (False, True):
        with pytest.raises(StorageUnavailable, match=change if change == "replaced" else "gone"):
            await storage.run("count", count, "DataFiles", read=read)
    with pytest.raises(StorageUnavailable):
        await storage.ready()


async def test_a_damaged_file_is_an_outage(tmp_path):
    path = tmp_path / "tm.db"
    async with SqliteStorage(path) as storage:
        for number in range(20):
            await storage.run("add", add_files, [f"/{number}/{part}" for part in range(500)])
    content = path.read_bytes()
    path.write_bytes(content[: 4096 * 40] + b"\xff" * (len(content) - 4096 * 40))
    with pytest.raises(ConfigurationError, match="damaged"):
        await SqliteStorage(path, migrate_on_open=False).__aenter__()


async def test_a_busy_database_is_tried_again_then_given_up(tmp_path):
    async with SqliteStorage(tmp_path / "tm.db", timeout=20) as storage:
        other = sqlite3.connect(storage.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(storage.run("add", add_files, ["/a"]))
        await asyncio.sleep(1.2)  # longer than SQLite itself waits
        assert await storage.run("count", count, "DataFiles", read=True) == 0
        other.execute("COMMIT")
        await task
        assert storage.runner.statistics["add"].retries >= 1
        other.execute("BEGIN IMMEDIATE")
        storage.runner.timeout = 0.1
        with pytest.raises(StorageUnavailable, match="busy"):
            await storage.run("add", add_files, ["/b"])
        other.close()


async def test_a_key_happens_once_in_several_processes(tmp_path):
    """As far as SQLite can tell: each has connections of its own."""
    async with SqliteStorage(tmp_path / "tm.db") as one, SqliteStorage(tmp_path / "tm.db") as other:
        for turn in range(5):
            key = CallKey(f"k{turn}", "d", "2024-10-15 12:00:00", "")
            tasks = [
                each.run("once", once, key, f"/{turn}/{n}/{each is one}") for n in range(4) for each in (one, other)
            ]
            assert len(set(await asyncio.gather(*tasks))) == 1
        assert await one.run("count", count, "DataFiles", read=True) == 5


async def test_all_who_wait_share_the_wait_for_another_process(tmp_path):
    """One after the other they would wait for minutes."""
    async with SqliteStorage(tmp_path / "tm.db", timeout=0.1) as storage:
        other = sqlite3.connect(storage.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        begun = []
        writer = storage._threads[-1].connection
        writer.set_trace_callback(lambda sql: begun.append(sql) if sql.startswith("BEGIN") else None)
        calls = [storage.run("add", add_files, [f"/{number}"]) for number in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {StorageUnavailable}
        assert len(begun) <= 3
        other.close()


async def test_what_was_cancelled_before_it_began_is_not_done(storage):
    at_work, go_on = threading.Event(), threading.Event()

    async def blocking(tx):
        at_work.set()
        go_on.wait(30)

    first = asyncio.create_task(storage.run("blocking", blocking))
    await asyncio.to_thread(at_work.wait, 30)
    waiting = [asyncio.create_task(storage.run("add", add_files, [f"/{number}"])) for number in range(10)]
    await asyncio.sleep(0)
    for task in waiting[:5]:
        task.cancel()
    await asyncio.wait(waiting[:5])
    go_on.set()
    await asyncio.gather(first, *waiting[5:])
    assert set(await storage.run("ids", file_ids)) == {f"/{number}" for number in range(5, 10)}


@pytest.mark.parametrize("read", [True, False])
async def test_a_statement_that_takes_too_long_is_ended(tmp_path, read):
    async def endless(tx):
        counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
        if read:
            await tx.fetch_value(counting)
        else:
            await tx.execute(f"INSERT INTO DataFiles (LFN) {counting}")

    async with SqliteStorage(tmp_path / "tm.db", statement_timeout=0.2, timeout=1000) as storage:
        calls = [storage.run("add", add_files, [f"/{number}"]) for number in range(4)]
        calls[2:2] = [storage.run("endless", endless, read=read)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(StorageUnavailable, match="took too long"):
            raise results.pop(2)
        assert results == [None] * 4
        assert len(await storage.run("ids", file_ids)) == 4


@pytest.mark.parametrize(("slow", "logged"), [(1e-9, True), (0, False), (1000.0, False)])
async def test_slow_statements_and_transactions_are_logged_by_name(tmp_path, caplog, slow, logged):
    async with SqliteStorage(tmp_path / "tm.db", slow=slow) as storage:
        with caplog.at_level(logging.WARNING):
            await storage.run("getSlowThing", count, "DataFiles", read=True)
    about = [message for message in caplog.messages if "getSlowThing" in message]
    assert any("a statement of getSlowThing" in message and "FROM DataFiles" in message for message in about) == logged
    assert any("transaction getSlowThing took" in message for message in about) == logged
    assert storage.runner.statistics["getSlowThing"].runs == 1


async def test_closing_finishes_what_waits_and_folds_the_log(tmp_path):
    path = tmp_path / "tm.db"
    storage = await SqliteStorage(path).__aenter__()
    tasks = [asyncio.create_task(storage.run("add", add_files, [f"/{number}"])) for number in range(50)]
    await asyncio.sleep(0)
    await storage.__aexit__(None, None, None)
    assert await asyncio.gather(*tasks) == [None] * 50
    assert sorted(os.listdir(tmp_path)) == ["tm.db"]
    async with storage:
        assert len(await storage.run("ids", file_ids)) == 50
        with pytest.raises(RuntimeError, match="open already"):
            await storage.__aenter__()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda path: path.write_text("no database, just text " * 100), "cannot be opened: .* none of SQLite's"),
        (lambda path: path.mkdir(), "cannot be opened: The server may not open or make the database file"),
        (lambda path: path.parent.rmdir(), "does not exist"),
    ],
)
async def test_what_is_no_database_is_a_configuration_error(tmp_path, make, match):
    path = tmp_path / "folder" / "tm.db"
    path.parent.mkdir()
    make(path)
    with pytest.raises(ConfigurationError, match=match):
        await SqliteStorage(path, timeout=0.1).__aenter__()


async def test_the_provider_reads_the_url_and_the_settings(tmp_path):
    options = {"folder": tmp_path, "timeout": 3.0, "slow_statement": 0.5, "pool_size": 2, "url": "sqlite:///sub/x.db"}
    storage = SqliteProvider().open("sqlite:///x.db", migrate=None, migrations=(), options=options)
    async with storage:
        assert storage.path == tmp_path / "x.db"
        assert (storage.runner.timeout, storage.runner.slow) == (3.0, 0.5)
        assert len(storage._threads) == 2
    with pytest.raises(ConfigurationError, match="no database"):
        await SqliteProvider().open("sqlite:///y.db", migrate=False, migrations=(), options=options).__aenter__()
    assert sorted(os.listdir(tmp_path)) == ["x.db"]
