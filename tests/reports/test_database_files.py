"""Attacks 10 and 11: files of SQLite that others change are noticed, and nothing is acknowledged into them."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from jsonrpc_tm.cli.main import run
from jsonrpc_tm.core.errors import ConfigurationError, StorageUnavailable
from jsonrpc_tm.storage.sqlite import SqliteStorage, files
from jsonrpc_tm.storage.sqlite import storage as sqlite_storage
from jsonrpc_tm.storage.sqlite.opening import Opening
from jsonrpc_tm.tools.testing.storage_contract import add_files, count, file_ids

from ..waiting import until


@pytest.fixture(autouse=True)
def _always_look(monkeypatch):
    monkeypatch.setattr(files, "GLANCE_SECONDS", -1)


@pytest.fixture
async def storage(tmp_path):
    async with SqliteStorage(tmp_path / "tm.db") as storage:
        await storage.run("add", add_files, [f"/{number}" for number in range(2000)])
        yield storage


async def refused(storage, words):
    """Whether every call is refused, and readiness knows."""
    for read in (True, False):
        with pytest.raises(StorageUnavailable, match=words):
            await storage.run("count", count, "DataFiles", read=read)
    with pytest.raises(StorageUnavailable, match=words):
        async with storage.stream("all", None):
            pass
    assert words in storage.trouble
    with pytest.raises(StorageUnavailable):
        await storage.ready()
    return True


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("replaced", [False, True])
async def test_attack_10_a_file_or_log_that_is_deleted_or_replaced_is_an_outage(storage, suffix, replaced):
    assert storage.trouble is None
    path = f"{storage.path}{suffix}"
    shutil.copy(path, f"{path}.new")
    os.unlink(path)
    if replaced:
        os.rename(f"{path}.new", path)
    assert await refused(storage, "replaced" if replaced else "gone")


@pytest.mark.parametrize("left", [0, 32, 20_000])
async def test_attack_10_a_log_that_is_truncated_is_an_outage(storage, left):
    os.truncate(f"{storage.path}-wal", left)
    assert await refused(storage, "was cut")


async def test_attack_10_a_commit_into_a_log_that_is_gone_is_not_acknowledged(storage, monkeypatch):
    def deleted(self):
        os.unlink(f"{storage.path}-wal")

    # after the look before the transaction
    monkeypatch.setattr(files.DatabaseFiles, "glance", deleted)
    with pytest.raises(StorageUnavailable, match="gone") as caught:
        await storage.run("add", add_files, ["/late"])
    assert caught.value.data["outcome"] == "unknown"


async def test_attack_11_a_backup_copied_over_the_running_file_stops_the_server(storage):
    def backup(target):
        connection = sqlite3.connect(storage.path)
        connection.execute("VACUUM INTO ?", (str(target),))
        connection.close()

    target = storage.path.with_suffix(".backup")
    await asyncio.to_thread(backup, target)
    await storage.run("add", add_files, ["/later"])
    shutil.copyfile(target, storage.path)
    assert await refused(storage, "Another program has written")


def checkpoint(storage, kind):
    """Copy pages of the log into the database from another connection; return pages in the log, and copied."""
    other = sqlite3.connect(storage.path, isolation_level=None)
    _, pages, copied = other.execute(f"PRAGMA wal_checkpoint({kind})").fetchone()
    other.close()
    return pages, copied


async def test_attack_11_the_index_of_the_log_is_read_as_sqlite_writes_it(storage):
    pages, copied = checkpoint(storage, "PASSIVE")
    index = storage._files._index()
    assert index.length == 32 + pages * (24 + 4096)
    assert (index.progress[1:], index.copying) == ((copied, copied), False)
    assert copied > 0


@pytest.mark.parametrize("before", ["nothing", "PASSIVE", "TRUNCATE"])
async def test_attack_11_a_few_bytes_changed_in_the_file_are_noticed(storage, before):
    if before != "nothing":
        checkpoint(storage, before)
        assert storage.trouble is None
    with storage.path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"x")
    assert await refused(storage, "Another program has written")


async def test_attack_11_what_other_processes_do_through_sqlite_is_no_trouble(storage, tmp_path):
    """Checkpoints of every kind, writes, VACUUM, and a second server."""
    other = sqlite3.connect(storage.path, isolation_level=None)
    async with SqliteStorage(storage.path) as second:
        for turn, words in enumerate(("PASSIVE", "FULL", "RESTART", "TRUNCATE")):
            await storage.run("add", add_files, [f"/a{turn}/{number}" for number in range(3000)])
            await second.run("add", add_files, [f"/b{turn}"])
            other.execute(f"INSERT INTO DataFiles (LFN) VALUES ('/c{turn}')")
            other.execute(f"PRAGMA wal_checkpoint({words})")
            assert (storage.trouble, second.trouble) == (None, None)
        other.execute("VACUUM")
        assert await storage.run("count", count, "DataFiles", read=True) == 2000 + 4 * 3002
    await storage.run("add", add_files, ["/d"])
    other.close()
    assert storage.trouble is None


async def test_attack_11_readers_and_writers_at_once_are_no_trouble(storage):
    """Looks in the middle of checkpoints: a log of a thousand pages is copied every few calls."""

    async def work(number):
        for turn in range(6):
            await storage.run("add", add_files, [f"/{number}/{turn}/{part}" * 8 for part in range(400)])
            await storage.run("count", count, "DataFiles", read=True)

    with ThreadPoolExecutor(1) as thread:
        ended = asyncio.Event()
        looking = asyncio.get_running_loop().run_in_executor(thread, look_on, storage._files, ended)
        await asyncio.gather(*(work(number) for number in range(4)))
        ended.set()
        assert await looking > 50
    assert storage.trouble is None


def look_on(watched, ended):
    looks = 0
    while not ended.is_set():
        watched.look()
        looks += 1
    return looks


def spoil(path):
    """Make the rows of files unreadable, in the table and in its index."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (roots,) = connection.execute("SELECT MAX(rootpage) FROM sqlite_schema").fetchone()
    content = bytearray(path.read_bytes())
    for at in range(4096 * roots, len(content), 4096):
        if content[at] in (10, 13):
            content[at + 8 : at + 200] = b"\xff" * 192
    path.write_bytes(content)


