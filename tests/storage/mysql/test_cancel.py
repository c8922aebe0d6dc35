"""Callers that go away: before COMMIT with their transaction, from then on without it; the pool is whole afterwards."""

import asyncio
import logging
import random
import time

import pytest

from jsonrpc_tm.core.errors import NotFound

pytestmark = pytest.mark.mariadb

INSERT = "INSERT INTO DataFiles (LFN) VALUES (:lfn)"


async def lfns(tx):
    return await tx.fetch_column("SELECT LFN FROM DataFiles ORDER BY FileID")


def places(pool):
    return pool._places.free


async def write(tx, number, fail=False):
    for part in range(2):
        await tx.execute(INSERT, {"lfn": f"/{number}/{part}"})
    await tx.last(INSERT, {"lfn": f"/{number}/2"})
    if fail:
        raise NotFound("no")


async def test_whatever_moment_a_caller_goes_away_at_the_pool_stays_whole(open_mysql):
    chance = random.Random(1)
    async with open_mysql(pool_size=5) as storage:
        done = set()

        async def caller(number, patience):
            read = number % 10 < 3
            call = (
                storage.run("read", lfns, read=True) if read else storage.run("write", write, number, number % 5 == 0)
            )
            task = asyncio.create_task(call)
            await asyncio.wait([task], timeout=patience)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and not task.exception() and not read:
                done.add(number)

        for first in range(0, 200, 10):
            begin = time.perf_counter()
            # at least one is waited for, to see how long they take now
            await caller(first + 9, None)
            longest = 6 * (time.perf_counter() - begin)
            await asyncio.gather(*(caller(first + each, chance.uniform(0, longest)) for each in range(9)))
        async with asyncio.timeout(30):
            for pool in (storage.pool, storage.reading):
                await pool.close()  # waits for each
        assert (places(storage.pool), places(storage.reading)) == (2, 3)
        names = await storage.run("lfns", lfns, read=True)
    assert 20 <= len(done) < 120
    for number in range(200):
        parts = sum(f"/{number}/{part}" in names for part in range(3))
        assert parts == 3 if number in done else parts in (0, 3)
        assert not (parts and number % 5 == 0)


async def slow_commit(tx):
    await tx.execute(INSERT, {"lfn": "/a"})
    await tx.last("DO SLEEP(0.3)")


@pytest.mark.parametrize("killed", [False, True])
async def test_a_commit_on_its_way_goes_on_and_the_log_tells_its_end(open_mysql, mariadb, caplog, killed):
    async with open_mysql(pool_size=1) as storage:
        number = await storage.run("who", lambda tx: tx.fetch_value("SELECT CONNECTION_ID()"))
        task = asyncio.create_task(storage.run("slow", slow_commit))
        await asyncio.sleep(0.1)
        task.cancel()
        with caplog.at_level(logging.INFO), pytest.raises(asyncio.CancelledError):
            await task
        # at once, with the commit still at work
        assert places(storage.pool) == 0
        if killed:
            await asyncio.to_thread(mariadb.sql, f"KILL {number}")
        with caplog.at_level(logging.INFO):
            names = await storage.run("lfns", lfns)
        assert names == ([] if killed else ["/a"])
        (told,) = [message for message in caplog.messages if "whose caller went away" in message]
        assert told.startswith("commit slow, whose caller went away, " + ("has failed" if killed else "is done"))
        assert places(storage.pool) == 1


async def test_closing_waits_for_commits_whose_callers_went_away(open_mysql):
    async with open_mysql() as storage:
        task = asyncio.create_task(storage.run("slow", slow_commit))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
    async with open_mysql() as storage:
        assert await storage.run("lfns", lfns, read=True) == ["/a"]


async def test_a_caller_that_goes_away_before_commit_takes_everything_with_it(open_mysql):
    async with open_mysql(pool_size=1) as storage:

        async def slow(tx):
            await tx.execute(INSERT, {"lfn": "/a"})
            await tx.execute("DO SLEEP(1)")

        task = asyncio.create_task(storage.run("slow", slow))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        # the place is free again when the server has ended the statement
        assert places(storage.pool) == 0
        assert await storage.run("lfns", lfns) == []
        assert places(storage.pool) == 1


async def test_a_loop_that_ends_takes_the_commit_with_it_and_says_so(open_mysql, caplog):
    async with open_mysql(pool_size=1) as storage:
        task = asyncio.create_task(storage.run("slow", slow_commit))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        (commit,) = storage.attempts._alone
        commit.cancel()
        await asyncio.wait([commit])
        await asyncio.sleep(0)
        assert "commit slow was stopped with its caller; its outcome is unknown" in caplog.messages
        assert places(storage.pool) == 1
