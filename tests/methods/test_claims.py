"""Claims: who has which task until when, and whose reports still count."""

import json

import pytest

from jsonrpc_tm.core.statuses import STOPPING_STATUSES


@pytest.fixture
async def five(tm):
    """A transformation with five tasks."""
    await tm.add()
    await tm("addTasks", 1, 5 * [{}])
    tm.events.clear()
    return tm


async def claim(tm, number, **named):
    """Return the lease's number, and the numbers of the tasks."""
    got = await tm("claimTasks", transName=1, numTasks=number, **named)
    return got["Lease"], [task["TaskID"] for task in got["Tasks"]]


async def leases(tm):
    rows = await tm.fetch("SELECT ExternalStatus, Lease FROM TransformationTasks ORDER BY TaskID")
    return [tuple(row.values()) for row in rows]


async def test_what_a_claim_says(tm):
    await tm.add(body="run")
    await tm("addFilesToTransformation", 1, ["/a", "/b"])
    await tm("addTasks", 1, [{"lfns": ["/b", "/a"], "se": "SE-A"}, {}])
    got = await tm("claimTasks", 1, 7, "here", 60, 90)
    assert got.pop("Transformation") == await tm("getTransformation", 1)
    task = {"Parameters": {}, "ExternalStatus": "Created", "Site": "here"}
    assert got == {
        "Lease": 1,
        "LeaseUntil": "2024-10-15T12:01:00Z",
        "Deadline": "2024-10-15T12:01:30Z",
        "Tasks": [
            {"TaskID": 1, "InputFiles": ["/b", "/a"], "TargetSE": "SE-A", **task},
            {"TaskID": 2, "InputFiles": [], "TargetSE": "Unknown", **task},
        ],
    }
    tm.later(60)
    got = await tm("claimTasks", 1, 1, "", 100, 50)
    assert got["Lease"] > 1
    assert got["LeaseUntil"] == got["Deadline"] == "2024-10-15T12:01:50Z"
    assert [(task["TaskID"], task["ExternalStatus"], "Site" in task) for task in got["Tasks"]] == [
        (1, "Reserved", False)
    ]
    assert [event.data for event in tm.events][-2:] == [
        {"count": 2, "ids": [1, 2], "status": {"Reserved": 2}},
        {"count": 1, "ids": [1], "status": {"Reserved": 1}},
    ]


async def test_parameters_of_a_task(tm):
    await tm.add()
    for name, value in (("a", "trans"), ("b", "trans"), ("c", "trans")):
        await tm("setTransformationParameter", 1, name, value)
    lfns = ["/1", "/2", "/3"]
    await tm("addFilesToTransformation", 1, lfns)
    values = {1: {"b": 1, "c": {"x": 1, "y": 2}, "d": 1, "one": 0}, 2: {"b": 1.0, "c": {"y": 2, "x": 1}, "d": True}}
    for file_id, own in values.items():
        for name, value in own.items():
            await tm.execute(
                "INSERT INTO ObjectAttributes (TransformationID, Kind, ObjectID, Name, Value)"
                " SELECT 1, 'file', :id, :name, value FROM (SELECT :value AS value) AS given",
                id=file_id,
                name=name,
                value=json.dumps(value),
            )
    await tm("addTasks", 1, [{"lfns": ["/1", "/2"], "parameters": {"c": None, "e": [5]}}, {"lfns": ["/3"]}, {}])
    tasks = (await tm("claimTasks", 1, 9))["Tasks"]
    plain = {"a": "trans", "b": "trans", "c": "trans"}
    assert [task["Parameters"] for task in tasks] == [
        {"a": "trans", "b": 1, "c": {"x": 1, "y": 2}, "e": [5]},
        plain,
        plain,
    ]


async def test_nothing_to_give_writes_nothing(five):
    tm = five
    assert await claim(tm, 5) == (1, [1, 2, 3, 4, 5])
    dump, events = await tm.dump(), list(tm.events)
    got = await tm("claimTasks", 1, 5)
    assert (got["Lease"], got["LeaseUntil"], got["Deadline"], got["Tasks"]) == (None, None, None, [])
    assert got["Transformation"]["TransformationID"] == 1
    assert await claim(tm, 0) == (None, [])
    assert (await tm.dump(), tm.events) == (dump, events)
    assert len(await tm.fetch("SELECT * FROM Leases")) == 1


