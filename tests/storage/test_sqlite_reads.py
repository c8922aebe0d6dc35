"""SQLite's readers: how many are woken, and that nothing waits for a long read."""

import asyncio
import threading

import pytest

from jsonrpc_tm.core.errors import StorageUnavailable
from jsonrpc_tm.storage.sqlite import SqliteStorage, reads


@pytest.fixture
async def storage(tmp_path):
    async with SqliteStorage(tmp_path / "tm.db", statement_timeout=0.2) as storage, asyncio.timeout(30):
        yield storage


class Gate:
    """A read that waits in its thread until it is let go."""

    def __init__(self):
        self.at_work, self.go_on = threading.Event(), threading.Event()

    async def __call__(self, tx):
        self.at_work.set()
        self.go_on.wait(30)


async def number(tx):
    threading.Event().wait(0.001)  # another thread could have its turn
    return await tx.fetch_value("SELECT 1"), threading.get_ident()


async def test_reads_that_come_together_wake_one_reader(storage, monkeypatch):
    monkeypatch.setattr(reads, "PATIENCE", 30)
    found = await asyncio.gather(*(storage.run("number", number, read=True) for _ in range(20)))
    assert len(set(found)) == 1


async def test_a_long_read_keeps_neither_what_came_before_it_nor_what_comes_after(storage):
    gate = Gate()
    calls = [number, gate, number]
    before, long, behind = [asyncio.create_task(storage.run("x", body, read=True)) for body in calls]
    assert (await before)[0] == (await behind)[0] == 1
    assert (await storage.run("later", number, read=True))[0] == 1
    assert not long.done()
    gate.go_on.set()
    await long


async def test_who_fills_its_share_for_too_long_is_told_and_who_gives_up_is_forgotten(storage):
    gates = [Gate(), Gate()]
    held = [asyncio.create_task(storage.run("gate", gate, read=True, caller="a")) for gate in gates]
    for gate in gates:
        await asyncio.to_thread(gate.at_work.wait, 30)
    third, fourth = [asyncio.create_task(storage.run("number", number, read=True, caller="a")) for _ in range(2)]
    await asyncio.sleep(0)
    third.cancel()
    await asyncio.wait([third])
    assert [len(queue) for queue in storage._reads._turns.waiting.values()] == [1]
    assert (await storage.run("number", number, read=True, caller="b"))[0] == 1
    with pytest.raises(StorageUnavailable, match="share"):
        await fourth
    for gate in gates:
        gate.go_on.set()
    await asyncio.gather(*held)
    assert (await storage.run("number", number, read=True, caller="a"))[0] == 1


async def test_the_database_answers_beside_reads_that_have_not_begun(storage):
    gates = [Gate() for _ in range(8)]
    held = [asyncio.create_task(storage.run("gate", gate, read=True, caller=f"{n}")) for n, gate in enumerate(gates)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await storage.ready()
    finally:
        for gate in gates:
            gate.go_on.set()
        await asyncio.gather(*held)
