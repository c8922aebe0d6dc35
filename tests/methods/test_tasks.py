"""Tasks: making, listing, reporting, deleting; their numbers; handing them out."""

import pytest

from jsonrpc_tm.core.model import TASK_COLUMNS
from jsonrpc_tm.core.records import StatusRule

from .driver import Driver

FILES = ["/a", "/b", "/c", "/d"]


@pytest.fixture
async def t(tm):
    """A simulation with four files."""
    await tm.add("t", transType="Simulation")
    await tm("addFilesToTransformation", "t", FILES)
    return tm


async def files(tm, *columns):
    listed = await tm("getTransformationFiles", condDict={"TransformationID": 1}, columns=list(columns))
    return [tuple(row[name] for name in columns) for row in listed]


async def tasks(tm, *columns, **more):
    listed = await tm("getTransformationTasks", **{"condDict": {"TransformationID": 1}, **more})
    return [tuple(row[name] for name in columns) for row in listed]


async def test_a_task_with_files(t):
    t.later()
    # in the order of the call, once each
    assert await t("addTaskForTransformation", "t", ["/c", "/a", "/c"], "SE1") == 1
    assert await t("getTransformationTasks", inputVector=True) == [
        {
            "TaskID": 1,
            "TransformationID": 1,
            "ExternalStatus": "Created",
            "ExternalID": "0",
            "TargetSE": "SE1",
            "CreationTime": "2024-10-15T12:00:01Z",
            "LastUpdateTime": "2024-10-15T12:00:01Z",
            "InputVector": "/c;/a",
        }
    ]
    assert list((await t("getTransformationTasks"))[0]) == list(TASK_COLUMNS)
    mine, other = (
        ("Assigned", 1, "SE1", "Unknown", "2024-10-15T12:00:01Z"),
        (
            "Unused",
            None,
            "Unknown",
            "Unknown",
            "2024-10-15T12:00:00Z",
        ),
    )
    assert await files(t, "Status", "TaskID", "UsedSE", "TargetSE", "LastUpdate") == [mine, other, mine, other]
    assert await t.fetch("SELECT * FROM TransformationFileTasks ORDER BY FileID") == [
        {"TransformationID": 1, "FileID": 1, "TaskID": 1},
        {"TransformationID": 1, "FileID": 3, "TaskID": 1},
    ]
    assert await t.log() == ["Created transformation 1"]
    assert (await t("getTransformation", 1))["LastUpdate"] == "2024-10-15T12:00:00Z"


async def test_tasks_without_files(t):
    assert await t("addTaskForTransformation", "t") == 1
    assert await t("addTaskForTransformation", "t", None) == 2
    assert await t("addTaskForTransformation", "t", [], "") == 3
    assert await tasks(t, "TaskID", "TargetSE", "InputVector", inputVector=True) == [
        (1, "Unknown", ""),
        (2, "Unknown", ""),
        (3, "", ""),
    ]
    assert await t.fetch("SELECT * FROM TaskInputs") == []


async def test_files_that_cannot_be_assigned_stop_the_task(t):
    await t.add("u")
    await t("addFilesToTransformation", "u", ["/other"])
    await t("setFileStatusForTransformation", "t", {"1": "ProbInFC", "2": "MaxReset", "3": "Unused-inherited"})
    before = await t.dump()
    data = await t.refused("InvalidState", "addTaskForTransformation", "t", ["/a", "/b", "/c", "/d", "/other", "/no"])
    assert data["files"] == {
        "/b": "MaxReset",
        "/c": "Unused-inherited",
        "/other": "not in the transformation",
        "/no": "not in the transformation",
    }
    assert await t.dump() == before
    assert await t("addTaskForTransformation", "t", ["/a", "/d"]) == 1
    await t.refused("InvalidState", "addTaskForTransformation", "t", ["/d"])
    # a refused call uses up no number
    assert await t("addTaskForTransformation", "t") == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ("/a",),
        ({"/a": 1},),
        (5,),
        ([5],),
        ([""],),
        (["x" * 256],),
        (["a\0"],),
        ([], None),
        ([], 5),
        ([], "s" * 256),
        ([], "s\0"),
    ],
)
async def test_parameters_of_a_task_that_do_not_fit(sqlite_tm, wrong):
    await sqlite_tm.add()
    await sqlite_tm.refused("InvalidParams", "addTaskForTransformation", "t", *wrong)
    assert await sqlite_tm.fetch("SELECT * FROM TransformationTasks") == []