async def test_nobody_claims_while_stop_would_be_true(five):
    tm = five
    lease, _ = await claim(tm, 2)
    for status in STOPPING_STATUSES:
        await tm("setTransformationParameter", 1, "Status", status)
        assert await claim(tm, 1) == (None, []), status
        renewed = await tm("renewLease", 1, lease)
        assert (renewed["Tasks"], renewed["Stop"]) == (2, True), status
    await tm("setTransformationParameter", 1, "Status", "Flush")
    assert await tm("renewLease", 1, lease, 10) == {"LeaseUntil": "2024-10-15T12:00:10Z", "Tasks": 2, "Stop": False}
    assert (await claim(tm, 1))[1] == [3]


async def test_what_is_past_is_given_again_under_a_higher_number(five):
    tm = five
    first, _ = await claim(tm, 2, lease=10)
    tm.later(9)
    assert (await claim(tm, 1, lease=10))[1] == [3]
    tm.later(1)
    # the lowest numbers first, whatever they were before
    second, taken = await claim(tm, 3, lease=10)
    assert taken == [1, 2, 4]
    assert second > first
    late = [{"TaskID": 1, "ExternalStatus": "Done", "Lease": first}]
    assert (await tm.refused("Conflict", "updateTasks", 1, late))["tasks"] == [1]
    assert await tm("renewLease", 1, first) == {"LeaseUntil": "2024-10-15T12:00:10Z", "Tasks": 0, "Stop": True}
    assert await tm("releaseLease", 1, first) == 0
    assert await tm("updateTasks", 1, [{"TaskID": 1, "ExternalStatus": "Done", "Lease": second}]) == 1


async def test_a_late_report_counts_until_somebody_has_claimed(five):
    tm = five
    lease, _ = await claim(tm, 2, lease=10)
    tm.later(100)
    running = {"ExternalStatus": "Running", "Lease": lease}
    assert await tm("updateTasks", 1, [{"TaskID": 1, **running}]) == 1
    # it has left Reserved: nobody gets it
    assert (await claim(tm, 1))[1] == [2]
    # and the number stays with it
    assert await tm("updateTasks", 1, [{"TaskID": 1, "ExternalStatus": "Done", "Lease": lease}]) == 1
    assert (await tm.refused("Conflict", "updateTasks", 1, [{"TaskID": 2, **running}]))["tasks"] == [2]
    # agents of DIRAC know none
    assert await tm("updateTasks", 1, [{"TaskID": 2, "ExternalStatus": "Running"}]) == 1


async def test_what_becomes_created_is_nobodys(five):
    tm = five
    lease, _ = await claim(tm, 4)
    await tm("setTaskStatus", 1, [1], "Created")
    await tm("setTaskStatusAndWmsID", 1, 2, "Created", "0")
    await tm("updateTasks", 1, [{"TaskID": 3, "ExternalStatus": "Created", "Lease": lease}])
    await tm("setTaskStatus", 1, [4], "Done")
    assert await leases(tm) == [*3 * [("Created", None)], ("Done", lease), ("Created", None)]
    assert await tm("releaseLease", 1, lease) == 0
    again, _ = await claim(tm, 2)
    assert await tm("releaseLease", 1, again) == 2
    assert await leases(tm) == [*3 * [("Created", None)], ("Done", lease), ("Created", None)]
    assert tm.events[-1].data == {"count": 2, "ids": [1, 2], "status": {"Created": 2}}
    for number in (lease, again):
        found = await tm.refused("Conflict", "updateTasks", 1, [{"TaskID": 1, "Lease": number}])
        assert found == {**found, "reason": "lease lost", "tasks": [1]}


