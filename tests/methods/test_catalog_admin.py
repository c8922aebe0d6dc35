"""The methods catalog.…: who may feed the built-in catalog, and what comes out of it."""

import pytest

from jsonrpc_tm.catalog.builtin import BuiltinCatalog
from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.identity import Identity

KEEPER = Identity("kim", "keepers", frozenset({"FileCatalogManagement"}))
FIELDS = {"particle": "string", "zenith": "int", "energy": "float", "day": "date"}


@pytest.fixture
async def fed(tm):
    tm.catalog.current = BuiltinCatalog(tm.service.storage)
    assert await tm("catalog.addFields", FIELDS) == 4
    await tm("catalog.setMetadata", "/vo/gamma", {"particle": "gamma", "zenith": 20})
    files = {"/vo/gamma/1": {"energy": 0.5}, "/vo/gamma/2": {"zenith": 40}, "/vo/other/3": {"zenith": -1}}
    assert await tm("catalog.addFiles", files) == {"Added": 3, "Changed": 0}
    return tm


WRITERS = (
    ("catalog.addFields", {"new": "int"}),
    ("catalog.addFiles", {"/vo/gamma/9": {}}),
    ("catalog.setMetadata", "/vo/x", {"zenith": 1}),
    ("catalog.remove", ["/vo/x"]),
)


@pytest.mark.parametrize("call", WRITERS, ids=lambda call: call[0])
async def test_writing_needs_one_of_two_properties(fed, call):
    await fed(*call, who="manager")
    await fed(*call, who=KEEPER)
    for who in ("carol", "alice", "visitor"):
        assert await fed.refused("Forbidden", *call, who=who) == {
            "needs": ["ProductionManagement", "FileCatalogManagement"]
        }
    await fed.refused("Unauthenticated", *call, who="nobody")


@pytest.mark.parametrize("call", WRITERS, ids=lambda call: call[0])
async def test_another_catalog_is_not_fed(sqlite_tm, call):
    await sqlite_tm.refused("CatalogError", *call)


async def test_finding(fed):
    assert await fed("catalog.find", {"particle": "gamma"}, who="visitor") == ["/vo/gamma/1", "/vo/gamma/2"]
    assert await fed("catalog.find", {"zenith": {">": 20}}) == ["/vo/gamma/2"]
    assert await fed("catalog.find", {}) == ["/vo/gamma/1", "/vo/gamma/2", "/vo/other/3"]
    assert await fed("catalog.find", {}, "/vo/other") == ["/vo/other/3"]
    assert await fed("catalog.find", query={}, limit=None) == await fed("catalog.find", {}, "/", 0)
    assert await fed("catalog.find", {}, "/", 1) == ["/vo/gamma/1"]
    assert await fed("catalog.find", query={}, limit=1, after="/vo/gamma/1") == ["/vo/gamma/2"]
    assert await fed("catalog.find", {"particle": "Missing"}) == ["/vo/other/3"]
    await fed.refused("CatalogError", "catalog.find", {"nosuch": "Missing"})
    await fed.refused("CatalogError", "catalog.find", {"zenith": [20, "x"]})
    for params in (({"zenith": None},), (None,), ({}, None), ({}, "/", -1), ({}, "/", 1, 5)):
        await fed.refused("InvalidParams", "catalog.find", *params)


async def test_looking_at_one_path(fed):
    assert await fed("catalog.get", "/vo/gamma/2", who="visitor") == {
        "type": "file",
        "own": {"zenith": 40},
        "metadata": {"particle": "gamma", "zenith": 40},
    }
    assert await fed("catalog.get", "/vo/gamma") == {
        "type": "directory",
        "own": {"particle": "gamma", "zenith": 20},
        "metadata": {"particle": "gamma", "zenith": 20},
    }
    assert await fed("catalog.get", "/vo") == {"type": "directory", "own": {}, "metadata": {}}
    await fed.refused("NotFound", "catalog.get", "/nosuch")


async def test_a_catalog_that_cannot_tell_what_is_own(sqlite_tm):
    sqlite_tm.catalog.current = DictCatalog({"directories": {"/": {"a": 1}}, "files": {"/f": {"b": 2}}})
    assert await sqlite_tm("catalog.get", "/f") == {"type": "file", "own": None, "metadata": {"a": 1, "b": 2}}


async def test_changing_metadata(fed):
    await fed("catalog.setMetadata", "/vo/gamma/1", {"energy": None, "day": "2024-05-01", "free": True})
    assert (await fed("catalog.get", "/vo/gamma/1"))["own"] == {"day": "2024-05-01", "free": True}
    assert await fed("catalog.addFiles", {"/vo/gamma/1": {"energy": 2}, "/vo/gamma/2": {"zenith": 40}}) == {
        "Added": 0,
        "Changed": 1,
    }
    assert (await fed("catalog.get", "/vo/gamma/1"))["own"] == {"energy": 2}


