"""Statements that travel together: how many round trips a transaction costs, and what an error in the middle means."""

import asyncio
import logging

import pytest

from jsonrpc_tm.core.errors import NotFound, StorageUnavailable
from jsonrpc_tm.storage.mysql.driver import driver
from jsonrpc_tm.storage.mysql.session import Session
from jsonrpc_tm.storage.mysql.verbs import LONG
from jsonrpc_tm.storage.runner import RACES
from tests.storage.mysql.proxy import Proxy

pytestmark = pytest.mark.mariadb

INSERT = "INSERT INTO DataFiles (LFN) VALUES (:lfn)"
COUNT = "SELECT COUNT(*) FROM DataFiles"


async def lfns(tx):
    return await tx.fetch_column("SELECT LFN FROM DataFiles ORDER BY FileID")


async def whole(storage):
    """Return the names there are; the one connection of the storage must be in order for that."""
    return await storage.run("lfns", lfns, read=True)


async def nothing(tx):
    pass


async def refused(tx):
    raise NotFound("no")


async def one_read(tx):
    await tx.fetch_value(COUNT)


async def two_reads(tx):
    await tx.fetch_value(COUNT)
    await tx.fetch_all(COUNT)


async def refused_read(tx):
    await tx.fetch_value(COUNT)
    raise NotFound("no")


async def one_write(tx):
    await tx.execute(INSERT, {"lfn": "/a"})


async def three_writes(tx):
    for lfn in ("/a", "/b", "/c"):
        await tx.execute(INSERT, {"lfn": lfn})


async def only_last(tx):
    await tx.last(INSERT, {"lfn": "/a"})
    await tx.last(INSERT, {"lfn": "/b"})


async def one_and_last(tx):
    await tx.execute(INSERT, {"lfn": "/a"})
    await tx.last(INSERT, {"lfn": "/b"})


async def soon_and_read(tx):
    await tx.soon(INSERT, {"lfn": "/a"})
    await tx.soon(INSERT, [{"lfn": "/b"}, {"lfn": "/c"}])
    assert await tx.fetch_value(COUNT) == 3
    await tx.soon("DELETE FROM DataFiles WHERE LFN <> '/a'")
    await tx.last(INSERT, {"lfn": "/d"})


# the COMMIT of what only read is sent, and not waited for
@pytest.mark.parametrize(
    ("body", "read", "packets"),
    [
        (nothing, False, 0),
        (nothing, True, 0),
        (refused, False, 0),
        (refused, True, 0),
        (one_read, True, 2),
        (two_reads, True, 3),
        (refused_read, True, 2),
        (one_read, False, 2),
        (one_write, False, 2),
        (three_writes, False, 4),
        (only_last, False, 1),
        (one_and_last, False, 2),
        (soon_and_read, False, 2),
    ],
)
async def test_round_trips(open_mysql, mysql_url, mariadb, body, read, packets):
    async with Proxy(mariadb.port) as proxy:
        url = mysql_url.replace(str(mariadb.port), str(proxy.listening))
        async with open_mysql(url, pool_size=1) as storage:
            await storage.run("before", one_read, read=read)
            await asyncio.sleep(0.05)
            proxy.arm(-1, "")
            try:
                await storage.run("body", body, read=read)
            except NotFound:
                assert body in (refused, refused_read)
            await asyncio.sleep(0.05)
            assert proxy.commands == packets


@pytest.mark.parametrize(
    ("body", "packets"),
    [(one_read, 2), (one_write, 3), (only_last, 4), (one_and_last, 4), (soon_and_read, 7)],
)
async def test_on_a_cluster_nothing_follows_a_change_in_one_packet(
    open_mysql, mysql_url, mariadb, monkeypatch, body, packets
):
    """Only the beginning goes with the first statement; ``tests/cluster`` says why."""
    async with Proxy(mariadb.port) as proxy:
        url = mysql_url.replace(str(mariadb.port), str(proxy.listening))
        async with open_mysql(url, pool_size=1) as storage:
            for read in (True, False):
                await storage.run("before", one_read, read=read)
            monkeypatch.setattr(Session, "clustered", True)
            proxy.arm(-1, "")
            await storage.run("body", body)
            await asyncio.sleep(0.05)
            assert proxy.commands == packets
            if body is not one_read:
                assert "/a" in await whole(storage)

            async def twice(tx):
                await tx.last(INSERT, {"lfn": "/x"})
                await tx.last(INSERT, {"lfn": "/x"})

            with pytest.raises(driver.IntegrityError):
                await storage.run("twice", twice)
            assert "/x" not in await whole(storage)