async def test_numbers_go_on_whatever_becomes_of_the_tasks(t):
    assert await t("extendTransformation", "t", 3) == [1, 2, 3]
    await t("deleteTasks", "t", 3, 3)
    assert await t("addTaskForTransformation", "t", ["/a"]) == 4
    await t("deleteTasks", "t", 0, 2**63 - 1)
    assert await t("extendTransformation", "t", 0) == []
    assert await t("extendTransformation", "t", 2) == [5, 6]
    await t("cleanTransformation", "t")
    assert await t("addTaskForTransformation", "t") == 7
    await t.add("u", transType="Simulation")
    assert await t("extendTransformation", "u", 1) == [1]


async def test_reports(t):
    await t("extendTransformation", "t", 4)
    t.later()
    assert await t("setTaskStatus", "t", 1, "Running") is None
    assert await t("setTaskStatus", "t", ["2", 3, 2], "Done") is None
    assert await t("setTaskStatusAndWmsID", "t", "4", "Submitted", 4711) is None
    moved = "2024-10-15T12:00:01Z"
    assert await tasks(t, "ExternalStatus", "ExternalID", "LastUpdateTime", "CreationTime") == [
        ("Running", "0", moved, "2024-10-15T12:00:00Z"),
        ("Done", "0", moved, "2024-10-15T12:00:00Z"),
        ("Done", "0", moved, "2024-10-15T12:00:00Z"),
        ("Submitted", "4711", moved, "2024-10-15T12:00:00Z"),
    ]
    t.later()
    before = await t.dump()
    data = await t.refused("NotFound", "setTaskStatus", "t", [1, 99, 2, -1], "X")
    assert data["missing"] == [99, -1]
    many = range(5, 10_000)
    assert (await t.refused("NotFound", "setTaskStatus", "t", [1, *many], "X"))["missing"] == list(many)[:1000]
    await t.refused("NotFound", "setTaskStatusAndWmsID", "t", 99, "X", "1")
    assert await t.dump() == before
    assert await t("setTaskStatus", "t", [], "X") is None
    # the same report again moves the time
    await t("setTaskStatus", "t", 1, "Running")
    assert (await tasks(t, "LastUpdateTime"))[0] == ("2024-10-15T12:00:02Z",)
    assert await t("getTransformationTaskStats", "t") == {"Running": 1, "Done": 2, "Submitted": 1, "TotalCreated": 4}
    assert (await t.log())[2:] == []


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("setTaskStatus", (None, "X")),
        ("setTaskStatus", (1.0, "X")),
        ("setTaskStatus", ("x", "X")),
        ("setTaskStatus", (True, "X")),
        ("setTaskStatus", ([[1]], "X")),
        ("setTaskStatus", ([1, None], "X")),
        ("setTaskStatus", (1, None)),
        ("setTaskStatus", (1, 5)),
        ("setTaskStatus", (1, "X" * 17)),
        ("setTaskStatus", (1, "X\0")),
        ("setTaskStatus", (1,)),
        ("setTaskStatusAndWmsID", ([1], "X", "1")),
        ("setTaskStatusAndWmsID", (1, "X" * 17, "1")),
        ("setTaskStatusAndWmsID", (1, "X", "1" * 17)),
        ("setTaskStatusAndWmsID", (1, "X", 10**16)),
        ("setTaskStatusAndWmsID", (1, "X", None)),
        ("setTaskStatusAndWmsID", (1, "X", True)),
        ("setTaskStatusAndWmsID", (1, "X", ["1"])),
        ("setTaskStatusAndWmsID", (1, 5, "1")),
        ("deleteTasks", (1,)),
        ("deleteTasks", (None, None)),
        ("deleteTasks", (2, 1)),
        ("deleteTasks", (-1, 1)),
        ("deleteTasks", ("-1", 1)),
        ("deleteTasks", (1, -1)),
        ("deleteTasks", (1.0, 2)),
        ("extendTransformation", (-1,)),
        ("extendTransformation", ("1",)),
        ("extendTransformation", (1.0,)),
        ("extendTransformation", (None,)),
        ("extendTransformation", (True,)),
        ("extendTransformation", (1_000_001,)),
        ("getTasksToSubmit", (-1,)),
        ("getTasksToSubmit", ("1",)),
        ("getTasksToSubmit", (1.0,)),
        ("getTasksToSubmit", (None,)),
        ("getTasksToSubmit", (1, None)),
        ("getTasksToSubmit", (1, 5)),
        ("getTasksToSubmit", (1, "s\0")),
        ("getTasksToSubmit", ()),
    ],
)
async def test_parameters_that_do_not_fit_come_before_the_right(sqlite_tm, method, wrong):
    tm = sqlite_tm
    await tm.add("t", who="carol", transType="Simulation")
    await tm("extendTransformation", "t", 2)
    before = await tm.dump()
    for who in ("manager", "visitor"):
        await tm.refused("InvalidParams", method, "t", *wrong, who=who)
    assert await tm.dump() == before


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("addTaskForTransformation", ()),
        ("setTaskStatus", (1, "X")),
        ("setTaskStatus", (99, "X")),
        ("setTaskStatusAndWmsID", (1, "X", "1")),
        ("deleteTasks", (1, 1)),
        ("extendTransformation", (1,)),
        ("getTasksToSubmit", (1,)),
    ],
)
async def test_who_may_change(sqlite_tm, method, parameters):
    tm = sqlite_tm
    await tm.add("t", who="alice", transType="Simulation")
    await tm.add("p", who="alice")
    await tm("extendTransformation", "t", 2)
    before = await tm.dump()
    for who in ("carol", "visitor"):
        for name in ("t", "p", "nosuch"):
            await tm.refused("Forbidden", method, name, *parameters, who=who)
    await tm.refused("NotFound", method, "nosuch", *parameters)
    await tm.refused("Unauthenticated", method, "t", *parameters, who="nobody")
    assert await tm.dump() == before
    if 99 not in parameters:
        await tm(method, "t", *parameters, who="bob")


