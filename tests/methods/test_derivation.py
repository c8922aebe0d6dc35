"""Derivation, section 6.6 of the specification."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.core.records import StatusRule
from jsonrpc_tm.core.statuses import FILE_STATES

from .driver import Driver

WORDS = ("Removed", "Deleted", "NotProcessed", "-", "a-b", "removed", "x" * 22, "x" * 31 + "-", "", *FILE_STATES)


async def files(tm, trans, *columns):
    listed = await tm("getTransformationFiles", condDict={"TransformationID": trans}, columns=list(columns))
    return [tuple(row[name] for name in columns) for row in listed]


async def test_what_is_copied_and_what_begins_anew(tm):
    await tm.add("parent")
    await tm("addFilesToTransformation", "parent", ["/a", "/b", "/c", "/d"])
    await tm("addTaskForTransformation", "parent", ["/a", "/b"], "SE")
    change = {"1": ["Processed", True], "2": ["Removed", False], "4": ["my-own", True]}
    await tm("setFileStatusForTransformation", "parent", change)

    async def target(tx):
        await tx.execute("UPDATE TransformationFiles SET TargetSE = 'T' WHERE FileID = 1")

    await tm.storage.storage.run("test", target)
    before = (await tm.dump())["TransformationFiles"]
    tm.later()
    assert await tm.add("child", inheritedFrom="parent") == 2
    columns = ("LFN", "Status", "TaskID", "TargetSE", "UsedSE", "ErrorCount", "LastUpdate", "InsertedTime")
    now = "2024-10-15T12:00:01Z"
    assert await files(tm, 2, *columns) == [
        ("/a", "Processed-inherited", 1_000_001, "T", "SE", 0, now, now),
        ("/c", "Unused-inherited", None, "Unknown", "Unknown", 0, now, now),
        ("/d", "my-own", None, "Unknown", "Unknown", 0, now, now),
    ]
    # the parent keeps its files, and no tasks or history come along
    assert [row for row in (await tm.dump())["TransformationFiles"] if row["TransformationID"] == 1] == before
    assert await tm("getTransformationTasks", {"TransformationID": 2}) == []
    assert {row["TransformationID"] for row in (await tm.dump())["TransformationFileTasks"]} == {1}
    assert (await tm("getTransformation", 2))["InheritedFrom"] == 1
    assert await tm("addTaskForTransformation", "child") == 1


async def test_the_parent_completes(tm):
    await tm.add("parent", who="carol")
    tm.later()
    await tm.add("child", who="carol", inheritedFrom=1)
    wanted = {"Status": "Completing", "AgentType": "Automatic", "LastUpdate": "2024-10-15T12:00:01Z"}
    assert await tm("getTransformationParameters", 1, list(wanted)) == wanted
    assert await tm.log(1) == [
        "Created transformation 1",
        "Status updated to Completing",
        "AgentType updated to Automatic",
        "Creation of the derived transformation (2)",
    ]
    assert await tm.log(2) == ["Created transformation 2"]


async def test_task_numbers_of_several_generations(tm):
    await tm.add("a")
    await tm("addFilesToTransformation", "a", ["/1", "/2", "/3", "/4"])

    async def number(tx):
        for file_id, task_id in ((1, 999_999), (2, 1_000_000), (3, 2**62)):
            await tx.execute(
                "UPDATE TransformationFiles SET TaskID = :task WHERE FileID = :file", {"task": task_id, "file": file_id}
            )

    await tm.storage.storage.run("test", number)
    await tm.add("b", inheritedFrom="a")
    first = [("Unused-inherited", task) for task in (1_999_999, 1_000_000, 2**62, None)]
    assert await files(tm, 2, "Status", "TaskID") == first
    await tm.add("c", inheritedFrom="b")
    assert await files(tm, 3, "Status", "TaskID") == first


async def test_a_number_of_an_id_that_needs_more_than_32_bits(tm):
    await tm.add("parent")
    await tm("addFilesToTransformation", "parent", ["/a"])
    await tm("addTaskForTransformation", "parent", ["/a"])

    async def renumber(tx):
        big = 3_000_000
        columns = (await tx.fetch_all("SELECT * FROM Transformations"))[0].keys()
        others = ", ".join(name for name in columns if name not in ("TransformationID", "TransformationName"))
        await tx.execute(
            f"INSERT INTO Transformations (TransformationID, TransformationName, {others})"
            f" SELECT {big}, 'big', {others} FROM Transformations"
        )
        await tx.execute(f"INSERT INTO TaskCounters (TransformationID, LastTaskID) VALUES ({big}, 0)")

    await tm.storage.storage.run("test", renumber)
    await tm("addFilesToTransformation", "big", ["/a"])
    await tm("addTaskForTransformation", "big", ["/a"])
    child = await tm.add("child", inheritedFrom="big")
    assert await files(tm, child, "TaskID") == [(3_000_000_000_001,)]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), st.integers(0, 6))
async def test_statuses_as_the_specification_says(sqlite_tm, words, with_task):
    tm = sqlite_tm
    number = len(await tm("getTransformations"))
    parent, child = f"p{number}", f"c{number}"
    parent_id = await tm.add(parent)
    names = [f"/{number}/{n}" for n in range(len(words))]
    await tm("addFilesToTransformation", parent, names)
    tasked = names[:with_task]
    if tasked:
        await tm("addTaskForTransformation", parent, tasked)
    listed = await files(tm, parent_id, "FileID", "LFN")
    await tm(
        "setFileStatusForTransformation", parent, {str(row[0]): word for row, word in zip(listed, words, strict=True)}
    )
    expected = []
    for name, word in zip(names, words, strict=True):
        task = 1 if name in tasked else None
        if word == "Removed":
            continue
        if "-" in word:
            expected.append((name, word, task))
        else:
            expected.append((name, f"{word}-inherited", task and parent_id * 1_000_000 + task))
    child_id = await tm.add(child, inheritedFrom=parent)
    assert await files(tm, child_id, "LFN", "Status", "TaskID") == expected


async def test_a_status_that_would_be_too_long_stops_everything(tm):
    await tm.add("parent")
    await tm("addFilesToTransformation", "parent", ["/a", "/b", "/c"])
    # 22 characters and the suffix fill the column; what is kept or left out may be longer
    await tm("setFileStatusForTransformation", "parent", {"1": "日" * 22, "2": "x" * 31 + "-", "3": "Removed"})
    await tm.add("fits", inheritedFrom="parent")
    assert await files(tm, 2, "Status") == [("日" * 22 + "-inherited",), ("x" * 31 + "-",)]
    await tm("setFileStatusForTransformation", "parent", {"1": "日" * 23})
    before = await tm.dump()
    names = ("short", "long", "Processing", "Standard", "Manual", "", "General", 1, "parent")
    await tm.refused("InvalidState", "addTransformation", "child", *names)
    assert await tm.dump() == before


async def test_a_query_adds_what_was_not_inherited(storage):
    from jsonrpc_tm.catalog.memory import DictCatalog

    content = {
        "fields": {"k": "int"},
        "directories": {"/": {}},
        "files": {"/a": {"k": 1}, "/b": {"k": 1}, "/c": {"k": 2}},
    }
    tm = Driver(storage, DictCatalog(content))
    await tm.add("parent")
    await tm("addFilesToTransformation", "parent", ["/c", "/a"])
    await tm.add("child", inheritedFrom="parent", inputMetaQuery={"k": 1})
    assert await files(tm, 2, "LFN", "Status") == [
        ("/c", "Unused-inherited"),
        ("/a", "Unused-inherited"),
        ("/b", "Unused"),
    ]


@pytest.mark.parametrize("kind", ["file", "transformation"])
async def test_rules_of_plugins_may_stop_it(storage, kind):
    tm = Driver(
        storage, rules=[StatusRule(kind, lambda old, new: new if new in ("Completing", "X-inherited") else None)]
    )
    await tm.add("parent")
    await tm("addFilesToTransformation", "parent", ["/a"])
    await tm("setFileStatusForTransformation", "parent", {"1": "X"})
    before = await tm.dump()
    names = ("short", "long", "Processing", "Standard", "Manual", "", "General", 1, "parent")
    await tm.refused("InvalidState", "addTransformation", "child", *names)
    assert await tm.dump() == before
