"""addTasks and updateTasks: many tasks in one call, all or none, with few statements."""

import pytest


async def files(tm, number, trans=1):
    lfns = [f"/f/{index}" for index in range(number)]
    await tm("addFilesToTransformation", trans, lfns)
    return lfns


async def books(tm):
    """Everything that these methods write."""
    further = {table: await tm.fetch(f"SELECT * FROM {table}") for table in ("ObjectAttributes", "Events", "Leases")}
    return {**await tm.dump(), **further}


async def test_tasks_are_made_in_the_order_given(tm):
    await tm.add()
    a, b, c, d = await files(tm, 4)
    tm.events.clear()
    new = [{"lfns": [c, a, c], "se": "SE-A", "parameters": {"p": [1], "gone": None}}, {}, {"lfns": [d]}]
    assert await tm("addTasks", 1, new) == [1, 2, 3]
    rows = await tm("getTransformationTasks", inputVector=True)
    wanted = [(1, "SE-A", f"{c};{a}"), (2, "Unknown", ""), (3, "Unknown", d)]
    assert [(row["TaskID"], row["TargetSE"], row["InputVector"] or "") for row in rows] == wanted
    assert {(row["ExternalStatus"], row["ExternalID"]) for row in rows} == {("Created", "0")}
    found = {row["LFN"]: (row["Status"], row["TaskID"], row["UsedSE"]) for row in await tm("getTransformationFiles")}
    assigned = ("Assigned", 1, "SE-A")
    assert found == {
        a: assigned,
        b: ("Unused", None, "Unknown"),
        c: assigned,
        d: ("Assigned", 3, "Unknown"),
    }
    history = await tm.fetch("SELECT FileID, TaskID FROM TransformationFileTasks ORDER BY FileID")
    assert [tuple(row.values()) for row in history] == [(1, 1), (3, 1), (4, 3)]
    attributes = await tm.fetch("SELECT Kind, ObjectID, Name, Value FROM ObjectAttributes")
    assert [tuple(row.values()) for row in attributes] == [("task", 1, "p", "[1]")]
    assert [(event.type, event.data) for event in tm.events] == [
        ("tasks.created", {"count": 3, "ids": [1, 2, 3]}),
        ("files.status", {"count": 3, "ids": [1, 3, 4], "status": {"Assigned": 3}}),
    ]
    assert await tm("addTasks", 1, [{"lfns": [b]}]) == [4]
    await tm("deleteTasks", 1, 1, 4)
    assert await tm.fetch("SELECT * FROM ObjectAttributes") == []


async def test_a_file_that_is_not_free_stops_all(tm):
    await tm.add()
    a, b, c, d = await files(tm, 4)
    await tm("addFilesToTransformation", 1, ["/odd;name"])
    await tm("addTaskForTransformation", 1, [d])
    before = await books(tm)
    for given, wrong in (
        ([{"lfns": [a]}, {"lfns": [d]}], {d: "Assigned"}),
        ([{"lfns": [a, "/not/there"]}], {"/not/there": "not in the transformation"}),
        ([{"lfns": [a, b]}, {"lfns": [c]}, {"lfns": [b]}], {b: "in two tasks of the call"}),
        ([{"lfns": [a]}, {"lfns": ["/odd;name"]}], {"/odd;name": None}),
    ):
        found = await tm.refused("InvalidState", "addTasks", 1, given)
        assert found["files"].keys() == wrong.keys()
        assert all(reason in (None, found["files"][lfn]) for lfn, reason in wrong.items())
    assert await books(tm) == before


async def test_bad_tasks_are_refused_where_they_are(sqlite_tm):
    tm = sqlite_tm
    await tm.add()
    for given, where in (
        ([], None),
        ({}, None),
        ([1], [0]),
        ([{}, {"lfn": []}], [1, "lfn"]),
        ([{"lfns": "/a"}], [0, "lfns"]),
        ([{"lfns": None}], [0, "lfns"]),
        ([{"lfns": [""]}], [0, "lfns", 0]),
        ([{"lfns": ["/" + 255 * "a"]}], [0, "lfns", 0]),
        ([{"se": 5}], [0, "se"]),
        ([{"se": "x\0"}], [0, "se"]),
        ([{"parameters": []}], [0, "parameters"]),
        ([{"parameters": {"": 1}}], [0, "parameters", ""]),
        ([{"parameters": {"a": ["\0"]}}], [0, "parameters", "a"]),
        ([{"parameters": {256 * "a": 1}}], [0, "parameters", 255 * "a"]),
    ):
        found = (await tm.refused("InvalidParams", "addTasks", 1, given))["errors"]["tasks"]
        for step in where or ():
            found = found[step]
        assert isinstance(found, list), given
    assert await tm("getTransformationTasks") == []


async def test_whose_right_it_takes(sqlite_tm):
    tm = sqlite_tm
    await tm.add()
    for method, given in (
        ("addTasks", [[{}]]),
        ("updateTasks", [[]]),
        ("claimTasks", [1]),
        ("renewLease", [1]),
        ("releaseLease", [1]),
    ):
        await tm.refused("Forbidden", method, 1, *given, who="visitor")
        await tm.refused("NotFound", method, 7, *given)
        await tm.refused("Forbidden", method, 7, *given, who="visitor")


