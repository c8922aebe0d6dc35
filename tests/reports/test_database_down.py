"""B10, attacks 15 and 17: a database that is down, or only reads, is known to be so, and comes back by itself."""

import asyncio
import time
from pathlib import Path

import pytest

from jsonrpc_tm.core.errors import StorageUnavailable
from jsonrpc_tm.storage import circuit
from jsonrpc_tm.storage.circuit import Failure
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.storage.runner import Runner
from jsonrpc_tm.tools.testing.storage_contract import add_files, count, file_ids

from ..storage.mysql.proxy import Proxy
from ..waiting import until

DOWN = Failure("busy", "It is down", "all")
FROZEN = Failure("gone", "It takes no changes", "writes")


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(circuit, "PROBE_SECONDS", 0.05)


async def fails():
    raise OSError("down")


async def works():
    return "done"


async def test_b10_after_the_first_refusal_nobody_waits_until_a_probe_succeeds():
    runner = Runner(lambda error: DOWN, timeout=0.1)
    answers = asyncio.Event()
    probes = []

    async def probe():
        probes.append(runner.circuit.trouble)
        if not answers.is_set():
            raise OSError("still")

    runner.circuit.arm(probe)
    with pytest.raises(StorageUnavailable, match="It is down"):
        await runner.run("first", fails)
    assert runner.statistics["first"].retries
    runner.timeout = 1000
    for read in (True, False):
        with pytest.raises(StorageUnavailable, match="It is down") as caught:
            await runner.run("second", works, read=read)
        assert caught.value.data == {"retryable": True}
    assert "second" not in runner.statistics
    await until(lambda: len(probes) > 2)
    answers.set()
    await until(lambda: runner.circuit.trouble is None)
    assert await runner.run("third", works) == "done"
    assert set(probes) == {"It is down"}
    await runner.circuit.disarm()


async def test_b10_who_waits_already_is_told_with_the_first():
    runner = Runner(lambda error: DOWN, timeout=0.2)
    runner.circuit.arm(fails)
    late = asyncio.create_task(runner.run("late", fails))
    await asyncio.sleep(0.05)
    begin = time.perf_counter()
    runner.timeout = 0
    with pytest.raises(StorageUnavailable):
        await runner.run("first", fails)
    runner.timeout = 1000
    with pytest.raises(StorageUnavailable):
        await late
    assert time.perf_counter() - begin < 20
    await runner.circuit.disarm()


async def test_attack_15_while_nothing_can_be_changed_reads_go_on():
    runner = Runner(lambda error: FROZEN)
    runner.circuit.arm(fails)
    with pytest.raises(StorageUnavailable, match="no changes"):
        await runner.run("write", fails)
    assert await runner.run("read", works, read=True) == "done"
    with pytest.raises(StorageUnavailable, match="no changes"):
        await runner.run("write", works)
    assert runner.circuit.trouble == "It takes no changes"
    await runner.circuit.disarm()


@pytest.mark.mariadb
async def test_b10_a_server_that_is_gone_and_comes_back(mysql_url, mariadb):
    async with Proxy(mariadb.port) as proxy:
        url = mysql_url.replace(str(mariadb.port), str(proxy.listening))
        storage = MySQLProvider().open(url, migrate=True, migrations=(), options={"pool_size": 2, "timeout": 1})
        async with storage:
            assert storage.trouble is None
            proxy.refusing = True
            storage.runner.timeout = 0.3
            with pytest.raises(StorageUnavailable, match="cannot be reached"):
                await storage.run("first", count, "DataFiles", read=True)
            storage.runner.timeout = 30
            begin = time.perf_counter()
            for read in (True, False) * 20:
                with pytest.raises(StorageUnavailable, match="cannot be reached"):
                    await storage.run("others", count, "DataFiles", read=read)
            assert time.perf_counter() - begin < 20
            assert storage.trouble == "The database cannot be reached"
            proxy.refusing = False
            await until(lambda: storage.trouble is None)
            assert await storage.run("again", count, "DataFiles", read=True) == 0
        assert storage.trouble == "The database is closed"


@pytest.mark.mariadb
async def test_attack_15_a_read_only_server_is_read_and_says_what_it_is(mysql_url, mariadb):
    database = mysql_url.rpartition("/")[2]
    mariadb.sql(f"CREATE OR REPLACE USER plain@'%'; GRANT ALL ON {database}.* TO plain@'%'")
    url = mysql_url.replace("root@", "plain@")
    async with MySQLProvider().open(url, migrate=True, migrations=(), options={}) as storage:
        await storage.run("add", add_files, ["/a"])
        mariadb.sql("SET GLOBAL read_only = 1")
        try:
            # on a connection from before, and then on none
            for lfn in ("/b", "/c"):
                with pytest.raises(StorageUnavailable, match="read only: it takes no changes") as caught:
                    await storage.run("add", add_files, [lfn])
                assert caught.value.data == {"retryable": True}
            assert storage.runner.statistics["add"].longest < 20
            assert list(await storage.run("read", file_ids, read=True)) == ["/a"]
            assert "read only" in (storage.trouble or "")
            # a server that starts now reads too
            async with MySQLProvider().open(url, migrate=False, migrations=(), options={}) as another:
                assert list(await another.run("read", file_ids, read=True)) == ["/a"]
        finally:
            mariadb.sql("SET GLOBAL read_only = 0")
        await until(lambda: storage.trouble is None)
        await storage.run("add", add_files, ["/d"])
        assert list(await storage.run("read", file_ids, read=True)) == ["/a", "/d"]


@pytest.mark.mariadb
def test_attack_17_each_server_of_the_tests_has_a_folder_of_its_own_for_temporary_tables(mariadb, pytestconfig):
    assert mariadb.sql("SELECT @@tmpdir").strip() == str(mariadb.temporary)
    assert mariadb.temporary.parent == mariadb.folder
    # all servers are started by that class, also the cluster's
    starting = [
        path.name
        for folder in ("jsonrpc_tm", "tests", "benchmarks")
        for path in (pytestconfig.rootpath / folder).rglob("*.py")
        if "--datadir" in path.read_text("utf-8") and path.name != Path(__file__).name
    ]
    assert starting == ["mariadb.py"]
