"""Announcements: who may make them, what they leave behind, and what they tell."""

import logging

from jsonrpc_tm.core.identity import Identity
from tests.methods.announced import files_of, want

KEEPER = Identity("kim", "keepers", ("FileCatalogManagement",))
HISTORY = "SELECT FileID, TaskID FROM TransformationFileTasks ORDER BY FileID, TaskID"


async def test_attack_1_who_has_no_property_announces_nothing(small):
    await want(small, "gamma", {"particle": "gamma"})
    before = await small.dump()
    calls = [("addFile", ["/vo/g/1"]), ("addDirectory", "/vo/g"), ("setMetadata", "/vo/p", {"particle": "gamma"})]
    for call in (*calls, ("removeFile", ["/vo/g/1"])):
        await small.refused("Forbidden", *call, who="visitor")
        await small.refused("Unauthenticated", *call, who="nobody")
    # what the caller says itself needs more than what the catalog says
    for who in ("carol", "alice"):
        for call in calls[:2]:
            await small(*call, who=who)
        await small.refused("Forbidden", *calls[2], who=who)
    assert await small.dump() != before


async def test_attack_1_every_announcement_names_its_author(small):
    await want(small, "gamma", {"particle": "gamma"})
    small.events.clear()
    await small("addFile", ["/vo/g/1"], who="carol")
    await small("addFile", ["/nosuch"], who="carol")
    await small("addDirectory", "/vo/g", who="alice")
    await small("setMetadata", "/vo/p/5", {"particle": "gamma"}, who=KEEPER)
    found = [(event.type, event.author, event.data["count"], event.data["transformations"]) for event in small.events]
    assert found == [
        ("files.announced", "carol", 1, {1: 1}),
        ("files.announced", "carol", 0, {}),
        ("files.announced", "alice", 3, {1: 3}),
        ("files.announced", "kim", 1, {1: 1}),
    ]


async def test_attack_1_a_file_revived_out_of_a_live_task_leaves_a_trace(world, caplog):
    await want(world, "gamma", {"particle": "gamma"})
    await world("addFile", ["/vo/g/1", "/vo/g/2", "/vo/g/3"])
    assert [await world("addTaskForTransformation", 1, [f"/vo/g/{n}"]) for n in (1, 2)] == [1, 2]
    await world("setTaskStatus", 1, 1, "Submitted")
    await world("setTaskStatus", 1, 2, "Done")
    await world("removeFile", ["/vo/g/1", "/vo/g/2", "/vo/g/3"])
    world.events.clear()
    with caplog.at_level(logging.WARNING, "jsonrpc_tm"):
        await world("addFile", ["/vo/g/1", "/vo/g/2", "/vo/g/3"], who="carol")
    (event,) = world.events
    assert event.author == "carol"
    # of task 2, which has ended, nothing needs to be told
    assert event.data["out_of_tasks"] == [{"TransformationID": 1, "TaskID": 1, "FileID": 1}]
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "file 1 of task 1 in transformation 1" in record.getMessage()
    assert record.user == "carol"
    # a second task: the history knows both
    assert await world("addTaskForTransformation", 1, ["/vo/g/1"]) == 3
    assert await world.fetch(HISTORY) == [
        {"FileID": 1, "TaskID": 1},
        {"FileID": 1, "TaskID": 3},
        {"FileID": 2, "TaskID": 2},
    ]
    world.events.clear()
    await world("addFile", ["/vo/g/1"])
    assert "out_of_tasks" not in world.events[0].data


async def test_attack_1_an_inherited_file_may_be_in_its_parents_task(small):
    await small.add("parent")
    await small("addFilesToTransformation", 1, ["/vo/g/1"])
    await small("addTaskForTransformation", 1, ["/vo/g/1"])
    await want(small, "child", {"particle": "gamma"}, inheritedFrom=1)
    await small("removeFile", ["/vo/g/1"])
    small.events.clear()
    await small("addFile", ["/vo/g/1"])
    assert small.events[0].data["out_of_tasks"] == [{"TransformationID": 2, "TaskID": 1_000_001, "FileID": 1}]


async def test_attack_13_a_hidden_transformation_wants_in_silence(world):
    await want(world, "theirs", {"particle": "gamma"}, who="manager")
    await want(world, "ours", {"zenith": 40}, who="carol")
    world.policy.allowed = {"AuthorGroup": (await world("getTransformation", "ours"))["AuthorGroup"]}
    answer = await world("addFile", ["/vo/g/1", "/vo/g/3"], who="carol")
    assert answer["Successful"] == {"/vo/g/1": False, "/vo/g/3": True}
    assert (await world("addDirectory", "/vo/g", who="carol"))["Added"] == 1
    removed = await world("removeFile", ["/vo/g/1", "/vo/g/3"], who=KEEPER)
    assert removed["Successful"] == {"/vo/g/1": "File does not exist", "/vo/g/3": True}
    # it was done all the same
    world.policy.allowed = None
    assert {lfn: row["Status"] for lfn, row in (await files_of(world, 1, "Status")).items()} == {
        "/vo/g/1": "Deleted",
        "/vo/g/2": "Unused",
        "/vo/g/3": "Deleted",
    }
