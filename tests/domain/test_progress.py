"""getTransformationProgress: what it tells is what there was."""

from collections import Counter
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.domain.folding import fold

METHOD = "getTransformationProgress"
NUMBERS = count(1)
NOTHING = {"times": [], "files": {}, "tasks": {}}


async def grown(tm):
    """12:00 three files, 12:01 a task with two of them, 12:05 one Processed, now it is 12:07:30."""
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/a", "/b", "/c"])
    tm.later(60)
    await tm("addTaskForTransformation", 1, ["/a", "/b"])
    tm.later(240)
    await tm("setFileStatusForTransformation", 1, {"1": "Processed"})
    tm.later(150)


async def test_there_is_a_point_for_each_minute_with_changes(tm):
    await grown(tm)
    wanted = {
        "times": ["2024-10-15T12:01:00Z", "2024-10-15T12:02:00Z", "2024-10-15T12:06:00Z"],
        "files": {"Assigned": [0, 2, 1], "Processed": [0, 0, 1], "Unused": [3, 1, 1]},
        "tasks": {"Created": [0, 1, 1]},
    }
    assert await tm(METHOD, 1) == wanted
    await fold(tm.storage, tm.harness.clock.now)
    assert await tm.fetch("SELECT 1 FROM StatusDeltas") != await tm.fetch("SELECT 1 FROM StatusHistory") != []
    assert await tm(METHOD, "t") == wanted
    await tm("setFileStatusForTransformation", 1, {"2": "Processed"})
    now = await tm(METHOD, 1, None, "2100-01-01")
    assert now["times"][-1] == "2024-10-15T12:07:30Z"  # not the end of a minute that is still to come
    assert now["files"]["Processed"][-1] == 2


async def test_since_and_until(tm):
    await grown(tm)
    assert await tm(METHOD, 1, "2024-10-15T14:01:30+02:00", "2024-10-15 12:05:59") == {
        "times": ["2024-10-15T12:01:00Z", "2024-10-15T12:02:00Z"],
        "files": {"Assigned": [0, 2], "Unused": [3, 1]},
        "tasks": {"Created": [0, 1]},
    }
    assert (await tm(METHOD, 1, "2024-10-15 12:03"))["times"] == ["2024-10-15T12:03:00Z", "2024-10-15T12:06:00Z"]
    # nothing changed later: what there was
    assert await tm(METHOD, 1, "2024-10-15 12:07") == {
        "times": ["2024-10-15T12:07:00Z"],
        "files": {"Assigned": [1], "Processed": [1], "Unused": [1]},
        "tasks": {"Created": [1]},
    }
    for since, until in (("2030-01-01", None), ("2024-10-15 12:05", "2024-10-15 12:05"), (None, "2024-10-15")):
        assert await tm(METHOD, 1, since, until) == NOTHING
    assert await tm(METHOD, 1, "", "") == await tm(METHOD, 1)


async def test_at_most_as_many_points_as_asked_for(tm):
    await grown(tm)
    for points, times in ((3, ["12:04:00", "12:07:30"]), (2, ["12:07:30"]), (1, ["12:07:30"])):
        found = await tm(METHOD, transName=1, points=points)
        assert found["times"] == [f"2024-10-15T{time}Z" for time in times]
        assert found["files"]["Unused"][-1] == 1
    with_first = await tm(METHOD, transName=1, since="2024-10-15 12:02", points=2)
    assert (with_first["times"], with_first["files"]["Processed"]) == (
        ["2024-10-15T12:02:00Z", "2024-10-15T12:07:30Z"],
        [0, 1],
    )
    last = await tm(METHOD, transName=1, since="2024-10-15 12:02", points=1)
    assert (last["times"], last["files"]["Processed"]) == (["2024-10-15T12:07:30Z"], [1])


