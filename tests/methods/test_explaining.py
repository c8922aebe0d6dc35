"""explainTransformation and dry runs (section 8.3 of the specification)."""

import pytest

from jsonrpc_tm.catalog.memory import DictCatalog

CONTENT = {"fields": {"n": "int"}, "files": {f"/vo/{number}": {"n": number} for number in range(4)}}


async def codes(tm, name="t"):
    found = await tm("explainTransformation", name)
    return {one["code"]: one["count"] for one in found}


async def test_a_production_is_explained_at_every_step(tm):
    tm.catalog.current = DictCatalog(CONTENT)
    await tm.add("t")
    assert await codes(tm) == {"status": 0, "agent_manual": 0, "no_files": 0}
    await tm("startTransformation", "t")
    assert await codes(tm) == {"no_files": 0}
    await tm("addFilesToTransformation", "t", ["/a", "/b", "/c;d"])
    assert await codes(tm) == {"unusable_names": 1}
    await tm("setFileStatus", "t", {"/c;d": "Problematic"})
    assert await codes(tm) == {"nothing_wrong": 0}
    await tm("addTaskForTransformation", "t", ["/a", "/b"])
    assert await codes(tm) == {"no_unused_files": 3, "tasks_unclaimed": 1}
    await tm("getTasksToSubmit", "t", 1)
    assert await codes(tm) == {"no_unused_files": 3, "reserved_without_lease": 1}
    await tm("setTaskStatus", "t", 1, "Done")
    await tm("setFileStatus", "t", {"/a": "Processed", "/b": "MaxReset", "/c;d": "MaxReset"})
    assert await codes(tm) == {"no_unused_files": 3, "all_max_reset": 2}
    await tm("setTransformationParameter", "t", "MaxNumberOfTasks", 1)
    assert (await codes(tm))["full"] == 1


async def test_expired_leases_are_seen(tm):
    await tm.add("t", transType="Simulation")
    await tm("startTransformation", "t")
    await tm("extendTransformation", "t", 2)
    await tm("getTasksToSubmit", "t", 2)

    async def lease(tx):
        number = await tx.insert(
            "INSERT INTO Leases (TransformationID, LeaseUntil) VALUES (1, :then)", {"then": "2024-10-15 12:00:05"}
        )
        await tx.execute("UPDATE TransformationTasks SET Lease = :lease WHERE TaskID = 1", {"lease": number})

    await tm.storage.run("lease", lease)
    assert await codes(tm) == {"reserved_without_lease": 1}
    tm.later(10)
    assert await codes(tm) == {"reserved_without_lease": 1, "leases_expired": 1}


async def test_the_catalog_is_asked_about_the_query(tm):
    tm.catalog.current = DictCatalog(CONTENT)
    await tm.add("t", inputMetaQuery={"n": {">": 2}})
    await tm("startTransformation", "t")
    assert await codes(tm) == {"nothing_wrong": 0}
    await tm.add("u", inputMetaQuery={"n": {">": 9}})
    assert await codes(tm, "u") == {"status": 0, "agent_manual": 0, "no_files": 0, "query_matches_nothing": 0}
    await tm.add("v", inputMetaQuery={"n": {">": 9, "<": 3}})
    assert "condition_never_holds" in await codes(tm, "v")
    await tm.add("w", inputMetaQuery={"n": 1})
    tm.catalog.current = DictCatalog({})
    assert "query_matches_nothing" in await codes(tm, "w")


async def test_statements_do_not_grow_with_what_is_explained_or_would_go(tm):
    async def counted(files):
        await tm("addFilesToTransformation", "t", files)
        await tm("addTaskForTransformation", "t", files[::2])
        tm.storage.statements.clear()
        await codes(tm)
        await tm("deleteTransformation", "t", True)
        return len(tm.storage.statements)

    await tm.add("t")
    few = await counted(["/one"])
    assert await counted([f"/more/{number}" for number in range(300)]) == few
    assert few <= 25


async def test_hidden_transformations_are_not_explained(tm):
    await tm.add("t")
    tm.policy.allowed = {"TransformationID": []}
    await tm.refused("NotFound", "explainTransformation", "t")


@pytest.mark.parametrize("method", ["cleanTransformation", "deleteTransformation"])
async def test_a_dry_run_says_what_would_go_and_changes_nothing(tm, method):
    tm.catalog.current = DictCatalog(CONTENT)
    await tm.add("t", inputMetaQuery={"n": {">": 0}})
    await tm.add("u")
    await tm("addFilesToTransformation", "t", ["/mine"])
    await tm("addFilesToTransformation", "u", ["/vo/1"])
    await tm("addTaskForTransformation", "t", ["/vo/1", "/mine"])
    await tm("setTransformationParameter", "t", "own", 1)
    tables = (
        "TransformationFileTasks", "TaskInputs", "TransformationTasks", "TransformationFiles",
        "TransformationMetaQueries", "DataFiles", "AdditionalParameters", "TransformationLog", "Transformations",
    )  # fmt: skip

    async def rows():
        return {table: len(await tm.fetch(f"SELECT * FROM {table}")) for table in (*tables, "Events")}

    before = await rows()
    told = await tm(method, "t", True)
    assert await rows() == before
    await tm.refused("Forbidden", method, "t", True, who="carol")
    await tm(method, "t")
    after = await rows()
    # cleaning leaves a line of its own in the log, which stays
    gone = {table: before[table] - after[table] for table in tables if table in told}
    assert told == gone
    assert ("Transformations" in told) == (method == "deleteTransformation")
