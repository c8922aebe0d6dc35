"""The counters of files and tasks: whatever happens, they are what a count of the rows would give."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.domain.counters import TOTALS, minute
from jsonrpc_tm.domain.folding import STEPS, fold, fold_some
from jsonrpc_tm.domain.recount import recount

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
        ("addTasks", 1, [{"lfns": ["/vo/4"]}, {}, {}]),
        ("claimTasks", 1, 4),
        ("updateTasks", 1, [{"TaskID": 4, "ExternalStatus": "Done", "Lease": 1}, {"TaskID": 6, "ExternalID": 7}]),
        ("releaseLease", 1, 1),
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


async def folded(tm, later=timedelta(hours=1)):
    """Fold as another process would do some time later."""
    await fold(tm.storage, tm.harness.clock.now + later)


async def test_what_is_folded_counts_as_before(tm):
    await tm.add()
    await tm("addFilesToTransformation", 1, [f"/{number}" for number in range(7)])
    await tm("addTaskForTransformation", 1, ["/0", "/1"])
    await tm("setFileStatusForTransformation", 1, {"1": "Processed", "3": "Processed-inherited"})
    numbers = await tm("getTransformationStats", 1), await tm("getTransformationTaskStats", 1)
    assert numbers == ({"Assigned": 1, "Processed": 1, "Unused": 4, "Total": 6}, {"Created": 1, "TotalCreated": 1})
    young = await tm.fetch("SELECT * FROM StatusDeltas")
    await folded(tm, timedelta(minutes=2))
    assert await tm.fetch("SELECT * FROM StatusDeltas") == young != []
    await folded(tm, timedelta(minutes=3))
    assert await tm.fetch("SELECT * FROM StatusDeltas") == []
    assert (await tm("getTransformationStats", 1), await tm("getTransformationTaskStats", 1)) == numbers
    # what is gone is left out, before and after
    await tm("setFileStatusForTransformation", 1, {"1": "Unused"})
    for _ in range(2):
        assert "Processed" not in await tm("getTransformationStats", 1)
        assert "Processed" not in await tm("getTransformationFilesCount", 1, "Status")
        assert await tm("getTableDistinctAttributeValues", "TransformationFiles", ["Status"], {}) == {
            "Status": ["Assigned", "Processed-inherited", "Unused"]
        }
        assert await drift(tm) == {}
        await folded(tm)


async def test_folding_takes_as_many_statements_for_many_rows(sqlite_tm):
    tm, taken = sqlite_tm, []
    for many in (1, 300):
        for number in range(many):
            await tm.add(f"{many} {number}", transType="Simulation")
            await tm("extendTransformation", f"{many} {number}", 1)
        tm.storage.statements.clear()
        now = minute(tm.harness.clock.now) + 60
        assert await tm.storage.run("fold", fold_some, STEPS[0], now) == many
        taken.append(len(tm.storage.statements))
    assert taken == [4, 4]


async def test_history_becomes_coarser_and_says_the_same(tm):
    """A change an hour for 400 days: rows are bounded, and the sum is the number of files."""
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/a"])
    await folded(tm)
    now = minute(tm.harness.clock.now)
    source = "WITH RECURSIVE hours (hour) AS (SELECT 1 UNION ALL SELECT hour + 1 FROM hours WHERE hour < 9600) "
    insert = "INSERT INTO StatusHistory (TransformationID, Kind, Status, Minute, N) "
    select = f"SELECT 1, 'file', 'Unused', {now} - 60 * hour, 1 FROM hours"
    if tm.storage.storage.url.startswith("sqlite"):
        await tm.execute(source + insert + select)
    else:
        await tm.execute("SET max_recursive_iterations = 10000")
        await tm.execute(insert + source + select)
    total = "SELECT SUM(N) AS number FROM StatusHistory"
    before = await tm.fetch(total)
    await fold(tm.storage, tm.harness.clock.now)
    assert await tm.fetch(total) == before
    rows = await tm.fetch("SELECT Grain, COUNT(*) AS number, MAX(Minute) AS newest FROM StatusHistory GROUP BY Grain")
    assert {row["Grain"]: row["number"] for row in rows} == {1: 3, 10: 46, 60: 684, 1440: 339, 10080: 5}
    for row, step in zip(rows[1:], STEPS[1:], strict=True):
        assert row["newest"] % step.coarse == step.coarse - 1
        assert row["newest"] < now - step.age
    again = await tm.fetch("SELECT * FROM StatusHistory")
    await fold(tm.storage, tm.harness.clock.now)
    assert await tm.fetch("SELECT * FROM StatusHistory") == again


async def test_statistics_read_no_files_and_tasks(sqlite_tm):
    tm = sqlite_tm
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/a", "/b"])
    one, page = {"TransformationID": 1}, ([], 0, 10)
    for call in (
        ("getTransformationStats", 1),
        ("getTransformationTaskStats", 1),
        ("getTransformationSummary",),
        ("getTransformationSummaryWeb", {}, *page),
        ("getTransformationFilesCount", 1, "Status", {"Status": {"!=": "Moved"}}),
        ("getCounters", "TransformationFiles", ["Status", "TransformationID"], {"Status": {"like": "U%"}}),
        ("getCounters", "TransformationTasks", ["ExternalStatus"], one),
        ("getTableDistinctAttributeValues", "TransformationTasks", ["TransformationID", "ExternalStatus"], one),
        ("getTransformationProgress", 1),
    ):
        await tm.statements(*call)
        said = " ".join(tm.storage.statements)
        assert "StatusCounts" in said, call
        assert "FROM TransformationFiles" not in said, call
        assert "FROM TransformationTasks" not in said, call
    # what the counters do not know is counted
    for call in (
        ("getTransformationFilesCount", 1, "Status", {"UsedSE": "Unknown"}),
        ("getTransformationFilesCount", 1, "date(LastUpdate)"),
        ("getCounters", "TransformationFiles", ["Status"], {}, "2030-01-01", None, "LastUpdate"),
        ("getCounters", "TransformationFiles", ["Status", "TaskID"], {}),
    ):
        await tm.statements(*call)
        assert "StatusCounts" not in " ".join(tm.storage.statements), call
    assert await tm("getCounters", "TransformationFiles", ["Status"], {}, "2020-01-01", None, "LastUpdate") == []


async def test_a_page_of_files_is_counted_by_the_counters(sqlite_tm):
    """Only the choices of storage elements and tasks, which nobody counts, read the rows."""
    tm = sqlite_tm
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/a", "/b"])
    await tm.statements("getTransformationFilesSummaryWeb", {"TransformationID": 1}, [], 0, 10)
    counted = ["StatusCounts" in statement for statement in tm.storage.statements]
    assert counted == [True, False, True, True, False, False]
    await tm("setFileStatusForTransformation", 1, {"1": "Processed"})
    answer = await tm("getTransformationFilesSummaryWeb", {"Status": "Unused"}, [], 0, 10)
    assert (answer["TotalRecords"], answer["Selections"]["Status"]) == (1, ["Unused"])
    # a status that nobody has any more selects no transformation
    await tm("setFileStatusForTransformation", 1, {"2": "Processed"})
    tabbed = await tm(
        "getTabbedSummaryWeb", "TransformationFiles", {"Transformations": {}}, {"Status": "Unused"}, [], 0, 10
    )
    assert [tabbed[table]["TotalRecords"] for table in ("TransformationFiles", "Transformations")] == [0, 0]


@pytest.mark.mariadb
@pytest.mark.parametrize("storage", ["mariadb"], indirect=True)
async def test_writers_beside_each_other_and_folding_leave_no_drift(tm):
    """Eight of them hold one transformation at once, and what they count is folded under their hands."""
    await tm.add()
    await tm("addFilesToTransformation", 1, [f"/{number}" for number in range(40)])
    await tm("addTaskForTransformation", 1, [])
    statuses = ("Processed", "Unused", "Problematic", "Assigned")

    async def write(writer):
        for turn in range(12):
            files = {str(1 + (writer * 3 + turn + n) % 40): statuses[(writer + turn + n) % 4] for n in range(6)}
            await tm("setFileStatusForTransformation", 1, files)
            await tm("setTaskStatus", 1, 1, statuses[(writer + turn) % 4])

    async def keep_folding():
        while True:
            await folded(tm)
            await asyncio.sleep(0.005)

    folding = [asyncio.create_task(keep_folding()) for _ in range(2)]
    await asyncio.gather(*map(write, range(8)))
    for task in folding:
        assert not task.done(), task
        task.cancel()
    assert await tm.fetch("SELECT 1 FROM StatusCounts") != []
    assert await drift(tm) == {}
    assert sum((await tm("getTransformationStats", 1)).values()) == 80


async def test_a_transformation_that_goes_while_it_is_folded_leaves_nothing(tm):
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/a"])
    await asyncio.gather(folded(tm), tm("deleteTransformation", 1))
    await folded(tm)
    for table in ("StatusDeltas", "StatusCounts", "StatusHistory"):
        assert await tm.fetch(f"SELECT * FROM {table}") == []


async def found(tm, mend=None):
    return [row async for row in recount(tm.storage.storage, mend)]


async def test_wrong_counters_are_found_and_mended(tm):
    await tm.add()
    await tm.add("right")
    await tm("addFilesToTransformation", 1, ["/a", "/b"])
    await tm("addTaskForTransformation", 1, ["/a"])
    assert await found(tm) == []
    await folded(tm)
    await tm.execute("UPDATE StatusCounts SET N = 5 WHERE Kind = 'file' AND Status = 'Unused'")
    await tm.execute("DELETE FROM StatusCounts WHERE Kind = 'task'")
    await tm.execute("INSERT INTO StatusCounts VALUES (1, 'file', 'Moved', 2), (77, 'file', 'Unused', 1)")
    wrong = [
        {"TransformationID": 1, "Kind": "file", "Status": "Moved", "Missing": -2},
        {"TransformationID": 1, "Kind": "file", "Status": "Unused", "Missing": -4},
        {"TransformationID": 1, "Kind": "task", "Status": "Created", "Missing": 1},
        {"TransformationID": 77, "Kind": "", "Status": "", "Missing": 0},
    ]
    assert await found(tm) == await found(tm) == wrong
    assert await found(tm, tm.harness.clock.now) == wrong
    assert await found(tm) == []
    assert await drift(tm) == {}
    assert await tm("getTransformationStats", 1) == {"Assigned": 1, "Unused": 1, "Total": 2}


@pytest.mark.mariadb
@pytest.mark.parametrize("storage", ["mariadb"], indirect=True)
async def test_counters_are_mended_while_they_change(tm):
    await tm.add()
    await tm("addFilesToTransformation", 1, [f"/{number}" for number in range(20)])
    await tm.execute("UPDATE StatusDeltas SET N = 1000")

    async def write(writer):
        for turn in range(8):
            await tm("setFileStatusForTransformation", 1, {str(writer + 1): ("Processed", "Unused")[turn % 2]})

    writers = asyncio.gather(*map(write, range(8)))
    for _ in range(5):
        await asyncio.sleep(0.01)
        await found(tm, tm.harness.clock.now)
    await writers
    assert await found(tm) == []