async def test_types_of_fields_stay(fed):
    assert await fed("catalog.addFields", {"zenith": "int", "more": "date"}) == 1
    data = await fed.refused("Conflict", "catalog.addFields", {"another": "int", "zenith": "float"})
    assert data["field"] == "zenith"
    await fed.refused("CatalogError", "catalog.find", {"another": 1})


async def test_removing(fed):
    assert await fed("catalog.remove", ["/vo/gamma", "/vo/other/3", "/nosuch"]) == 4
    assert await fed("catalog.find", {}) == []
    assert await fed("catalog.remove", []) == 0


@pytest.mark.parametrize(
    ("method", "params", "wrong"),
    [
        ("catalog.addFields", [{"a": "integer"}], "fields"),
        ("catalog.addFields", [{"": "int"}], "fields"),
        ("catalog.addFields", [["a"]], "fields"),
        ("catalog.addFields", [{"a" * 256: "int"}], "fields"),
        ("catalog.addFiles", [{"relative": {}}], "files"),
        ("catalog.addFiles", [{"/a//b": {}}], "files"),
        ("catalog.addFiles", [{"/a/": {}}], "files"),
        ("catalog.addFiles", [{"/": {}}], "files"),
        ("catalog.addFiles", [{"": {}}], "files"),
        ("catalog.addFiles", [{"/" + "a" * 255: {}}], "files"),
        ("catalog.addFiles", [{"/a": None}], "files"),
        ("catalog.addFiles", [{"/a": {"x": None}}], "files"),
        ("catalog.addFiles", [{"/a": {"x": [1]}}], "files"),
        ("catalog.addFiles", [{"/a": {"x": "\0"}}], "files"),
        ("catalog.addFiles", [{"/a": {"x": "v" * 65534}}], "files"),
        ("catalog.addFiles", [{"/a": {"": 1}}], "files"),
        ("catalog.addFiles", [["/a"]], "files"),
        ("catalog.addFiles", [{"/a": {}}, 1], "announce"),
        ("catalog.setMetadata", ["vo", {}], "path"),
        ("catalog.setMetadata", ["/vo", []], "metadata"),
        ("catalog.setMetadata", ["/vo", {"x": {}}], "metadata"),
        ("catalog.remove", ["/vo"], "paths"),
        ("catalog.remove", [["/"]], "paths"),
        ("catalog.remove", [["vo"]], "paths"),
        ("catalog.get", [5], "path"),
    ],
)
async def test_wrong_parameters(sqlite_tm, method, params, wrong):
    assert list((await sqlite_tm.refused("InvalidParams", method, *params))["errors"]) == [wrong]


async def test_a_conflict_changes_nothing(fed):
    await fed.refused("Conflict", "catalog.addFiles", {"/vo/new/1": {}, "/vo/gamma": {}})
    await fed.refused("Conflict", "catalog.addFiles", {"/vo/gamma/1/below": {}})
    await fed.refused("Conflict", "catalog.setMetadata", "/vo/gamma/1/below", {})
    await fed.refused("NotFound", "catalog.get", "/vo/new")


async def test_announcing_what_is_added(fed):
    await fed.add("t", inputMetaQuery={"particle": "gamma", "zenith": 20}, addFiles=False)
    assert await fed("catalog.addFiles", {"/vo/gamma/8": {}}) == {"Added": 1, "Changed": 0}
    assert await fed("getTransformationStats", 1) == {"Total": 0}
    files = {"/vo/gamma/8": {}, "/vo/gamma/7": {}, "/vo/gamma/6": {"zenith": 1}}
    assert await fed("catalog.addFiles", files, True) == {"Added": 2, "Changed": 0}
    rows = await fed("getTransformationFiles", {"TransformationID": 1}, columns=["LFN", "FileID"])
    assert rows == [{"LFN": "/vo/gamma/8", "FileID": 1}, {"LFN": "/vo/gamma/7", "FileID": 2}]


async def test_a_change_counts_for_the_next_search_and_the_next_transformation(fed):
    await fed.add("before", inputMetaQuery={"zenith": 5})
    await fed("catalog.setMetadata", "/vo/other", {"zenith": 5})
    await fed("catalog.addFiles", {"/vo/other/4": {}})
    await fed.add("after", inputMetaQuery={"zenith": 5})
    assert await fed("getTransformationStats", "before") == {"Total": 0}
    assert await fed("getTransformationStats", "after") == {"Unused": 1, "Total": 1}


async def test_ten_thousand_files_take_few_statements(sqlite_tm):
    sqlite_tm.catalog.current = BuiltinCatalog(sqlite_tm.service.storage)
    await sqlite_tm.add(inputMetaQuery={"n": {">=": 5000}}, addFiles=False)
    few = await sqlite_tm.statements("catalog.addFiles", {"/a/0": {"n": 0}, "/a/x": {"n": 9999}}, True)
    many = {f"/b/{number}": {"n": number} for number in range(10_000)}
    assert await sqlite_tm.statements("catalog.addFiles", many, True) < 3 * few
    assert await sqlite_tm("getTransformationStats", 1) == {"Unused": 5001, "Total": 5001}