async def test_updates_are_each_their_own(tm):
    await tm.add()
    await tm("addTasks", 1, 5 * [{}])
    tm.later()
    tm.events.clear()
    updates = [
        {"TaskID": "3", "ExternalStatus": "Done"},
        {"TaskID": 1, "ExternalStatus": "Submitted", "ExternalID": 12.5, "TargetSE": "SE-A"},
        {"TaskID": 2, "ExternalID": "job"},
        {"TaskID": 4},
    ]
    assert await tm("updateTasks", 1, updates) == 4
    rows = await tm.fetch("SELECT * FROM TransformationTasks ORDER BY TaskID")
    names = ("TaskID", "ExternalStatus", "ExternalID", "TargetSE")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (1, "Submitted", "12.5", "SE-A"),
        (2, "Created", "job", "Unknown"),
        (3, "Done", "0", "Unknown"),
        (4, "Created", "0", "Unknown"),
        (5, "Created", "0", "Unknown"),
    ]
    assert [row["LastUpdateTime"][-2:] for row in rows] == ["01", "01", "01", "00", "00"]
    told = {"count": 3, "ids": [3, 1, 2], "status": {"Done": 1, "Submitted": 1}}
    assert [(event.type, event.data) for event in tm.events] == [("tasks.status", told)]
    assert await tm("updateTasks", 1, []) == 0


async def test_all_updates_or_none(tm):
    await tm.add()
    await tm("addTasks", 1, 3 * [{}])
    lease = (await tm("claimTasks", 1, 2))["Lease"]
    before = await books(tm)
    done = {"ExternalStatus": "Done"}
    found = await tm.refused("NotFound", "updateTasks", 1, [{"TaskID": 1, **done}, {"TaskID": 9, **done}])
    assert found["missing"] == [9]
    # what does not exist comes before what is somebody else's
    await tm.refused("NotFound", "updateTasks", 1, [{"TaskID": 1, "Lease": lease + 1}, {"TaskID": 9}])
    mine = [{"TaskID": task, "Lease": lease, **done} for task in (1, 2, 3)]
    found = await tm.refused("Conflict", "updateTasks", 1, mine)
    assert (found["reason"], found["tasks"]) == ("lease lost", [3])
    found = await tm.refused("Conflict", "updateTasks", 1, [{"TaskID": 2, "Lease": lease + 1, **done}])
    assert found["tasks"] == [2]
    assert await books(tm) == before
    assert await tm("updateTasks", 1, mine[:2]) == 2


async def test_bad_updates_are_refused_where_they_are(sqlite_tm):
    tm = sqlite_tm
    await tm.add()
    await tm("addTasks", 1, [{}])
    for given, where in (
        ({}, []),
        ([[1]], [0]),
        ([{"ExternalStatus": "Done"}], [0, "TaskID"]),
        ([{"TaskID": 1}, {"TaskID": "1"}], [1, "TaskID"]),
        ([{"TaskID": 1.5}], [0, "TaskID"]),
        ([{"TaskID": 1, "Status": "Done"}], [0, "Status"]),
        ([{"TaskID": 1, "ExternalStatus": 17 * "a"}], [0, "ExternalStatus"]),
        ([{"TaskID": 1, "ExternalStatus": None}], [0, "ExternalStatus"]),
        ([{"TaskID": 1, "ExternalID": 17 * "1"}], [0, "ExternalID"]),
        ([{"TaskID": 1, "ExternalID": True}], [0, "ExternalID"]),
        ([{"TaskID": 1, "TargetSE": 256 * "a"}], [0, "TargetSE"]),
        ([{"TaskID": 1, "Lease": "x"}], [0, "Lease"]),
    ):
        found = (await tm.refused("InvalidParams", "updateTasks", 1, given))["errors"]["updates"]
        for step in where:
            found = found[step]
        assert isinstance(found, list), given


async def test_the_number_of_statements_does_not_grow_with_tasks(sqlite_tm):
    tm = sqlite_tm
    await tm.add()
    lfns = await files(tm, 2200)

    def new(number):
        return [{"lfns": [lfns.pop(), lfns.pop()], "parameters": {"n": 1}} for _ in range(number)]

    few = await tm.statements("addTasks", 1, new(1))
    assert few <= 14
    assert await tm.statements("addTasks", 1, new(1000)) == few
    few = await tm.statements("claimTasks", 1, 1)
    assert few <= 14
    assert await tm.statements("claimTasks", 1, 999) == few
    few = await tm.statements("updateTasks", 1, [{"TaskID": 1, "ExternalStatus": "Done", "Lease": 1}])
    assert few <= 6
    many = [{"TaskID": task, "ExternalStatus": "Done", "Lease": 2} for task in range(2, 1001)]
    assert await tm.statements("updateTasks", 1, many) == few
    assert await tm.statements("claimTasks", 1, 0) == 2  # the transformation, locked and read


@pytest.mark.slow
async def test_ten_thousand_tasks_of_a_hundred_thousand_files(tm):
    await tm.add()
    lfns = await files(tm, 100_000)
    new = [{"lfns": lfns[index : index + 10]} for index in range(0, 100_000, 10)]
    assert await tm("addTasks", 1, new) == list(range(1, 10_001))
    taken = (await tm("claimTasks", 1, 10_000))["Tasks"]
    assert [task["InputFiles"] for task in taken] == [task["lfns"] for task in new]