async def test_deleted_tasks_free_their_files(t):
    await t("addTaskForTransformation", "t", ["/a"], "SE")
    await t("addTaskForTransformation", "t", ["/b", "/c"], "SE")
    await t("setFileStatusForTransformation", "t", {"2": ["Processed", True]})
    t.later()
    assert await t("deleteTasks", "t", "2", 5) is None
    assert await files(t, "Status", "TaskID", "UsedSE", "ErrorCount", "LastUpdate") == [
        ("Assigned", 1, "SE", 0, "2024-10-15T12:00:00Z"),
        ("Unused", None, "Unknown", 1, "2024-10-15T12:00:01Z"),
        ("Unused", None, "Unknown", 0, "2024-10-15T12:00:01Z"),
        ("Unused", None, "Unknown", 0, "2024-10-15T12:00:00Z"),
    ]
    for table in ("TransformationTasks", "TransformationFileTasks", "TaskInputs"):
        assert {row["TaskID"] for row in await t.fetch(f"SELECT TaskID FROM {table}")} == {1}
    await t("deleteTasks", "t", 50, 50)
    assert (await t.log())[1:] == ["Deleted tasks from 2 to 5", "Deleted tasks from 50 to 50"]


async def test_inherited_files_keep_their_numbers_when_tasks_are_deleted(t):
    await t("addTaskForTransformation", "t", ["/a"])
    await t.add("child", inheritedFrom="t")
    await t("deleteTasks", "child", 1, 10**9)
    rows = await t("getTransformationFiles", {"TransformationID": 2, "LFN": "/a"})
    assert [(row["Status"], row["TaskID"]) for row in rows] == [("Assigned-inherited", 1_000_001)]


@pytest.mark.parametrize(("kind", "can"), [("Simulation", True), ("mcsimulation", True), ("Processing", False)])
async def test_only_some_types_can_be_extended(tm, kind, can):
    await tm.add("t", transType=kind)
    if can:
        assert await tm("extendTransformation", "t", 2) == [1, 2]
        assert (await tm.log())[-1] == "Transformation extended by 2 tasks"
    else:
        await tm.refused("InvalidState", "extendTransformation", "t", 2)
        assert await tm.log() == ["Created transformation 1"]


