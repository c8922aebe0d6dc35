"""Three nodes of a Galera cluster write events: every reader of every node sees the same ones, dense and in order."""

import asyncio
import random
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from jsonrpc_tm.core.events import Event
from jsonrpc_tm.domain import event_log, event_reading
from jsonrpc_tm.storage.mysql import MySQLProvider
from tests.cluster.galera import cluster, find_provider

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

WRITERS, TURNS = 9, 40
NOW = datetime(2024, 10, 15, 12, tzinfo=UTC)


async def test_order_holds_on_three_nodes():
    """Writers go from node to node, and all nodes give numbers at the same time."""
    if find_provider() is None:
        pytest.skip("no Galera library: install the package galera-4")
    with cluster() as servers:
        servers[0].sql("CREATE DATABASE tm")
        async with AsyncExitStack() as stack:
            nodes = [
                await stack.enter_async_context(
                    MySQLProvider().open(server.url("tm"), migrate=True, migrations=(), options={"timeout": 20.0})
                )
                for server in servers
            ]
            writing = True

            async def writer(name):
                for turn in range(TURNS):

                    async def body(tx, turn=turn):
                        await event_log.write(tx, [Event(f"{name}.{turn}", None, {}, "a", "", NOW)])

                    await nodes[(ord(name) + turn) % len(nodes)].run("write", body)
                    # what the next node has to have seen before it writes on
                    await asyncio.sleep(random.uniform(0, 0.01))

            async def sequencer(node):
                while writing:
                    await event_log.number(node)
                    await asyncio.sleep(random.uniform(0, 0.02))

            async def reader(node):
                found, last = [], 0
                while writing or last < WRITERS * TURNS:
                    some = await node.run("read", event_reading.after, last, 1000, read=True)
                    found += [(one.revision, one.document["type"]) for one in some]
                    last = found[-1][0] if found else 0
                    await asyncio.sleep(random.uniform(0, 0.02))
                return found

            readers = [asyncio.create_task(reader(node)) for node in nodes]
            numbering = [asyncio.create_task(sequencer(node)) for node in nodes]
            await asyncio.gather(*(writer(name) for name in "abcdefghi"))
            await event_log.number(nodes[1])
            writing = False
            await asyncio.gather(*numbering)
            await event_log.number(nodes[2])
            async with asyncio.timeout(60):
                seen = await asyncio.gather(*readers)
    assert seen[0] == seen[1] == seen[2]
    assert [revision for revision, _ in seen[0]] == list(range(1, WRITERS * TURNS + 1))
    assert len({word for _, word in seen[0]}) == WRITERS * TURNS
