"""What a committed transaction tells: one event a call, type and transformation (section 8.7 of the specification)."""

import pytest

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.events import EVENT_TYPES
from jsonrpc_tm.core.records import StatusRule
from tests.methods.driver import NEW, Driver

CONTENT = {
    "fields": {"kind": "string"},
    "directories": {"/vo": {"kind": "x"}},
    "files": {f"/vo/{number}": {} for number in range(3)},
}


def told(tm: Driver) -> list[tuple]:
    """Return type, transformation and data of the events since the last look."""
    found = [(event.type, event.transformation, dict(event.data)) for event in tm.events]
    tm.events.clear()
    return found


async def test_a_whole_production(sqlite_tm):
    tm = sqlite_tm
    tm.catalog.current = DictCatalog(CONTENT)
    await tm.add("p", inputMetaQuery={"kind": "x"}, who="alice")
    assert told(tm) == [
        ("transformation.created", 1, {"name": "p", "kind": "Processing"}),
        ("query.created", 1, {"queries": ["Input"]}),
        ("files.added", 1, {"count": 3, "ids": [1, 2, 3]}),
    ]
    await tm("addFilesToTransformation", 1, ["/vo/2", "/new"])
    assert told(tm) == [("files.added", 1, {"count": 1, "ids": [4]})]
    await tm("addTaskForTransformation", 1, ["/vo/0", "/new"])
    assert told(tm) == [
        ("tasks.created", 1, {"count": 1, "ids": [1]}),
        ("files.status", 1, {"count": 2, "ids": [1, 4], "status": {"Assigned": 2}}),
    ]
    await tm("getTasksToSubmit", 1, 5)
    assert told(tm) == [("tasks.status", 1, {"count": 1, "ids": [1], "status": {"Reserved": 1}})]
    await tm("setTaskStatusAndWmsID", 1, 1, "Submitted", 7)
    assert told(tm) == [("tasks.status", 1, {"count": 1, "ids": [1], "status": {"Submitted": 1}})]
    await tm("setFileStatusForTransformation", 1, {"1": "Processed", "4": ["Problematic", True]})
    numbers = {"Processed": 1, "Problematic": 1}
    assert told(tm) == [("files.status", 1, {"count": 2, "ids": [1, 4], "status": numbers})]
    await tm("deleteTasks", 1, 1, 9)
    assert told(tm) == [
        ("files.status", 1, {"count": 2, "status": {"Unused": 2}}),
        ("tasks.deleted", 1, {"count": 1, "first": 1, "last": 9}),
    ]
    await tm("setTransformationParameter", 1, "Status", "Active")
    await tm("setTransformationParameter", 1, "GroupSize", 5)
    await tm("setTransformationParameter", 1, "Own", [1])
    await tm("deleteTransformationParameter", 1, "Own")
    await tm("deleteTransformationMetaQuery", 1, "Input")
    assert told(tm) == [
        ("transformation.status", 1, {"status": "Active", "old": "New"}),
        ("transformation.parameter", 1, {"names": ["GroupSize"]}),
        ("transformation.parameter", 1, {"names": ["Own"]}),
        ("transformation.parameter", 1, {"names": ["Own"]}),
        ("query.deleted", 1, {"queries": ["Input"]}),
    ]
    await tm("completeTransformation", 1)
    await tm("cleanTransformation", 1)
    await tm("deleteTransformation", 1)
    assert told(tm) == [
        ("transformation.status", 1, {"status": "Completed", "old": "Active"}),
        ("transformation.cleaned", 1, {"files": 4, "tasks": 0}),
        ("transformation.deleted", 1, {"name": "p"}),
    ]


