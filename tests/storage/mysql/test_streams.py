"""Streams on MariaDB: rows as they come, sessions of their own, and what becomes of those."""

import asyncio
import os
import sys

import pytest

from jsonrpc_tm.core.errors import StorageUnavailable
from jsonrpc_tm.storage import streams
from jsonrpc_tm.storage.base import Select
from jsonrpc_tm.storage.mysql.driver import driver
from jsonrpc_tm.storage.streams import STREAMS
from tests.storage.mysql.proxy import Proxy

pytestmark = pytest.mark.mariadb

WIDE = "CONCAT('/', REPEAT('0', 200), LPAD(seq, 7, '0'))"


def fill(rows):
    async def body(tx):
        await tx.execute(f"INSERT INTO DataFiles (LFN, Status) SELECT {WIDE}, 'New' FROM seq_1_to_{rows}")

    return body


async def who(tx):
    query = Select("SELECT FileID, LFN, Status FROM DataFiles ORDER BY FileID")
    return await tx.fetch_value("SELECT CONNECTION_ID()"), query


def connections(mariadb, url):
    name = url.rpartition("/")[2]
    return mariadb.sql(f"SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{name}'").split()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells")
async def test_memory_stays_constant(storage, mysql_url):
    """Of 100,000 rows of 220 bytes, 22 MB."""
    await storage.run("fill", fill(100_000))
    command = [sys.executable, "-m", "tests.storage.memory", mysql_url, "FileID"]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    rows, grown = (await child.communicate())[0].split()
    assert int(rows) == 100_000
    assert float(grown) < 12


async def test_a_session_whose_rows_were_all_read_is_used_again(storage):
    await storage.run("fill", fill(3000))
    heads = set()
    for _ in range(5):
        async with storage.stream("x", who, 1000) as (head, batches):
            heads.add(head)
            assert sum([len(batch) async for batch in batches]) == 3000
    assert len(heads) == 1


async def test_a_stream_that_was_left_closes_its_connection(storage, mariadb, mysql_url):
    """Its rows would come all the same, and somebody would have to read them."""
    await storage.run("fill", fill(100_000))
    async with storage.stream("x", who, 1000) as (head, batches):
        await anext(batches)
        assert str(head) in connections(mariadb, mysql_url)
    for _ in range(50):
        if str(head) not in connections(mariadb, mysql_url):
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail("the connection is still there")
    async with storage.stream("x", who, 1000) as (another, _):
        assert another != head


async def test_a_stream_has_the_snapshot_of_a_reading_transaction(storage):
    async def look(tx):
        return (await tx.fetch_value("SELECT @@tx_isolation")), Select("SELECT @@in_transaction")

    async with storage.stream("x", look) as (head, batches):
        assert head == "REPEATABLE-READ"
        assert await anext(batches) == [(1,)]


async def test_no_statement_but_the_query_is_a_transaction_too(storage):
    async def look(tx):
        return None, Select("SELECT @@in_transaction, @@tx_read_only")

    for _ in range(2):
        async with storage.stream("x", look) as (_, batches):
            assert (await anext(batches))[0][0] == 1


async def test_an_error_halfway_comes_out_and_the_next_stream_is_in_order(storage):
    await storage.run("fill", fill(50_000))

    async def broken(tx):
        two = "(SELECT 1 UNION SELECT 2)"
        return None, Select(f"SELECT IF(FileID = 30000, {two}, FileID) FROM DataFiles ORDER BY FileID")

    for _ in range(STREAMS + 1):
        rows = []
        with pytest.raises(driver.Error, match="more than 1 row"):
            await read(storage, broken, rows)
        assert 20_000 < len(rows) < 30_000
    rows = []
    await read(storage, who, rows)
    assert len(rows) == 50_000


async def read(storage, open, rows):
    async with storage.stream("x", open, 1000) as (_, batches):
        async for batch in batches:
            rows += batch


async def test_a_connection_lost_halfway_is_an_outage(storage, mariadb):
    await storage.run("fill", fill(100_000))
    async with storage.stream("x", who, 1000) as (head, batches):
        await anext(batches)
        mariadb.sql(f"KILL {head}")
        with pytest.raises(StorageUnavailable, match="cannot be reached"):
            async for _ in batches:
                pass
    await read(storage, who, [])


# START TRANSACTION with the statement of the head, the query
@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("point", range(2))
async def test_a_connection_lost_before_the_first_batch_is_made_anew(open_mysql, mariadb, mysql_url, point, mode):
    async with Proxy(mariadb.port) as proxy:
        url = mysql_url.replace(str(mariadb.port), str(proxy.listening))
        async with open_mysql(url) as storage:
            await storage.run("fill", fill(5000))
            await read(storage, who, [])
            await asyncio.sleep(0.05)
            proxy.arm(point, mode)
            rows = []
            await read(storage, who, rows)
            assert len(rows) == 5000
            assert storage.runner.statistics["x"].retries == 1


async def test_a_stalled_reader_loses_its_snapshot(storage, mariadb, mysql_url, monkeypatch):
    monkeypatch.setattr(streams, "STALL_SECONDS", 0.2)
    await storage.run("fill", fill(100_000))
    async with storage.stream("x", who, 1000) as (head, batches):
        await anext(batches)
        await asyncio.sleep(0.5)
        assert str(head) not in connections(mariadb, mysql_url)
        with pytest.raises(StorageUnavailable, match="not read"):
            await anext(batches)


@pytest.mark.parametrize("rows", [0, 200_000])
async def test_a_query_that_takes_too_long_is_ended(open_mysql, rows):
    endless = "FROM seq_1_to_100000000 AS a JOIN seq_1_to_100 AS b"
    sql = f"SELECT a.seq {endless} WHERE a.seq <= {rows}" if rows else f"SELECT COUNT(*) {endless}"

    async def open(tx):
        return None, Select(sql)

    async with open_mysql(statement_timeout=0.3) as storage:
        with pytest.raises(StorageUnavailable, match=r"took (too long|longer)"):
            await read(storage, open, [])
        await storage.ready()
