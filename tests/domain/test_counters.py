"""The counters of files and tasks: whatever happens, they are what a count of the rows would give."""

from collections import Counter

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.domain.counters import TOTALS

COUNTED = """
    SELECT TransformationID, 'file' AS Kind, Status, COUNT(*) AS N FROM TransformationFiles
    GROUP BY TransformationID, Status
    UNION ALL SELECT TransformationID, 'task', ExternalStatus, COUNT(*) FROM TransformationTasks
    GROUP BY TransformationID, ExternalStatus
"""
CONTENT = {"fields": {"n": "int"}, "files": {f"/vo/{number}": {"n": number} for number in range(9)}}


async def drift(tm) -> dict:
    """Return in what the counters differ from the rows, by TransformationID, kind and status."""
    found = Counter()
    for row in await tm.fetch(f"SELECT * FROM {TOTALS} AS totals"):
        found[tuple(row.values())[:3]] += int(row["N"])
    for row in await tm.fetch(COUNTED):
        found[tuple(row.values())[:3]] -= row["N"]
    return {key: number for key, number in found.items() if number}


async def test_every_birth_move_and_death_is_counted(tm):
    tm.catalog.current = DictCatalog(CONTENT)
    steps = [
        ("addFilesToTransformation", 1, [f"/vo/{number}" for number in range(6)]),
        ("addTaskForTransformation", 1, ["/vo/0", "/vo/1"]),
        ("addTaskForTransformation", 1, ["/vo/2"]),
        ("extendTransformation", 1, 5),
        ("getTasksToSubmit", 1, 3),
        ("setTaskStatus", 1, [1, 2], "Done"),
        ("setFileStatusForTransformation", 1, {"1": "Processed", "2": ["Unused", True], "3": "Processed"}),
        ("removeFile", ["/vo/1", "/vo/5"]),
        ("addFile", ["/vo/1", "/vo/8"]),
        ("deleteTasks", 1, 2, 4),
        ("cleanTransformation", 2),
        ("deleteTransformation", 1),
    ]
    await tm.add("p", inputMetaQuery={"n": {">": 6}}, transType="Simulation")
    for number, step in enumerate(steps):
        await tm(*step)
        if step[0] == "removeFile":
            await tm.add("child", inheritedFrom=1, inputMetaQuery={"n": 1})
        assert await drift(tm) == {}, (number, step)
    assert await tm.fetch("SELECT * FROM StatusDeltas WHERE TransformationID = 1") == []
    assert {row["TransformationID"] for row in await tm.fetch(f"SELECT * FROM {TOTALS} AS t")} == {2}


async def test_a_refused_call_counts_nothing_and_leaves_no_event(tm):
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/a"])
    before = await tm.fetch("SELECT * FROM Events"), await tm.fetch("SELECT * FROM StatusDeltas")
    await tm.refused("NotFound", "setFileStatusForTransformation", 1, {"1": "Processed", "9": "Processed"})
    await tm.refused("InvalidState", "addTaskForTransformation", 1, ["/a", "/b"])
    assert (await tm.fetch("SELECT * FROM Events"), await tm.fetch("SELECT * FROM StatusDeltas")) == before


async def test_events_are_written_as_they_are_told(tm):
    await tm.add("p")
    await tm("addFilesToTransformation", 1, ["/a", "/b"])
    rows = await tm.fetch("SELECT * FROM Events")
    assert [(row["Type"], row["TransformationID"]) for row in rows] == [
        (event.type, event.transformation) for event in tm.events
    ]
    assert rows[-1]["Data"] == '{"count":2,"ids":[1,2]}'
    assert rows[-1]["Author"] == tm.events[-1].author
