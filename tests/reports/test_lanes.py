"""Attack 6: nobody's reads keep another's calls from the database, and those whose callers have gone end."""

import asyncio
import time

import aiohttp
import pytest

from jsonrpc_tm.api import Method, Read, Write, hookimpl, results
from jsonrpc_tm.core.context import Context
from jsonrpc_tm.core.errors import StorageUnavailable
from jsonrpc_tm.core.identity import ANONYMOUS, Identity
from jsonrpc_tm.storage.base import Select
from jsonrpc_tm.storage.lanes import Lanes
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.storage.sqlite import SqliteProvider
from jsonrpc_tm.tools.testing.storage_contract import add_files, count

from ..waiting import until

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) SELECT COUNT(*) FROM n"
SLEEP = "SELECT SLEEP(600)"
# unlike SLEEP it does not end by itself when the connection does
BUSY = "SELECT BENCHMARK(1000000000000, 1)"


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
async def database(request, tmp_path):
    """A storage, and a SELECT that takes for ever on it."""
    options = {"pool_size": 8, "timeout": 0.3}
    if request.param == "sqlite":
        url, provider, slow = f"sqlite:///{tmp_path / 'tm.db'}", SqliteProvider(), ENDLESS
    else:
        url, provider, slow = request.getfixturevalue("mysql_url"), MySQLProvider(), SLEEP
    async with provider.open(url, migrate=True, migrations=(), options=options) as storage:
        yield storage, slow


def lanes(storage):
    return storage._reads._turns if hasattr(storage, "_reads") else storage.reading._places.turns


async def test_attack_6_one_caller_leaves_places_and_those_who_wait_take_turns():
    places = Lanes(10, share=0.5, wait=10, full="full")
    order = []

    async def want(caller):
        await places.enter(caller)
        order.append(caller)

    tasks = [asyncio.create_task(want("a")) for _ in range(20)]
    await asyncio.sleep(0)
    assert (len(order), places.free) == (5, 5)
    tasks += [asyncio.create_task(want(caller)) for caller in "bbbbbcdef"]
    await asyncio.sleep(0)
    # each new caller finds a place, until none is free
    assert (order[5:], places.free) == (["b", "b", "b", "c", "d"], 0)
    order.clear()
    for caller in ("a", "a", "a", "a"):
        places.leave(caller)
        await asyncio.sleep(0.01)
    assert (order, places.free) == (["e", "f", "a"], 1)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_attack_6_who_gives_up_waiting_leaves_the_places_whole():
    places = Lanes(1, share=0.5, wait=10, full="full")
    await places.enter("a")
    waiting = [asyncio.create_task(places.enter(caller)) for caller in ("b", "c")]
    await asyncio.sleep(0)
    waiting[0].cancel()
    places.leave("a")
    await asyncio.wait(waiting)
    assert places.free == 0  # c has it
    places.leave("c")
    assert (places.free, places.turns.held, places.turns.waiting) == (1, {}, {})
    # chosen and cancelled in the same moment
    await places.enter("a")
    late = asyncio.create_task(places.enter("b"))
    await asyncio.sleep(0)
    places.leave("a")
    late.cancel()
    await asyncio.wait([late])
    assert (places.free, places.turns.held, places.turns.waiting) == (1, {}, {})


