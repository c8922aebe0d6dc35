"""SQLite's own side: durability settings, threads, files that go away."""

import asyncio

import pytest

from jsonrpc_tm.errors import NotFound
from jsonrpc_tm.storage.sqlite import SqliteStorage


async def _add(tx, name):
    return await tx.insert(
        "INSERT INTO Transformations (TransformationName, Author, AuthorGroup) VALUES (:name, 'a', 'g')", {"name": name}
    )


async def _names(tx):
    return [row["TransformationName"] for row in await tx.fetch_all("SELECT TransformationName FROM Transformations")]


@pytest.fixture(params=["file", "memory"])
async def storage(request, tmp_path):
    async with SqliteStorage(tmp_path / "tm.db" if request.param == "file" else None) as storage:
        yield storage


async def test_it_writes_and_reads(storage):
    ids = await asyncio.gather(*(storage.run("add", _add, f"t{i}") for i in range(100)))
    assert sorted(ids) == list(range(1, 101))
    assert len(await storage.run("names", _names, read=True)) == 100


async def test_a_failing_member_leaves_the_others_of_its_group(storage):
    async def refuse(tx, name):
        await _add(tx, name)
        raise NotFound("no")

    calls = [storage.run("x", refuse if i % 3 == 0 else _add, f"t{i}") for i in range(60)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(r, NotFound) for r in results] == [i % 3 == 0 for i in range(60)]
    assert set(await storage.run("names", _names, read=True)) == {f"t{i}" for i in range(60) if i % 3}
