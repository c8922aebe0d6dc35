"""setAttributes and getAttributes (section 8.2 of the specification)."""

import pytest

LFNS = [f"/vo/{number}" for number in range(4)]


@pytest.fixture
async def filled(tm):
    await tm.add("t")
    await tm("addFilesToTransformation", "t", LFNS)
    await tm("addTaskForTransformation", "t", LFNS[:2])
    await tm("addTaskForTransformation", "t", LFNS[2:])
    await tm("setAttributes", "t", "task", {"cores": 8}, [1, 2])
    await tm("setAttributes", "t", "file", {"tape": [1, None]}, LFNS)
    return tm


async def both(tm, trans="t"):
    return await tm("getAttributes", trans, "task"), await tm("getAttributes", trans, "file")


async def test_they_go_with_their_objects(filled):
    assert await filled("deleteTasks", "t", 2, 2) is None
    assert await both(filled) == ({"1": {"cores": 8}}, {lfn: {"tape": [1, None]} for lfn in LFNS})
    await filled("cleanTransformation", "t")
    assert await filled.fetch("SELECT * FROM ObjectAttributes") == []
    await filled("addFilesToTransformation", "t", LFNS)
    assert await both(filled) == ({}, {})
    await filled("setAttributes", "t", "file", {"tape": True}, LFNS[:1])
    await filled("deleteTransformation", "t")
    assert await filled.fetch("SELECT * FROM ObjectAttributes") == []


async def test_a_derived_transformation_has_its_own(filled):
    await filled.add("child", inheritedFrom="t")
    assert await both(filled, "child") == ({}, {})
    await filled("setAttributes", "child", "file", {"tape": 2}, LFNS[:1])
    assert (await both(filled))[1][LFNS[0]] == {"tape": [1, None]}


async def test_what_is_wrong_changes_nothing(filled):
    before = await filled.fetch("SELECT * FROM ObjectAttributes"), await filled.fetch("SELECT * FROM Events")
    for kind, ids in (("task", [1, 7, 9]), ("file", [LFNS[0], "/x", "/y"])):
        assert (await filled.refused("NotFound", "setAttributes", "t", kind, {"a": 1}, ids))["missing"] == ids[1:]
    for kind, attributes, ids in (
        ("task", {"a": 1}, ["one"]),
        ("file", {"a": 1}, [1]),
        ("file", {"": 1}, LFNS),
        ("file", {"a": 1}, [""]),
        ("file", {"x" * 256: 1}, LFNS),
        ("task", {"a": {"b": "\0"}}, [1]),
        ("transformation", {"x" * 33: 1}, None),
        ("transformation", {"description": "cased"}, None),
        ("transformation", {"Status": None}, None),
    ):
        await filled.refused("InvalidParams", "setAttributes", "t", kind, attributes, ids)
    for who in ("visitor", "dave"):
        await filled.refused("Forbidden", "setAttributes", "t", "task", {"a": 1}, [1], who=who)
    assert (await filled.fetch("SELECT * FROM ObjectAttributes"), await filled.fetch("SELECT * FROM Events")) == before


async def test_what_is_set_again_is_replaced_and_nothing_asked_is_nothing_done(filled):
    assert await filled("setAttributes", "t", "task", {"cores": {"min": 1}, "mine": 0}, [1, 1]) == 1
    assert await filled("setAttributes", "t", "task", {"cores": None, "never": None}, [2]) == 1
    assert (await both(filled))[0] == {"1": {"cores": {"min": 1}, "mine": 0}}
    events = await filled.fetch("SELECT * FROM Events")
    assert [await filled("setAttributes", "t", "task", *rest) for rest in (({}, [1]), ({"a": 1}, []))] == [1, 0]
    assert await filled.fetch("SELECT * FROM Events") == events


async def test_many_objects_take_few_statements(sqlite_tm):
    tm, names = sqlite_tm, [f"/{number}" for number in range(12_000)]
    await tm.add("t")
    await tm("addFilesToTransformation", "t", names)
    attributes = {f"name {number}": number for number in range(3)}
    few = await tm.statements("setAttributes", "t", "file", attributes, names[:1])
    assert await tm.statements("setAttributes", "t", "file", attributes, names) <= 3 * few <= 24
    assert await tm.statements("getAttributes", "t", "file") <= 3
    assert len(await tm("getAttributes", "t", "file", names)) == len(names)


async def test_many_parameters_take_as_many_statements_as_two(tm):
    await tm.add("t")
    taken = []
    for number in (2, 300):
        attributes = {f"{number} {n}": n for n in range(number)}
        taken.append(await tm.statements("setAttributes", "t", "transformation", attributes))
        assert tm.events[-1].data == {"names": list(attributes)}
        removed = dict.fromkeys([*attributes, "never"])
        taken.append(await tm.statements("setAttributes", "t", "transformation", removed))
        assert await tm("getAttributes", "t", "transformation") == {"1": {}}
        lines = (await tm.log("t"))[-2 * number :]
        assert lines == [f"{word} additional parameter {name}" for word in ("Added", "Removed") for name in attributes]
    assert taken[:2] == taken[2:]
    assert max(taken) <= 5
