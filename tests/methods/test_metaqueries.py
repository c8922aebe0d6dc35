"""Meta queries of transformations: kept as given, one of each type, logged, guarded."""

import pytest

QUERY = {
    "s": 'it\'s "\u03b3" \\ ;;; \U0001f600\n',
    "e": "",
    "i": 0,
    "f": 1.0,
    "t": True,
    "b": False,
    "l": ["x", 1, 2.5, True],
    "o": {"=": 1, "!=": ["a"], "<": 5, "in": [1], "nin": ["x"]},
    "long": "v" * 65533,
    "k" * 255: 1,
}


async def test_a_query_comes_back_as_it_was_given(tm):
    await tm.add()
    assert await tm("createTransformationMetaQuery", "t", QUERY, "Input") is None
    back = await tm("getTransformationMetaQuery", 1, "Input", who="visitor")
    assert back == QUERY
    assert [type(back[name]) for name in "iftb"] == [int, float, bool, bool]
    rows = await tm.fetch("SELECT DISTINCT MetaDataType, QueryType, TransformationID FROM TransformationMetaQueries")
    assert rows == [{"MetaDataType": "JSON", "QueryType": "Input", "TransformationID": 1}]


async def test_names_differ_when_their_bytes_differ(tm):
    await tm.add()
    query = {"a": 1, "A": 2, "á": 3, "a ": 4}
    await tm("createTransformationMetaQuery", 1, query, "Input")
    assert await tm("getTransformationMetaQuery", 1, "Input") == query


async def test_one_of_each_type(tm):
    await tm.add()
    await tm("createTransformationMetaQuery", 1, {"a": 1}, "Input")
    await tm("createTransformationMetaQuery", 1, {"b": 1}, "Output")
    await tm.refused("Conflict", "createTransformationMetaQuery", 1, {"c": 1}, "Input")
    await tm.refused("Conflict", "createTransformationMetaQuery", 1, {"b": 1}, "Output")
    assert await tm("deleteTransformationMetaQuery", 1, "Input") is None
    assert await tm("getTransformationMetaQuery", 1, "Output") == {"b": 1}
    await tm.refused("NotFound", "getTransformationMetaQuery", 1, "Input")
    await tm.refused("NotFound", "deleteTransformationMetaQuery", 1, "Input")
    await tm("createTransformationMetaQuery", 1, {"c": 1}, "Input")


async def test_the_log(sqlite_tm):
    await sqlite_tm.add()
    await sqlite_tm("createTransformationMetaQuery", 1, {"a": 1}, "Input")
    await sqlite_tm("deleteTransformationMetaQuery", 1, "Input")
    await sqlite_tm.refused("NotFound", "deleteTransformationMetaQuery", 1, "Input")
    await sqlite_tm.refused("InvalidParams", "createTransformationMetaQuery", 1, {}, "Input")
    assert await sqlite_tm.log() == ["Created transformation 1", "Added meta data query", "Deleted meta data query"]


async def test_queries_do_not_move_last_update(sqlite_tm):
    await sqlite_tm.add()
    sqlite_tm.later()
    await sqlite_tm("createTransformationMetaQuery", 1, {"a": 1}, "Input")
    await sqlite_tm("deleteTransformationMetaQuery", 1, "Input")
    assert (await sqlite_tm("getTransformation", 1))["LastUpdate"] == "2024-10-15T12:00:00Z"


@pytest.mark.parametrize("kind", ["input", "INPUT", "", "Both", None, 1])
async def test_other_types_are_refused(sqlite_tm, kind):
    await sqlite_tm.add()
    for method, params in (
        ("createTransformationMetaQuery", (1, {"a": 1}, kind)),
        ("getTransformationMetaQuery", (1, kind)),
        ("deleteTransformationMetaQuery", (1, kind)),
    ):
        data = await sqlite_tm.refused("InvalidParams", method, *params)
        assert list(data["errors"]) == ["queryType"]


async def test_what_is_wrong_is_named_by_field(sqlite_tm):
    await sqlite_tm.add()
    data = await sqlite_tm.refused("InvalidParams", "createTransformationMetaQuery", 1, {"a": 1, "b": None}, "Input")
    assert list(data["errors"]["queryDict"]) == ["b"]


async def test_the_right(sqlite_tm):
    await sqlite_tm.add(who="carol")
    for who in ("dave", "visitor", "alice"):
        await sqlite_tm.refused("Forbidden", "createTransformationMetaQuery", 1, {"a": 1}, "Input", who=who)
        await sqlite_tm.refused("Forbidden", "deleteTransformationMetaQuery", 1, "Input", who=who)
        await sqlite_tm.refused("Forbidden", "deleteTransformationMetaQuery", 99, "Input", who=who)
    await sqlite_tm.refused("NotFound", "createTransformationMetaQuery", 99, {"a": 1}, "Input")
    await sqlite_tm("createTransformationMetaQuery", 1, {"a": 1}, "Input", who="carol")
    await sqlite_tm("deleteTransformationMetaQuery", 1, "Input", who="carol")


async def test_reading_is_limited_by_the_policy(sqlite_tm):
    await sqlite_tm.add(inputMetaQuery={"a": 1}, addFiles=False)
    sqlite_tm.policy.allowed = {"TransformationID": 2}
    await sqlite_tm.refused("NotFound", "getTransformationMetaQuery", 1, "Input")


async def test_a_long_query_takes_as_many_statements_as_a_short_one(sqlite_tm):
    await sqlite_tm.add("short")
    await sqlite_tm.add("long")
    short = await sqlite_tm.statements("createTransformationMetaQuery", "short", {"a": 1}, "Input")
    many = {f"field{number}": number for number in range(300)}
    assert await sqlite_tm.statements("createTransformationMetaQuery", "long", many, "Input") == short
