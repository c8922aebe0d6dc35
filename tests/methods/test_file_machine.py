"""setFileStatus, resetErrorCount and the state machines (section 8.2 of the specification)."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.core.state_machines import FILES, StateMachine, StatusMove
from jsonrpc_tm.storage.dialect import SQLite
from jsonrpc_tm.storage.sqlite import SqliteStorage

from ..domain.test_counters import drift
from .driver import Driver

LFNS = [f"/vo/{number}" for number in range(4)]
WORDS = ("Unused", "Assigned", "Processed", "Problematic", "MaxReset", "Mine")


async def prepared(tm, name="t"):
    trans = await tm.add(name)
    await tm("addFilesToTransformation", trans, LFNS)
    await tm("addTaskForTransformation", trans, LFNS)
    return trans


async def state(tm, trans=1):
    rows = await tm("getTransformationFiles", {"TransformationID": trans})
    return {row["LFN"]: (row["Status"], row["ErrorCount"], row["TaskID"]) for row in rows}


async def test_leaving_assigned_counts_unless_it_was_processed(tm):
    await prepared(tm)
    asked = dict(zip(LFNS, ("Processed", "Unused", "Problematic", "Assigned"), strict=True))
    assert await tm("setFileStatus", "t", asked) == {
        LFNS[0]: "Processed",
        LFNS[1]: "Unused",
        LFNS[2]: "Problematic",
    }
    assert await state(tm) == {
        LFNS[0]: ("Processed", 0, 1),
        LFNS[1]: ("Unused", 1, 1),
        LFNS[2]: ("Problematic", 1, 1),
        LFNS[3]: ("Assigned", 0, 1),
    }
    before = await state(tm), await tm.fetch("SELECT * FROM Events")
    assert await tm("setFileStatus", "t", asked) == {}
    assert (await state(tm), await tm.fetch("SELECT * FROM Events")) == before
    assert await drift(tm) == {}


async def test_processed_is_final_but_for_force(tm):
    await prepared(tm)
    await tm("setFileStatus", "t", {LFNS[0]: "Processed"})
    assert await tm("setFileStatus", "t", {LFNS[0]: "Unused", LFNS[1]: "Problematic"}) == {LFNS[1]: "Problematic"}
    assert await tm("setFileStatus", "t", {LFNS[0]: "Unused"}, True) == {LFNS[0]: "Unused"}


async def test_too_many_errors_make_a_file_max_reset(tm):
    await prepared(tm)
    for turn in range(1, 11):
        became = await tm("setFileStatus", "t", {LFNS[0]: "Unused"})
        assert became == {LFNS[0]: "Unused" if turn < 10 else "MaxReset"}
        await tm("setFileStatusForTransformation", "t", {"1": "Assigned"})
    await tm("setFileStatusForTransformation", "t", {"1": "MaxReset"})
    assert await tm("setFileStatus", "t", {LFNS[0]: "Unused"}) == {}
    assert await tm("resetErrorCount", "t", [LFNS[0], LFNS[1]]) == 2
    assert (await state(tm))[LFNS[0]] == ("Unused", 0, 1)
    assert (await state(tm))[LFNS[1]][0] == "Assigned"
    for _ in range(10):
        await tm("setFileStatusForTransformation", "t", {"1": "Assigned"})
        await tm("setFileStatus", "t", {LFNS[0]: "Unused"}, True)
    assert (await state(tm))[LFNS[0]] == ("Unused", 10, 1)
    # what comes back with ten errors is MaxReset too, though nothing was counted now
    await tm("setFileStatus", "t", {LFNS[0]: "Problematic"})
    assert await tm("setFileStatus", "t", {LFNS[0]: "Unused"}) == {LFNS[0]: "MaxReset"}


async def test_counting_anew_moves_last_update(tm):
    await prepared(tm)
    await tm("setFileStatusForTransformation", "t", {"2": "MaxReset"})
    tm.later(60)
    await tm("resetErrorCount", "t", LFNS[:2])
    rows = await tm("getTransformationFiles", columns=["LastUpdate"])
    now = "2024-10-15T12:01:00Z"
    assert [row["LastUpdate"] for row in rows[:3]] == [now, now, "2024-10-15T12:00:00Z"]


async def test_an_unknown_file_changes_nothing(tm):
    await prepared(tm)
    before = await state(tm)
    data = await tm.refused("NotFound", "setFileStatus", "t", {LFNS[0]: "Processed", "/x": "Unused", "/y": "Unused"})
    assert data["missing"] == ["/x", "/y"]
    assert await state(tm) == before
    assert (await tm.refused("NotFound", "resetErrorCount", "t", ["/x"]))["missing"] == ["/x"]
    await tm.refused("InvalidParams", "setFileStatus", "t", {"": "Unused"})


async def test_many_files_take_few_statements(sqlite_tm):
    tm = sqlite_tm
    await tm.add("t")
    names = [f"/{number}" for number in range(12_000)]
    await tm("addFilesToTransformation", "t", names)
    few = await tm.statements("setFileStatus", "t", {names[0]: "Problematic"})
    many = await tm.statements("setFileStatus", "t", dict.fromkeys(names, "Processed"))
    assert few <= 6
    assert many <= 3 * few
    assert await tm.statements("resetErrorCount", "t", names) <= 3 * few


async def test_equal_and_odd_reports_do_the_same(sqlite_tm, monkeypatch):
    tm = sqlite_tm
    found = []
    for apart, name in ((1, "apart"), (100, "together")):
        monkeypatch.setattr(SQLite, "apart", apart)
        trans = await prepared(tm, name)
        await tm("setFileStatus", name, dict(zip(LFNS, ("Processed", "MaxReset", "Mine", "Mine"), strict=True)))
        asked = dict(zip("1234", (["X", True], "Y", ["X", True], "Y"), strict=True))
        await tm("setFileStatusForTransformation", name, asked)
        found.append(list((await state(tm, trans)).values()))
        assert await drift(tm) == {}
    assert found[0] == found[1] == [("X", 1, 1), ("Y", 1, 1), ("X", 2, 1), ("Y", 1, 1)]


async def test_reports_at_the_same_time_see_each_other(tm):
    """Whoever comes second leaves another status: each file leaves Assigned once, and no move is counted twice."""
    await prepared(tm)
    for turn in range(4):
        asked = [dict.fromkeys(LFNS[:: (-1) ** number], f"{turn} {number}") for number in range(6)]
        assert await asyncio.gather(*(tm("setFileStatus", "t", each) for each in asked)) == asked
        assert {errors for _, errors, _ in (await state(tm)).values()} == {turn + 1}
        assert await drift(tm) == {}
        await tm("setFileStatusForTransformation", "t", {str(number): "Assigned" for number in range(1, 5)})


@pytest.fixture
async def thrice(storage):
    """A server where the third error is one too many."""
    driver = Driver(storage, settings={"transformations.max_reset_count": 3})
    async with driver.service:
        yield driver


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    reports=st.lists(
        st.tuples(st.dictionaries(st.sampled_from(LFNS), st.sampled_from(WORDS), min_size=1), st.booleans()),
        max_size=12,
    )
)
async def test_reports_are_what_the_model_says(thrice, reports):
    """A model of two dozen lines, written from the specification and not from the table."""
    tm = thrice
    trans = await prepared(tm, f"t{len(await tm('getTransformations'))}")
    model = dict.fromkeys(LFNS, ("Assigned", 0))
    for asked, force in reports:
        changed = {}
        for lfn, to in asked.items():
            status, errors = model[lfn]
            if status == to:
                continue
            if not force and (status == "Processed" or (status == "MaxReset" and to == "Unused")):
                continue
            errors += status == "Assigned" and to != "Processed"
            full = not force and to == "Unused" and errors and errors % 3 == 0
            model[lfn] = changed[lfn] = ("MaxReset" if full else to, errors)
        told = await tm("setFileStatus", trans, asked, force)
        assert told == {lfn: new for lfn, (new, _) in changed.items()}
    assert {lfn: row[:2] for lfn, row in (await state(tm, trans)).items()} == model
    assert await drift(tm) == {}


async def test_diracs_methods_are_permissive_unless_they_are_told_otherwise():
    for strict in (False, True):
        async with SqliteStorage(None) as storage:
            tm = Driver(storage, settings={"transformations.strict_statuses": strict})
            async with tm.service:
                await prepared(tm)
                await tm("setFileStatusForTransformation", "t", {"1": "Processed"})
                await tm("setTaskStatus", "t", 1, "Done")
                await tm("setTransformationParameter", "t", "Status", "Archived")
                steps = [
                    ("setFileStatusForTransformation", "t", {"1": "Unused", "2": "Problematic"}),
                    ("setTaskStatus", "t", 1, "Failed"),
                    ("setTaskStatusAndWmsID", "t", 1, "Failed", "7"),
                    ("updateTasks", "t", [{"TaskID": 1, "ExternalStatus": "Failed"}]),
                    ("setTransformationParameter", "t", "Status", "Active"),
                    ("completeTransformation", "t"),
                ]
                before = await tm.fetch("SELECT * FROM Events")
                for step in steps:
                    if strict:
                        await tm.refused("InvalidState", *step)
                    else:
                        await tm(*step)
                assert (await tm.fetch("SELECT * FROM Events") == before) is strict
                if strict:
                    # the flag alone counts
                    await tm("setFileStatusForTransformation", "t", {"2": "Unused", "3": ["Unused", True]})
                    assert [one[1] for one in (await state(tm)).values()] == [0, 0, 1, 0]


async def test_a_strict_server_lets_a_production_live():
    """What DIRAC's agents and people do, in their order."""
    async with SqliteStorage(None) as storage:
        tm = Driver(storage, settings={"transformations.strict_statuses": True})
        async with tm.service:
            await tm.add("t")
            for status in ("Active", "Stopped", "Active", "Flush", "Active", "Idle", "Active"):
                await tm("setTransformationParameter", "t", "Status", status)
            await tm("addFilesToTransformation", "t", LFNS)
            await tm("addTaskForTransformation", "t", LFNS)
            await tm("getTasksToSubmit", "t", 1)
            for status in ("Submitted", "Waiting", "Running", "Stalled", "Running", "Failed", "Rescheduled", "Done"):
                await tm("setTaskStatusAndWmsID", "t", 1, status, "7")
                await tm("setTaskStatus", "t", 1, status)
            statuses = {"1": "Processed", "2": ["Unused", True], "3": ["MaxReset", True], "4": "MissingInFC"}
            await tm("setFileStatusForTransformation", "t", statuses)
            await tm("setFileStatusForTransformation", "t", statuses)
            await tm("deleteTasks", "t", 1, 1)
            await tm("completeTransformation", "t")
            for status in ("Active", "ValidatingInput", "Completed", "Archived", "Cleaning"):
                await tm("setTransformationParameter", "t", "Status", status)
            await tm("cleanTransformation", "t")
            await tm("setTransformationParameter", "t", "Status", "Cleaned")
            await tm("deleteTransformation", "t")


def test_what_would_stay_as_it_is_does_not_move():
    machine = StateMachine("file", [StatusMove("MaxReset", "Unused", instead="MaxReset")])
    assert machine.moved("MaxReset", "Unused", 10, 10) is None
    assert machine.moved("MaxReset", "Unused", 11, 10) == ("Unused", 11)
    assert machine.moved("MaxReset", "Unused", 10, 10, force=True) == ("Unused", 10)


def test_a_table_is_read_from_the_top():
    machine = StateMachine("file", [StatusMove("A", ("B", "C")), StatusMove("A", "*", allowed=False)])
    assert [machine.allows("A", to) for to in "ABCD"] == [True, True, True, False]
    assert machine.allows("X", "D")
    assert FILES.moved("Assigned", "Unused", 9, 10) == ("MaxReset", 10)
    assert FILES.moved("Assigned", "Unused", 9, 0) == ("Unused", 10)