async def test_announcements_are_one_event_over_all_transformations(sqlite_tm):
    tm = sqlite_tm
    tm.catalog.current = DictCatalog(CONTENT)
    for name in "ab":
        await tm.add(name, inputMetaQuery={"kind": "x"}, addFiles=False)
    tm.events.clear()
    await tm("addFile", ["/vo/0", "/vo/1", "/nosuch"])
    assert told(tm) == [("files.announced", None, {"count": 2, "transformations": {1: 2, 2: 2}})]
    await tm("setMetadata", "/vo/2", {"kind": "y"})
    assert told(tm) == [("files.announced", None, {"count": 1, "transformations": {}})]
    await tm("addDirectory", "/vo")
    assert told(tm) == [("files.announced", None, {"count": 3, "transformations": {1: 3, 2: 3}})]
    await tm("removeFile", ["/vo/0", "/nosuch"])
    assert told(tm) == [("files.removed", None, {"count": 1, "ids": [1], "transformations": {1: 1, 2: 1}})]
    await tm("removeFile", ["/nosuch"])
    assert told(tm) == []


async def test_a_derivation_tells_of_parent_and_child(sqlite_tm):
    tm = sqlite_tm
    tm.catalog.current = DictCatalog(CONTENT)
    await tm.add("parent")
    await tm("addFilesToTransformation", 1, ["/a", "/b"])
    tm.events.clear()
    await tm.add("child", inheritedFrom="parent", inputMetaQuery={"kind": "x"}, outputMetaQuery={"a": 1})
    assert told(tm) == [
        ("transformation.created", 2, {"name": "child", "kind": "Processing"}),
        ("query.created", 2, {"queries": ["Input", "Output"]}),
        ("transformation.status", 1, {"status": "Completing", "old": "New"}),
        ("transformation.parameter", 1, {"names": ["AgentType"]}),
        # inherited and found in the catalog: said together, without the identifiers of some
        ("files.added", 2, {"count": 5, "parent": 1}),
    ]


async def test_an_event_says_who_when_and_for_which_request(sqlite_tm):
    await sqlite_tm.add("t", who="carol")
    (event,) = sqlite_tm.events
    assert event.author == "carol"
    assert event.time == sqlite_tm.service.clock()
    assert event.request_id == ""


async def test_long_lists_are_cut_and_numbers_are_whole(sqlite_tm):
    await sqlite_tm.add()
    await sqlite_tm("addFilesToTransformation", 1, [f"/{number}" for number in range(1500)])
    data = sqlite_tm.events[-1].data
    assert data["count"] == 1500
    assert data["ids"] == list(range(1, 1001))


async def test_what_is_rolled_back_or_changes_nothing_is_not_told(sqlite_tm):
    tm = sqlite_tm
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/a"])
    tm.events.clear()
    await tm.refused("InvalidState", "addTaskForTransformation", 1, ["/a", "/b"])
    await tm.refused("NotFound", "setFileStatusForTransformation", 1, {"1": "Processed", "99": "Processed"})
    await tm.refused("Conflict", "addTransformation", "t", *NEW)
    await tm("addFilesToTransformation", 1, ["/a"])
    await tm("setFileStatusForTransformation", 1, {})
    await tm("getTasksToSubmit", 1, 5)
    await tm("getTransformationFiles")
    assert told(tm) == []


async def test_a_rule_that_forbids_leaves_no_event():
    from jsonrpc_tm.storage.sqlite import SqliteStorage

    rule = StatusRule("file", lambda old, new: "no" if new == "Bad" else None)
    async with SqliteStorage(None) as storage:
        tm = Driver(storage, rules=[rule])
        async with tm.service:
            await tm.add()
            await tm("addFilesToTransformation", 1, ["/a"])
            tm.events.clear()
            await tm.refused("InvalidState", "setFileStatusForTransformation", 1, {"1": "Bad"})
            assert told(tm) == []


@pytest.mark.parametrize("type", EVENT_TYPES)
def test_every_type_is_said_somewhere_here(type):
    with open(__file__, encoding="utf-8") as file:
        assert f'"{type}"' in file.read()
