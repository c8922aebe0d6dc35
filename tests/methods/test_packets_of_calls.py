"""How often a call waits for MariaDB: what others wait for who want the same rows."""

import asyncio

import pytest

from jsonrpc_tm.storage.mysql.verbs import MySQLTransaction

pytestmark = [pytest.mark.mariadb, pytest.mark.parametrize("storage", ["mariadb"], indirect=True)]


@pytest.fixture
def packets(monkeypatch):
    """The packets that were sent, by transaction."""
    sent = []
    send = MySQLTransaction._send

    async def noted(self, *statements):
        sent.append(self.name)
        return await send(self, *statements)

    monkeypatch.setattr(MySQLTransaction, "_send", noted)
    return sent


async def test_round_trips_of_calls(tm, packets):
    """The lock, what is asked, and the rest with COMMIT."""
    await tm.add("t", transType="Simulation")
    names = [f"/{n}" for n in range(20)]
    await tm("addFilesToTransformation", "t", names)
    for method, most, *parameters in [
        ("getTransformation", 1),
        ("addTaskForTransformation", 3, names[:10], "SE"),
        ("extendTransformation", 3, 2),
        ("setTaskStatus", 3, 1, "Done"),
        ("setFileStatus", 4, {names[10]: "Processed"}),
        ("claimTasks", 9, 1),
        ("setTransformationParameter", 3, "Description", "x"),
    ]:
        packets.clear()
        await tm(method, "t", *parameters)
        assert packets.count(method) <= most, method


@pytest.mark.parametrize(("table", "waits"), [("DataFiles", False), ("TransformationFiles", True)])
async def test_making_a_task_locks_the_files_of_the_transformation_alone(tm, table, waits):
    """Who removes files locks their names, and waits for the transformation."""
    await tm.add("t")
    await tm("addFilesToTransformation", "t", ["/a", "/b"])
    held, done = asyncio.Event(), asyncio.Event()

    async def hold(tx):
        await tx.fetch_all(f"SELECT * FROM {table} FOR UPDATE")
        held.set()
        await done.wait()

    holder = asyncio.create_task(tm.storage.storage.run("hold", hold))
    await held.wait()
    adding = asyncio.create_task(tm("addTaskForTransformation", "t", ["/b", "/a"], "SE"))
    await asyncio.wait([adding], timeout=0.3 if waits else 10)
    assert adding.done() != waits
    done.set()
    await holder
    assert await adding == 1
