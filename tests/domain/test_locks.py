"""What a transaction locks, and what it leaves to others."""

import asyncio

import pytest

from jsonrpc_tm.domain import names
from jsonrpc_tm.domain.work import DomainParts, Work
from jsonrpc_tm.tools.testing.cast import PEOPLE


@pytest.mark.parametrize("storage", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
@pytest.mark.parametrize("what", ["transformations", "files"])
async def test_only_what_is_named_is_locked_in_a_small_table_too(tm, what):
    """A small table is scanned where nothing forbids it, and MariaDB locks what it reads."""
    for name in "abc":
        await tm.add(name)
    await tm("addFilesToTransformation", "a", ["/1", "/2", "/3"])
    parts = DomainParts(tm.service.settings, tm.policy)
    locked, done = asyncio.Event(), asyncio.Event()

    async def holding(tx):
        work = Work(tx, tm.service.context(PEOPLE["manager"]), parts, "tests")
        if what == "transformations":
            assert [held.id for held in await work.hold_wanting([2])] == [2]
        else:
            assert await names.lock(work, [2]) == {2: "New"}
        locked.set()
        async with asyncio.timeout(5):
            await done.wait()

    async def another(tx):
        table, key = ("Transformations", "TransformationID") if what == "transformations" else ("DataFiles", "FileID")
        for number in (1, 3):
            await tx.execute(f"UPDATE {table} SET Status = 'X' WHERE {key} = :number", {"number": number})

    held = asyncio.create_task(tm.storage.storage.run("holding", holding))
    await locked.wait()
    async with asyncio.timeout(3):
        await tm.storage.storage.run("another", another)
    done.set()
    await held