async def test_tasks_given_without_a_lease_stay_reserved(five):
    tm = five
    await claim(tm, 1, lease=1)
    tm.later(10)
    # it takes Created ones only
    assert list((await tm("getTasksToSubmit", 1, 2))["JobDictionary"]) == ["2", "3"]
    tm.later(10**6)
    assert (await claim(tm, 9))[1] == [1, 4, 5]
    assert (await leases(tm))[1:3] == 2 * [("Reserved", None)]


async def test_a_lease_without_a_row_is_past(five):
    tm = five
    lease, _ = await claim(tm, 2)
    await tm.execute("DELETE FROM Leases")
    assert await tm("renewLease", 1, lease) == {"LeaseUntil": None, "Tasks": 2, "Stop": True}
    again, taken = await claim(tm, 2)
    assert (taken, again > lease) == ([1, 2], True)


async def test_no_renewal_goes_past_the_deadline(five):
    tm = five
    lease, _ = await claim(tm, 2, lease=10, deadline=30)
    tm.later(25)
    # also one that is past may be renewed, while nobody else has claimed
    assert await tm("renewLease", 1, lease, 100) == {"LeaseUntil": "2024-10-15T12:00:30Z", "Tasks": 2, "Stop": False}
    assert (await claim(tm, 1))[1] == [3]
    tm.later(5)
    assert await tm("renewLease", 1, lease, 100) == {"LeaseUntil": "2024-10-15T12:00:30Z", "Tasks": 2, "Stop": True}
    assert (await claim(tm, 2))[1] == [1, 2]


async def test_a_lease_is_its_transformations(five):
    tm = five
    await tm.add("other")
    lease, _ = await claim(tm, 2)
    events = len(tm.events)
    assert await tm("renewLease", "other", lease) == {"LeaseUntil": None, "Tasks": 0, "Stop": True}
    assert await tm("releaseLease", "other", lease) == 0
    assert await tm("renewLease", 1, lease + 1) == {"LeaseUntil": None, "Tasks": 0, "Stop": True}
    # renewals leave none
    assert len(tm.events) == events


async def test_a_number_is_never_given_twice(five):
    tm = five
    numbers = []
    for step in ("deleteTasks", "cleanTransformation", "deleteTransformation"):
        lease, _ = await claim(tm, 5)
        numbers.append(lease)
        await tm(step, *((1, 1, 99) if step == "deleteTasks" else (1,)))
        if step == "deleteTransformation":
            break
        assert await tm("renewLease", 1, lease) == {**await tm("renewLease", 1, lease), "Tasks": 0, "Stop": True}
        await tm("addTasks", 1, [{}])
    assert await tm.fetch("SELECT * FROM Leases") == []
    assert numbers == sorted(set(numbers))


async def test_what_has_long_been_past_is_forgotten(five, monkeypatch):
    tm = five
    monkeypatch.setattr("jsonrpc_tm.methods.claims._EVERY", 1)
    await tm.add("other")
    await tm("addTasks", "other", [{}, {}])
    reported, _ = await claim(tm, 1, lease=10)
    reserved, _ = await claim(tm, 1, lease=10)
    await tm("setTaskStatus", 1, [1], "Done")
    for days, kept in ((0, {reported, reserved}), (1, {reserved})):
        tm.later(days * 86400 + 11)
        last = (await tm("claimTasks", "other", 1))["Lease"]
        left = {row["Lease"] for row in await tm.fetch("SELECT Lease FROM Leases")}
        assert left & {reported, reserved} == kept, days
        assert last in left


@pytest.mark.parametrize(
    "wrong",
    [{"numTasks": -1}, {"lease": 0}, {"lease": 10**12}, {"deadline": 0}, {"lease": 1.5}, {"site": None}],
    ids=str,
)
async def test_bad_claims_are_refused(sqlite_tm, wrong):
    tm = sqlite_tm
    await tm.add()
    given = {"transName": 1, "numTasks": 1, **wrong}
    assert (await tm.refused("InvalidParams", "claimTasks", **given))["errors"].keys() == wrong.keys()
    await tm.refused("InvalidParams", "renewLease", 1, 1, 0)
    await tm.refused("InvalidParams", "releaseLease", 1, "x")
