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
