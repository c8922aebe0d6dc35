"""In which order MariaDB reads, where the wrong one costs minutes."""

import pytest


@pytest.mark.mariadb
@pytest.mark.parametrize("storage", ["mariadb"], indirect=True)
async def test_deleting_tasks_reads_each_file_once(tm):
    """Each task was compared with all files of the transformation: 16,000 tasks of 12,000 files took four minutes."""
    names = [f"/{n}" for n in range(400)]
    await tm.add("t", transType="Simulation")
    await tm("addFilesToTransformation", "t", names)
    await tm("extendTransformation", "t", 400)
    await tm("addTaskForTransformation", "t", names)
    await tm.statements("deleteTasks", "t", 1, 10)
    (update,) = (sql for sql in tm.storage.statements if "UPDATE" in sql and "TransformationFiles" in sql)

    async def explain(tx):
        bounds = {"trans": 1, "low": 1, "high": 1000, "now": "2024-10-15 12:00:00"}
        return await tx.fetch_all(f"EXPLAIN {update}", bounds)

    plan = await tm.storage.storage.run("test", explain)
    assert plan[0]["table"] == "target"
    assert plan[1]["type"] in ("ref", "eq_ref")  # by a key


@pytest.mark.mariadb
@pytest.mark.parametrize("storage", ["mariadb"], indirect=True)
async def test_statistics_read_the_counters_of_their_transformations(tm):
    await tm.add("t")
    await tm.execute(
        "SET STATEMENT max_recursive_iterations = 5000 FOR INSERT INTO StatusCounts WITH RECURSIVE n (n) AS"
        " (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 2000) SELECT n, 'file', 'Unused', 1 FROM n"
    )
    one = {"TransformationID": 1}
    for call in (
        ("getTransformationStats", 1),
        ("getTransformationSummaryWeb", one, [], 0, 10),
        ("getCounters", "TransformationFiles", ["Status"], one),
        ("getTransformationProgress", 1),
    ):
        await tm.statements(*call)
        for sql in [sql for sql in tm.storage.statements if "StatusDeltas" in sql]:

            async def explain(tx, sql=sql):
                names = {"trans": 1, "where0": 1, "first": 0, "end": 9}
                return await tx.fetch_all(f"EXPLAIN {sql}", names)

            plan = {row["table"]: row["type"] for row in await tm.storage.storage.run("test", explain)}
            read = {table: how for table, how in plan.items() if table.startswith("Status")}
            assert len(read) == 2, plan
            assert set(read.values()) <= {"ref", "range"}, (call, plan)


@pytest.mark.mariadb
@pytest.mark.parametrize("storage", ["mariadb"], indirect=True)
async def test_what_is_moved_is_found_by_its_key(tm):
    """Along the index of statuses a row would be missed that somebody else moves meanwhile."""
    await tm.add("t")
    await tm("addFilesToTransformation", "t", ["/a"])
    await tm("addTaskForTransformation", "t", ["/a"])
    parameters = {"trans": 1, "ids": "[1]", "ExternalStatus": "Done", "listed": "[1]", "Status": "Moved"}
    for call in (
        ("setTaskStatus", "t", 1, "Running"),
        ("setFileStatus", "t", {"/a": "Problematic"}),
        ("setFileStatusForTransformation", "t", {"1": "Processed"}),
    ):
        await tm.statements(*call)
        locking = [sql for sql in tm.storage.statements if "FOR UPDATE" in sql and "JOIN" in sql]

        async def explain(tx, sql=locking[-1]):
            return await tx.fetch_all(f"EXPLAIN {sql}", parameters)

        plan = await tm.storage.storage.run("test", explain)
        assert [row["key"] for row in plan if row["table"] in ("target", "f")] == ["PRIMARY"], call


@pytest.mark.mariadb
@pytest.mark.parametrize("storage", ["mariadb"], indirect=True)
async def test_files_of_a_task_are_written_by_their_keys(tm):
    """Of a small table too: what is read on the way is locked."""
    await tm.add("t")
    await tm("addFilesToTransformation", "t", ["/a", "/b"])
    await tm.statements("addTaskForTransformation", "t", ["/a", "/b"])
    (update,) = (sql for sql in tm.storage.statements if "UPDATE TransformationFiles" in sql)

    async def explain(tx):
        parameters = {"trans": 1, "id0": 1, "id1": 2, "TaskID": 1, "UsedSE": "A", "now": "2024-10-15 12:00:00"}
        return await tx.fetch_one(f"EXPLAIN {update}", parameters)

    plan = await tm.storage.storage.run("test", explain)
    assert (plan["type"], plan["key"], plan["key_len"]) == ("range", "PRIMARY", "16")  # the whole key


@pytest.mark.mariadb
@pytest.mark.parametrize("storage", ["mariadb"], indirect=True)
async def test_cleaning_reads_its_own_files_from_where_it_was_and_looks_each_up(tm):
    """MariaDB made a list of all files of all others, and read or sorted all of its own for each piece."""
    for name in "ab":
        await tm.add(name)
    await tm.statements("cleanTransformation", "b")
    (sql,) = {sql for sql in tm.storage.statements if "other" in sql}

    async def explain(tx):
        return await tx.fetch_all(f"EXPLAIN {sql}", {"trans": 1, "after": 500})

    for name in "ab":  # others have no files, and as many
        await tm("addFilesToTransformation", name, [f"/{name}/{n}" for n in range(1000)])
        plan = {row["table"]: row for row in await tm.storage.storage.run("test", explain)}
        assert (plan["f"]["type"], plan["f"]["key"]) == ("range", "PRIMARY"), name
        assert "filesort" not in plan["f"]["Extra"], name
        assert (plan["other"]["type"], plan["other"]["key"]) == ("ref", "TransformationFiles_File"), name


@pytest.mark.mariadb
@pytest.mark.parametrize("storage", ["mariadb"], indirect=True)
async def test_who_takes_tasks_does_not_read_those_that_are_done(tm):
    """Without a word MariaDB reads along the primary key, all tasks that came before."""
    await tm.add("t")
    await tm("addTasks", "t", 3000 * [{}])
    await tm("claimTasks", "t", 2000)
    for call in (("claimTasks", "t", 1), ("getTasksToSubmit", "t", 1)):
        await tm.statements(*call)
        (sql,) = (sql for sql in tm.storage.statements if "'Created'" in sql and "LIMIT" in sql)

        async def explain(tx, sql=sql):
            return await tx.fetch_one(f"EXPLAIN {sql}", {"trans": 1})

        plan = await tm.storage.storage.run("test", explain)
        assert plan["key"] == "TransformationTasks_Status", call
        assert "filesort" not in plan["Extra"], call