async def test_attack_6_others_read_and_write_beside_reads_without_end_which_end_with_their_callers(database):
    storage, slow = database
    places = lanes(storage)
    before = places.free
    hogs = [
        asyncio.create_task(storage.run("slow", lambda tx: tx.fetch_value(slow), read=True, caller="hog"))
        for _ in range(10)
    ]
    await until(lambda: places.free <= before // 2)
    async with asyncio.timeout(30):
        for number in range(5):
            assert await storage.run("count", count, "DataFiles", read=True, caller="other") == number
            await storage.run("add", add_files, [f"/{number}"])
    assert places.free >= 1
    # who holds as many as it may is told so, and nobody else
    done, _ = await asyncio.wait(hogs, timeout=0.5)
    for task in done:
        with pytest.raises(StorageUnavailable, match="share"):
            task.result()
    for task in hogs:
        task.cancel()
    await asyncio.wait(hogs)
    await until(lambda: places.free == before)
    assert await storage.run("count", count, "DataFiles", read=True, caller="hog") == 5


async def test_attack_6_a_caller_with_nothing_at_work_is_never_sent_away_because_of_others_reads(database):
    storage, slow = database
    places = lanes(storage)
    hogs = []
    for caller in "abcdefgh":
        task = asyncio.create_task(storage.run("slow", lambda tx: tx.fetch_value(slow), read=True, caller=caller))
        hogs.append(task)
    await until(lambda: places.free == 0)
    other = asyncio.create_task(storage.run("count", count, "DataFiles", read=True, caller="other"))
    # longer than storage.timeout
    await asyncio.sleep(0.5)
    await storage.run("add", add_files, ["/a"])
    assert not other.done()
    # nor do they make the server unready
    async with asyncio.timeout(20):
        await storage.ready()
        assert not (await storage.schema()).pending
    for task in hogs:
        task.cancel()
    async with asyncio.timeout(30):
        assert await other == 1


@pytest.mark.mariadb
async def test_attack_6_the_server_ends_what_nobody_waits_for(mysql_url, mariadb):
    def at_work():
        return mariadb.sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%(1000000000000, 1)'")

    async def opened(tx):
        return None, Select(BUSY)

    async def stream(storage):
        async with storage.stream("slow", opened):
            pass

    options = {"pool_size": 4}
    async with MySQLProvider().open(mysql_url, migrate=True, migrations=(), options=options) as storage:
        calls = [
            storage.run("read", lambda tx: tx.fetch_value(BUSY), read=True),
            storage.run("write", lambda tx: tx.fetch_value(BUSY)),
            stream(storage),
        ]
        tasks = [asyncio.create_task(call) for call in calls]
        await until(lambda: at_work().startswith("3"))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await until(lambda: at_work().startswith("0"))
        await until(lambda: (storage.pool._places.free, storage.reading._places.free) == (2, 2))


def test_attack_6_the_lane_is_the_callers_name_or_address():
    def lane(identity, peer):
        return Context(identity, "r", None, peer).caller

    assert lane(Identity("ana", "dirac_user"), "10.0.0.1") == "ana"
    assert lane(ANONYMOUS, "10.0.0.1") == "[10.0.0.1]" != lane(ANONYMOUS, "10.0.0.2")
    assert lane(ANONYMOUS, None) == ""


class Slow:
    """A method that never answers, and one that notes its calls."""

    @staticmethod
    @hookimpl
    def register_methods():
        async def slow(work):
            """Never answers."""
            return await work.tx.fetch_value(ENDLESS)

        async def add(work):
            """Add a file."""
            await add_files(work.tx, ["/a"])

        yield Method("test.slow", slow, access=Read(), rule="all", result=results.ANYTHING)
        yield Method("test.add", add, access=Write(), rule="all", result=results.NULL)


@pytest.fixture
def tm_plugins():
    return [Slow]


@pytest.fixture
def tm_storage_url(tmp_path):
    return f"sqlite:///{tmp_path / 'tm.db'}"


async def test_attack_6_a_read_ends_with_its_http_caller_and_the_rest_of_its_batch_goes_on(tm_server, tm_service):
    places = lanes(tm_service.storage)
    batch = [{"jsonrpc": "2.0", "method": name, "id": name} for name in ("test.slow", "test.add")]
    async with aiohttp.ClientSession() as session:
        asked = asyncio.create_task(session.post(tm_server.url, json=batch, ssl=False))
        await until(lambda: places.free < 4)
        asked.cancel()
        await asyncio.wait([asked])
    begin = time.perf_counter()
    await until(lambda: places.free == 4)
    await until(lambda: tm_service.storage.run("count", count, "DataFiles", read=True))
    assert time.perf_counter() - begin < 20