async def test_handing_out(t):
    await t("addTaskForTransformation", "t", ["/b", "/a"], "SE")
    await t("extendTransformation", "t", 3)
    await t("setTaskStatus", "t", 2, "Failed")
    t.later()
    answer = await t("getTasksToSubmit", "t", 2, "Site.A")
    core = await t("getTransformation", "t")
    assert answer == {
        **core,
        "JobDictionary": {
            "1": {
                "TaskID": 1,
                "TransformationID": 1,
                "TargetSE": "SE",
                "Status": "Created",
                "InputData": "/b;/a",
                "Site": "Site.A",
            },
            "3": {
                "TaskID": 3,
                "TransformationID": 1,
                "TargetSE": "Unknown",
                "Status": "Created",
                "InputData": "",
                "Site": "Site.A",
            },
        },
    }
    assert await tasks(t, "ExternalStatus", "LastUpdateTime") == [
        ("Reserved", "2024-10-15T12:00:01Z"),
        ("Failed", "2024-10-15T12:00:00Z"),
        ("Reserved", "2024-10-15T12:00:01Z"),
        ("Created", "2024-10-15T12:00:00Z"),
    ]
    assert (await t("getTasksToSubmit", "t", 0))["JobDictionary"] == {}
    rest = (await t("getTasksToSubmit", "t", 2**63 - 1))["JobDictionary"]
    assert list(rest) == ["4"]
    assert "Site" not in rest["4"]
    assert (await t("getTasksToSubmit", "t", 5))["JobDictionary"] == {}
    # a task that is Created again can be handed out again
    await t("setTaskStatus", "t", 1, "Created")
    assert list((await t("getTasksToSubmit", "t", 5))["JobDictionary"]) == ["1"]


async def test_many_tasks_take_few_statements(tm):
    await tm.add("t", transType="Simulation")
    assert await tm.statements("extendTransformation", "t", 4000) == await tm.statements("extendTransformation", "t", 1)
    many = await tm.statements("extendTransformation", "t", 12_000)
    assert many <= 10
    assert await tm.statements("getTasksToSubmit", "t", 4000) == await tm.statements("getTasksToSubmit", "t", 1)
    assert await tm.statements("setTaskStatus", "t", list(range(1, 12_001)), "Done") <= 9
    await tm("addFilesToTransformation", "t", [f"/{n}" for n in range(12_000)])
    assert await tm.statements("addTaskForTransformation", "t", [f"/{n}" for n in range(12_000)]) <= 19
    assert await tm("getTransformationStats", "t") == {"Assigned": 12_000, "Total": 12_000}
    assert await tm.statements("deleteTasks", "t", 1, 20_000) <= 11
    assert await tm.statements("getTransformationTasks", inputVector=True) == 1
    assert await tm("getTransformationStats", "t") == {"Unused": 12_000, "Total": 12_000}


async def test_reading_rules_hide_tasks(t):
    await t.add("u", transType="Simulation")
    for name in "tu":
        await t("extendTransformation", name, 1)
    t.policy.allowed = {"TransformationID": [2]}
    assert [row["TransformationID"] for row in await t("getTransformationTasks")] == [2]
    await t.refused("NotFound", "getTransformationTaskStats", "t")
    assert await t("getTransformationTaskStats", "u") == {"Created": 1, "TotalCreated": 1}


async def test_rules_of_plugins_on_tasks(storage):
    forbidden = {(None, "Created"): False, ("Created", "Reserved"): False, ("Done", "Running"): True}

    def check(old, new):
        return f"from {old} to {new}" if forbidden.get((old, new)) else None

    tm = Driver(storage, rules=[StatusRule("task", check)])
    await tm.add("t", transType="Simulation")
    await tm("extendTransformation", "t", 3)
    await tm("setTaskStatus", "t", 1, "Done")
    before = await tm.dump()
    await tm.refused("InvalidState", "setTaskStatus", "t", [2, 1], "Running")
    await tm.refused("InvalidState", "setTaskStatusAndWmsID", "t", 1, "Running", "7")
    assert await tm.dump() == before
    await tm("setTaskStatus", "t", [2], "Running")
    forbidden[None, "Created"] = forbidden["Created", "Reserved"] = True
    for method, parameters in (
        ("addTaskForTransformation", ()),
        ("extendTransformation", (1,)),
        ("getTasksToSubmit", (5,)),
    ):
        await tm.refused("InvalidState", method, "t", *parameters)


async def test_rules_on_files_also_hold_for_tasks(storage):
    forbidden = set()
    tm = Driver(storage, rules=[StatusRule("file", lambda old, new: "no" if (old, new) in forbidden else None)])
    await tm.add()
    await tm("addFilesToTransformation", "t", ["/a", "/b"])
    await tm("addTaskForTransformation", "t", ["/a"])
    before = await tm.dump()
    forbidden |= {("Unused", "Assigned"), ("Assigned", "Unused")}
    await tm.refused("InvalidState", "addTaskForTransformation", "t", ["/b"])
    await tm.refused("InvalidState", "deleteTasks", "t", 1, 1)
    assert await tm.dump() == before