@pytest.fixture
async def spoiled(tmp_path):
    path = tmp_path / "tm.db"
    async with SqliteStorage(path) as storage:
        await storage.run("add", add_files, [f"/{number}" for number in range(5000)])
    spoil(path)
    return path


async def test_attack_10_a_damaged_file_is_not_served(spoiled):
    with pytest.raises(ConfigurationError, match="is damaged: `jsonrpc-tm db check` says more"):
        await SqliteStorage(spoiled).__aenter__()


async def test_attack_10_the_limit_of_a_statement_does_not_end_the_look_at_the_whole_file(spoiled, monkeypatch):
    monkeypatch.setattr(sqlite_storage, "STEPS_BETWEEN_LOOKS", 1)
    with pytest.raises(ConfigurationError, match="is damaged"):
        await SqliteStorage(spoiled, statement_timeout=1e-9, start_check=0).__aenter__()


async def test_attack_10_a_look_that_fails_does_not_keep_the_storage_from_closing(tmp_path, monkeypatch, caplog):
    connect = Opening.connect

    def no_handle(self, mode):
        if mode == "ro" and storage._files is not None:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(self, mode)

    monkeypatch.setattr(Opening, "connect", no_handle)
    storage = SqliteStorage(tmp_path / "tm.db")
    async with storage:
        await storage.run("add", add_files, ["/a"])
    assert not os.path.exists(tmp_path / "tm.db-wal")
    assert "was not checked for damage" in caplog.text


async def test_attack_10_damage_found_after_the_start_ends_the_service(spoiled, monkeypatch, caplog):
    begin = asyncio.Event()
    connect = Opening.connect
    loop = asyncio.get_running_loop()

    def slowly(self, mode):
        if storage._open and mode == "ro":
            asyncio.run_coroutine_threadsafe(begin.wait(), loop).result()
        return connect(self, mode)

    monkeypatch.setattr(Opening, "connect", slowly)
    storage = SqliteStorage(spoiled, start_check=0.01)
    async with storage:
        assert storage.trouble is None
        begin.set()
        await until(lambda: storage.trouble)
        assert await refused(storage, "The database file is damaged")
    assert "tm.db is damaged: " in caplog.text


async def test_attack_10_a_call_that_meets_damage_is_the_last(spoiled, monkeypatch):
    monkeypatch.setattr(SqliteStorage, "_read_through", lambda self, files: None)
    async with SqliteStorage(spoiled) as storage:
        with pytest.raises(StorageUnavailable, match="damaged"):
            await storage.run("ids", file_ids, read=True)
        assert await refused(storage, "The database file is damaged")


def test_attack_10_db_check_tells_damage(spoiled, capsys):
    assert run(["db", "check", "--set", f"storage.url=sqlite:///{spoiled}"]) == 1
    assert "damaged: " in capsys.readouterr().out


@pytest.mark.parametrize("there", [True, False])
async def test_attack_10_a_database_may_be_reached_by_a_link(tmp_path, there):
    (tmp_path / "real").mkdir()
    (tmp_path / "tm.db").symlink_to("real/other.db")
    if there:
        async with SqliteStorage(tmp_path / "real" / "other.db"):
            pass
    async with SqliteStorage(tmp_path / "tm.db") as storage:
        await storage.run("add", add_files, ["/a"])
        os.unlink(tmp_path / "real" / "other.db-wal")
        assert await refused(storage, "gone")
    assert os.stat(tmp_path / "real" / "other.db").st_mode & 0o777 == 0o600
