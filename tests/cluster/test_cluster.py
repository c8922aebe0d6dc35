"""Servers on three Galera nodes, under load, lose nodes and processes: nothing acknowledged is lost or doubled."""

import asyncio
import random
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from jsonrpc_tm.client import Client
from jsonrpc_tm.tools.demo.server import configure, start, stop
from jsonrpc_tm.tools.testing.mariadb import free_port
from tests.cluster.galera import Node, cluster, find_provider
from tests.storage.mysql import load

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CALLERS = 12
CALM, TROUBLE = 5.0, 15.0
"""Seconds of load between two events, and after each of them."""
LONGEST_GAP = 30.0
LONGEST_CALL = 60.0
TABLES = (
    "Transformations",
    "DataFiles",
    "TransformationFiles",
    "TransformationTasks",
    "TransformationFileTasks",
    "TaskInputs",
    "TaskCounters",
    "TransformationLog",
)


@pytest.fixture(scope="module")
def nodes():
    if find_provider() is None:
        pytest.skip("no Galera library: install the package galera-4")
    with cluster() as nodes:
        nodes[0].sql("CREATE DATABASE tm")
        yield nodes


def storage_url(nodes: list[Node], first: int) -> str:
    """Return the URL of a server next to one of the nodes; the others follow."""
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes[first:] + nodes[:first])
    return f"mysql://root@{hosts}/tm"


class Clock:
    """Writes down when what happened."""

    def __init__(self, books: load.Books) -> None:
        self.books = books
        self.lines: list[str] = []

    def __call__(self, event: str) -> None:
        self.lines.append(f"{self.books.now:6.1f} s  {event}")


async def trouble(nodes: list[Node], processes: list, configs: list[Path], say: Clock) -> None:
    """Do what the cluster has to survive."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(CALM)
    say("node 1 killed (-9)")
    nodes[1].kill()
    await asyncio.sleep(TROUBLE)
    say("node 1 started again")
    await loop.run_in_executor(None, nodes[1].join, nodes)
    say("node 1 is back")
    await asyncio.sleep(CALM)
    say("node 2 cut off from the others")
    await loop.run_in_executor(None, lambda: nodes[2].isolate(isolated=True))
    await asyncio.sleep(TROUBLE)
    say("node 2 connected again")
    await loop.run_in_executor(None, lambda: nodes[2].isolate(isolated=False))
    await loop.run_in_executor(None, nodes[2].wait_ready)
    say("node 2 is back")
    await asyncio.sleep(CALM)
    say("server 0 killed (-9)")
    processes[0].kill()
    await processes[0].wait()
    await asyncio.sleep(CALM)
    processes[0], _ = await start(configs[0])
    say("server 0 started again")
    await asyncio.sleep(CALM)


async def test_nothing_is_lost_or_doubled(nodes, tmp_path, capsys):
    configs = []
    for number in range(len(nodes)):
        folder = tmp_path / f"server{number}"
        folder.mkdir()
        configs.append(configure(folder, storage_url(nodes, number), free_port()))
    processes, servers = [], []
    try:
        for config in configs:
            process, server = await start(config)
            processes.append(process)
            servers.append(server)
        books = load.Books()
        say = Clock(books)
        await run(nodes, processes, configs, servers, say)
    finally:
        for process in processes:
            await stop(process)
    with capsys.disabled():
        print(f"\n{CALLERS} callers, 3 servers, 3 nodes: {books.summary()}", *say.lines, sep="\n    ")
    assert books.gap() < LONGEST_GAP
    assert books.longest_call < LONGEST_CALL


async def run(nodes, processes, configs, servers, say) -> None:
    books, stopped = say.books, asyncio.Event()
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(**server.client("agent"), connections=20)) for server in servers
        ]
        async with Client(**servers[0].client("manager")) as manager:
            ids = await load.prepare(manager)
        callers = [
            load.Caller(
                f"c{number}",
                clients[number % 3 :] + clients[: number % 3],
                books,
                random.Random(time.time_ns()),
                stopped,
                ids,
            )
            for number in range(CALLERS)
        ]
        working = [asyncio.create_task(caller.work()) for caller in callers]
        try:
            await trouble(nodes, processes, configs, say)
        finally:
            stopped.set()
            done = await asyncio.gather(*working, return_exceptions=True)
        failed = [result for result in done if isinstance(result, BaseException)]
        assert failed == []
    for node in nodes:
        load.check(books, lambda sql, node=node: node.sql(f"SET SESSION wsrep_sync_wait = 1; {sql}", "tm"), ids)
    sums = {node.sql(f"SET wsrep_sync_wait = 1; CHECKSUM TABLE {', '.join(TABLES)}", "tm") for node in nodes}
    assert len(sums) == 1, "the nodes differ"