async def test_what_was_cleaned_was_there(tm):
    await grown(tm)
    await tm("cleanTransformation", 1)
    tm.later(60)
    found = await tm(METHOD, 1)
    assert found["files"] == {"Assigned": [0, 2, 1, 0], "Processed": [0, 0, 1, 0], "Unused": [3, 1, 1, 0]}
    assert found["tasks"] == {"Created": [0, 1, 1, 0]}
    await tm("deleteTransformation", 1)
    await tm.refused("NotFound", METHOD, 1)
    await tm.add()
    assert await tm(METHOD, "t") == NOTHING


async def test_what_is_hidden_is_hidden(tm):
    await grown(tm)
    tm.policy.allowed = {"Author": "nobody"}
    await tm.refused("NotFound", METHOD, 1)


@pytest.mark.parametrize("wrong", [{"points": 0}, {"points": "2"}, {"since": "yesterday"}, {"until": 5}])
async def test_bad_input(sqlite_tm, wrong):
    await sqlite_tm.add()
    await sqlite_tm.refused("InvalidParams", METHOD, transName=1, **wrong)


async def test_few_statements_whatever_there_is(sqlite_tm):
    await grown(sqlite_tm)
    few = await sqlite_tm.statements(METHOD, 1)
    for _ in range(30):
        sqlite_tm.later(60)
        await sqlite_tm("setFileStatusForTransformation", 1, {"1": "Unused"})
        sqlite_tm.later(60)
        await sqlite_tm("setFileStatusForTransformation", 1, {"1": "Processed"})
    assert await sqlite_tm.statements(METHOD, 1) == few == 4
    assert len((await sqlite_tm(METHOD, 1))["times"]) == 63


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(
    changes=st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ABC")), min_size=1, max_size=12),
    since=st.none() | st.integers(-5, 60),
    until=st.none() | st.integers(-5, 60),
    points=st.integers(1, 8) | st.just(200),
)
async def test_every_point_is_what_there_was(sqlite_tm, changes, since, until, points):
    tm, begin = sqlite_tm, 28_000_000
    changes = sorted(changes)

    def moment(minute):
        return None if minute is None else f"{tm.harness.clock.now.fromtimestamp(minute * 60 + 20)}"

    def there(before):
        return Counter(status for minute, status in changes if begin + minute < before)

    trans = await tm.add(f"t{next(NUMBERS)}")
    for minute, status in changes:
        await tm.execute(
            "INSERT INTO StatusDeltas VALUES (:id, 'file', :status, :minute, 0, 1) ON CONFLICT DO UPDATE SET N = N + 1",
            id=trans,
            status=status,
            minute=begin + minute,
        )
    tm.harness.clock.now = tm.harness.clock.now.fromtimestamp((begin + 50) * 60, tm.harness.clock.now.tzinfo)
    low, high = (None if value is None else moment(begin + value) for value in (since, until))
    found = await tm(METHOD, trans, low, high, points)
    assert len(found["times"]) <= points
    assert found["times"] == sorted(set(found["times"]))
    for place, time in enumerate(found["times"]):
        at = int(tm.harness.clock.now.fromisoformat(time).timestamp()) // 60
        # the present minute is not over
        wanted = there(begin + 51 if at == begin + 50 else at)
        assert {status: numbers[place] for status, numbers in found["files"].items() if numbers[place]} == wanted
    last = min(51, 51 if until is None else until)
    if last > (0 if since is None else max(since, 0)) and (since is not None or there(begin + last)):
        states = [numbers[-1] for numbers in found["files"].values()]
        assert sum(states) == sum(there(begin + last).values())


async def test_no_moment_is_told_twice(sqlite_tm):
    """What changes in the first second of a minute ends with that of the minute before: now."""
    tm = sqlite_tm
    await tm.add()
    tm.later(30)
    await tm("addFilesToTransformation", 1, ["/a"])
    tm.later(30)
    await tm("addFilesToTransformation", 1, ["/b"])
    assert await tm(METHOD, 1) == {"times": ["2024-10-15T12:01:00Z"], "files": {"Unused": [2]}, "tasks": {}}
