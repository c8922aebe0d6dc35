"""SQLite must look rows up by their key when it changes many, and not read the list again for each."""

import pytest

from jsonrpc_tm.storage.dialect import SQLITE
from jsonrpc_tm.storage.sqlite import SqliteStorage


@pytest.fixture
async def storage():
    async with SqliteStorage(None) as storage:
        yield storage


async def plan(storage, sql, **parameters):
    async def body(tx):
        return [row["detail"] for row in await tx.fetch_all(f"EXPLAIN QUERY PLAN {sql}", parameters)]

    return await storage.run("plan", body)


@pytest.mark.parametrize(("table", "key"), [("TransformationFiles", "FileID"), ("TransformationTasks", "TaskID")])
@pytest.mark.parametrize(("value", "joined"), [("'X'", False), ("source.position", True)])
async def test_update_join_searches_the_table_by_its_key(storage, table, key, value, joined):
    on = f"target.TransformationID = :trans AND target.{key} = source.value"
    update = SQLITE.update_join(table, SQLITE.array("ids", "int"), on, {"TargetSE": value})
    assert ("source" in update) == joined
    steps = await plan(storage, update, trans=1, ids="[1]")
    (search,) = [step for step in steps if "target" in step]
    assert search.startswith("SEARCH")
    assert "TransformationID=?" in search
    assert f"{key}=?" in search


async def test_delete_join_searches_the_table_by_its_key(storage):
    delete = SQLITE.delete_join("DataFiles", SQLITE.array("ids", "int"), "target.FileID = source.value")
    steps = await plan(storage, delete, ids="[1]")
    assert "SEARCH target USING INTEGER PRIMARY KEY (rowid=?)" in steps