async def test_an_answer_that_nobody_waited_for_is_read_before_the_next_statement(alone):
    for number in range(5):
        assert len(await whole(alone)) == number
        await alone.run("add", lambda tx, n=number: tx.last(INSERT, {"lfn": f"/{n}"}))
    assert await alone.run("mode", lambda tx: tx.fetch_value("SELECT @@in_transaction"), read=True) == 1


async def test_each_kind_of_transaction_gets_its_isolation(alone):
    async def level(tx):
        return await tx.fetch_value("SELECT @@tx_isolation")

    for _ in range(2):
        assert await alone.run("read", level, read=True) == "REPEATABLE-READ"
        assert await alone.run("write", level) == "READ-COMMITTED"
        await alone.run("nothing", nothing, read=True)
        assert await alone.run("write", level) == "READ-COMMITTED"


async def test_a_first_statement_that_fails_has_begun_the_transaction(alone):
    """A body may go on after an error; what it does then belongs to the same transaction."""

    async def body(tx):
        with pytest.raises(driver.Error):
            await tx.fetch_value("SELECT x FROM Nowhere")
        await tx.execute(INSERT, {"lfn": "/a"})
        raise NotFound("no")

    with pytest.raises(NotFound):
        await alone.run("body", body)
    assert await whole(alone) == []


@pytest.mark.parametrize("fails", ["soon", "verb"])
async def test_a_body_that_goes_on_after_an_error_does_not_lose_what_was_to_be_done_soon(alone, fails):
    async def body(tx):
        await tx.soon(INSERT, {"lfn": "/a"})
        await tx.soon("UPDATE NoSuchTable SET a = 1" if fails == "soon" else INSERT, {"lfn": "/b"})
        await tx.soon(INSERT, {"lfn": "/c"})
        with pytest.raises(driver.Error):
            await tx.fetch_value("SELECT x FROM Nowhere")

    if fails == "soon":
        with pytest.raises(driver.Error, match="NoSuchTable"):
            await alone.run("body", body)
    else:
        await alone.run("body", body)
    assert await whole(alone) == ([] if fails == "soon" else ["/a", "/b", "/c"])


async def test_what_is_last_keeps_its_order(alone):
    async def body(tx):
        await tx.execute(INSERT, {"lfn": "/a"})
        await tx.last("UPDATE DataFiles SET LFN = :lfn", {"lfn": "/b"})
        await tx.last("UPDATE DataFiles SET LFN = CONCAT(LFN, :more) -- and no further", {"more": "';--"})
        return await lfns(tx)

    # not there yet, which nobody may rely on
    assert await alone.run("body", body) == ["/a"]
    assert await whole(alone) == ["/b';--"]


async def test_an_error_in_the_middle_undoes_everything_and_leaves_the_connection_in_order(alone):
    runs = []

    async def body(tx):
        runs.append(await tx.fetch_value("SELECT CONNECTION_ID()"))
        await tx.execute(INSERT, {"lfn": "/a"})
        await tx.last(INSERT, {"lfn": "/b"})
        await tx.last(INSERT, {"lfn": "/a"})
        await tx.last(INSERT, {"lfn": "/c"})

    with pytest.raises(driver.IntegrityError, match="Duplicate"):
        await alone.run("body", body)
    # as for any lost race, and always on the same connection: nothing about it was unclear
    assert len(runs) == RACES + 1
    assert len(set(runs)) == 1
    assert await whole(alone) == []
    assert await alone.run("count", lambda tx: tx.fetch_value("SELECT COUNT(*) FROM CommitMarkers")) == 0


async def test_a_lock_that_is_never_granted_in_the_middle_is_a_certain_failure(open_mysql):
    async with open_mysql(timeout=1) as storage:
        storage.runner.timeout = 1.5
        await storage.run("add", one_write)
        held, done = asyncio.Event(), asyncio.Event()

        async def hold(tx):
            await tx.execute("UPDATE DataFiles SET Status = 'x'")
            held.set()
            await done.wait()

        async def want(tx):
            await tx.execute(INSERT, {"lfn": "/more"})
            await tx.last("UPDATE DataFiles SET Status = 'y' WHERE LFN = '/a'")

        holder = asyncio.create_task(storage.run("hold", hold))
        await held.wait()
        with pytest.raises(StorageUnavailable) as raised:
            await storage.run("want", want)
        assert "outcome" not in raised.value.data
        done.set()
        await holder
        assert await whole(storage) == ["/a"]


