"""Two nodes of a Galera cluster write the same row: what was acknowledged is there, once."""

import asyncio
import functools
import itertools
from contextlib import AsyncExitStack

import pytest

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.rpc.retries import when_free
from jsonrpc_tm.storage.base import CallKey, exclude_other_nodes
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.tools.testing.key_contract import once
from jsonrpc_tm.tools.testing.storage_contract import add_transformation
from tests.cluster.galera import cluster, find_provider
from tests.methods.announced import want
from tests.methods.driver import Driver

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CALLERS, CALLS = 6, 100
STEP = "UPDATE TaskCounters SET LastTaskID = LastTaskID + 1 WHERE TransformationID = :trans"
READ = "SELECT LastTaskID FROM TaskCounters WHERE TransformationID = :trans"
SET = "UPDATE TaskCounters SET LastTaskID = :value WHERE TransformationID = :trans"
NOTE = "INSERT INTO DataFiles (LFN) VALUES (:lfn)"


async def first(tx, trans, lfn):
    await tx.execute(STEP, {"trans": trans})
    await tx.execute(NOTE, {"lfn": lfn})


async def last(tx, trans, lfn):
    await tx.execute(NOTE, {"lfn": lfn})
    await tx.last(STEP, {"trans": trans})


async def only_last(tx, trans, lfn):
    await tx.last(STEP, {"trans": trans})
    await tx.last(NOTE, {"lfn": lfn})


async def locked(tx, trans, lfn):
    await tx.fetch_value(READ + tx.dialect.for_update, {"trans": trans})
    await exclude_other_nodes(tx, [f"transformation {trans}"])
    value = await tx.fetch_value(READ, {"trans": trans})
    await tx.execute(SET, {"trans": trans, "value": value + 1})
    await tx.last(NOTE, {"lfn": lfn})


@pytest.fixture(scope="module")
def servers():
    if find_provider() is None:
        pytest.skip("no Galera library: install the package galera-4")
    with cluster() as nodes:
        yield nodes[:2]


@pytest.fixture
def urls(servers, request):
    """A database of the test's own, on both nodes."""
    name = f"tm_{abs(hash(request.node.name))}"
    servers[0].sql(f"CREATE DATABASE {name}")
    return [node.url(name) for node in servers]


@pytest.mark.parametrize("body", [first, last, only_last, locked])
async def test_acknowledged_steps_are_counted(urls, body):
    options = {"pool_size": CALLERS, "timeout": 20.0}
    async with AsyncExitStack() as stack:
        nodes = []
        for url in urls:
            storage = MySQLProvider().open(url, migrate=True, migrations=(), options=options)
            nodes.append(await stack.enter_async_context(storage))
        trans = await nodes[0].run("add", add_transformation, body.__name__)
        numbers = itertools.count()

        async def caller(storage):
            for _ in range(CALLS):
                await storage.run("step", body, trans, f"/{body.__name__}/{next(numbers)}")

        await asyncio.gather(*(caller(storage) for storage in nodes for _ in range(CALLERS)))

        async def look(tx):
            files = "SELECT COUNT(*) FROM DataFiles WHERE LFN LIKE :like"
            return (
                await tx.fetch_value(READ, {"trans": trans}),
                await tx.fetch_value(files, {"like": f"/{body.__name__}/%"}),
            )

        for storage in nodes:
            assert await storage.run("look", look, read=True) == (CALLS * CALLERS * 2,) * 2
        # else the nodes never met
        assert sum(storage.runner.statistics["step"].retries for storage in nodes) > 0


async def test_a_key_on_two_nodes_happens_once(urls):
    """Neither sees the other's row: one of them loses when it commits, runs again and gets the result."""
    async with AsyncExitStack() as stack:
        options = {"pool_size": 2 * CALLERS, "timeout": 20.0}
        nodes = [
            await stack.enter_async_context(MySQLProvider().open(url, migrate=True, migrations=(), options=options))
            for url in urls
        ]
        for turn in range(CALLS):
            key = CallKey(f"k{turn}", "d", "2024-10-15 12:00:00", "")
            found = await asyncio.gather(
                *(
                    when_free(functools.partial(storage.run, "once", once, key, f"/key/{turn}/{number}-{caller}"))
                    for number, storage in enumerate(nodes)
                    for caller in range(2)
                )
            )
            assert len(set(found)) == 1, turn

        async def look(tx):
            return await tx.fetch_value("SELECT COUNT(*) FROM DataFiles WHERE LFN LIKE '/key/%'")

        assert [await storage.run("look", look, read=True) for storage in nodes] == [CALLS] * 2


async def test_queries_that_change_on_one_node_count_at_once_on_the_other(urls):
    content = {"files": {f"/q/{number}": {"n": number % 2} for number in range(2 * CALLERS)}}
    async with AsyncExitStack() as stack:
        nodes = []
        for url in urls:
            storage = MySQLProvider().open(url, migrate=True, migrations=(), options={"timeout": 20.0})
            node = Driver(await stack.enter_async_context(storage), DictCatalog(content))
            nodes.append(node)
            await stack.enter_async_context(node.service)
        # all of them raise few rows of Versions
        made = await asyncio.gather(
            *(want(nodes[number % 2], f"q{number}", {"n": number % 2}) for number in range(2 * CALLERS))
        )
        wanted = set(made)
        for turn in range(CALLS):
            one, other = nodes[turn % 2], nodes[(turn + 1) % 2]
            trans = made[turn % len(made)]
            status = "Idle" if trans in wanted else "Active"
            await one("setTransformationParameter", trans, "Status", status)
            wanted ^= {trans}
            other.events.clear()
            await other("addFile", ["/q/0", "/q/1"])
            assert set(other.events[-1].data["transformations"]) == wanted, turn