SCAN = "INSERT INTO DataFiles (LFN) SELECT COUNT(*) FROM seq_1_to_100000000 AS a JOIN seq_1_to_100 AS b"


@pytest.mark.parametrize("limit", ["the server's", "ours"])
async def test_a_last_statement_that_takes_too_long_ends_the_call(open_mysql, limit):
    async with open_mysql(statement_timeout=0.3) as storage:
        storage.runner.timeout = 1

        async def slow(tx):
            if limit == "ours":
                await tx.execute("SET SESSION max_statement_time = 0")
            await tx.execute(INSERT, {"lfn": "/a"})
            # with ours the server stays at work
            await tx.last("DO SLEEP(1)" if limit == "ours" else SCAN)

        with pytest.raises(StorageUnavailable) as raised:
            await storage.run("slow", slow)
        assert "outcome" not in raised.value.data
        assert await whole(storage) == []


async def test_each_statement_of_a_packet_has_its_own_time(open_mysql):
    async with open_mysql(statement_timeout=0.5) as storage:

        async def body(tx):
            await tx.execute(INSERT, {"lfn": "/a"})
            for _ in range(3):
                await tx.last("DO SLEEP(0.3)")

        await storage.run("body", body)
        assert await whole(storage) == ["/a"]


async def test_a_slow_statement_of_a_packet_is_named(open_mysql, caplog):
    async with open_mysql(slow_statement=0.2) as storage:

        async def body(tx):
            await tx.last(INSERT, {"lfn": "/a"})
            await tx.last("DO SLEEP(0.3) /* slow */")
            await tx.last(INSERT, {"lfn": "/b"})

        with caplog.at_level(logging.WARNING):
            await storage.run("body", body)
        told = [message for message in caplog.messages if "a statement of body" in message]
        assert len(told) == 1
        assert "slow" in told[0]
        assert "took 0.3" in told[0]


async def test_a_procedure_with_results_of_its_own_does_not_confuse_the_count(alone, mariadb, mysql_url):
    """Its answers must not be taken for COMMIT's."""
    procedure = "CREATE PROCEDURE two_results() BEGIN SELECT 1; SELECT 2; END"
    mariadb.sql(f"DELIMITER //\n{procedure}//\n", mysql_url.rpartition("/")[2])

    async def body(tx):
        await tx.execute(INSERT, {"lfn": "/a"})
        await tx.last("CALL two_results()")

    # what is known of COMMIT is what the marker tells
    await alone.run("body", body)
    assert await whole(alone) == ["/a"]

    async def ordinary(tx):
        await tx.fetch_all("CALL two_results()")

    with pytest.raises(driver.NotSupportedError, match="more answers"):
        await alone.run("ordinary", ordinary)
    assert await whole(alone) == ["/a"]


async def test_a_transaction_without_statements_between_two_that_read_leaves_the_answers_in_step(alone):
    for number in range(3):
        assert await alone.run("one", lambda tx, n=number: tx.fetch_value(f"SELECT {n}"), read=True) == number
        for _ in range(3):
            await alone.run("nothing", nothing, read=True)
            with pytest.raises(NotFound):
                await alone.run("refused", refused, read=True)
    session = await alone.reading.acquire()
    for _ in range(3):
        await session.leave()
    assert await session.query("SELECT 'in step'") == [("in step",)]
    alone.reading.release(session, reusable=True)


async def test_others_have_their_turn_after_a_long_statement_that_is_put_off(open_mysql, mysql_url):
    turns: list[str] = []

    async def body(tx):
        loop = asyncio.get_running_loop()
        for words in (["/short"], [f"/{number:06}" for number in range(LONG // 8)]):
            loop.call_soon(turns.append, words[0])
            await tx.soon(INSERT, [{"lfn": word} for word in words])
            turns.append("next")
        loop.call_soon(turns.append, "many")
        await tx.soon("UPDATE DataFiles SET Status = :status WHERE FileID = 0", [{"status": "x"}] * (LONG // 32))
        turns.append("next")

    async with open_mysql(mysql_url, pool_size=1) as storage:
        await storage.run("body", body)
        assert turns == ["next", "/short", "/000000", "next", "many", "next"]
        assert await storage.run("read", lambda tx: tx.fetch_value(COUNT), read=True) == LONG // 8 + 1
