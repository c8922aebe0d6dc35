"""Conditions of meta queries that never hold: accepted, and the log says so."""

import logging

import pytest

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.matching.doubts import doubts
from jsonrpc_tm.matching.query import matches, validate
from tests.methods.test_offers import BrokenCatalog

FIELDS = {"zenith": "int", "energy": "float", "day": "date", "site": "string"}
VAIN = [
    ({"zenith": [10, "Missing"]}, "'Missing' is a value like any other"),
    ({"site": "any"}, "only Any alone"),
    ({"site": {"!=": "MISSING"}}, "only Missing alone"),
    ({"zenith": 20.5}, "20.5 is no int, such as 42: the condition never holds"),
    ({"zenith": {"nin": [1, "x"]}}, "'x' is no int"),
    ({"day": {">": "25/02/2026"}}, "is no date, such as 2026-02-25 or 2026-02-25T13:45:00Z"),
    ({"site": True}, "True is no string"),
    ({"energy": {">": 5, "<": 3}}, "no value fulfils"),
    ({"energy": {">=": 5, "<": 5}}, "no value fulfils"),
    ({"energy": {">": 5, "<=": 5}}, "no value fulfils"),
    ({"zenith": {"in": [1, 2], ">": 5}}, "no value fulfils"),
    ({"zenith": {"=": 1, "!=": 1}}, "no value fulfils"),
    ({"own": {"<": True}}, "no value fulfils"),
    ({"own": {"<": 5, ">": "a"}}, "no value fulfils"),
    ({"zenit": 20}, "declares no field 'zenit' (did you mean zenith?)"),
]
GOOD = [
    {"zenith": "Any", "energy": "Missing", "site": "Anywhere"},
    {"zenith": [10, "20"], "energy": {">": 1, "<": 2.5}, "day": {">=": "2026-02-25", "<=": "2026-02-25"}},
    {"energy": {">": 1, ">=": 2, "<": 9, "<=": 3}, "zenith": {"in": [1, 7], ">": 5, "nin": [1]}},
    {"own": [1, "a", True], "other": {">": "a", "<": "b"}},
]


@pytest.mark.parametrize(("query", "doubt"), VAIN, ids=[doubt for _, doubt in VAIN])
def test_c10_a_condition_that_never_holds_is_doubted(query, doubt):
    assert doubt in "; ".join(doubts(validate(query), FIELDS))


@pytest.mark.parametrize("query", GOOD)
def test_c10_what_may_hold_is_not_doubted(query):
    assert doubts(validate(query), FIELDS) == []


def test_c10_no_value_fulfils_what_is_called_impossible():
    values = [1, 2, 3, 5, 5.5, 6, "1", "a", "b", True, "2026-02-25"]
    for query, doubt in VAIN:
        if "no value fulfils" in doubt or "never holds" in doubt:
            (field,) = query
            assert not any(matches(query, {field: value}, FIELDS) for value in values)


def test_c10_long_values_are_cut():
    (found,) = doubts({"zenith": "x" * 60_000}, FIELDS)
    assert len(found) < 300


async def test_c10_the_log_says_so_once(sqlite_tm, caplog):
    tm = sqlite_tm
    tm.catalog.current = DictCatalog({"fields": FIELDS})
    await tm.add("t", who="carol")
    odd = {"zenith": [10, "Missing"], "site": "any"}
    with caplog.at_level(logging.WARNING, "jsonrpc_tm"):
        await tm("createTransformationMetaQuery", "t", odd, "Input", who="carol")
        await tm("createTransformationMetaQuery", "t", {"site": "any"}, "Output")
        await tm.add("u", inputMetaQuery={"energy": {">": 5, "<": 3}})
        await tm.add("v", inputMetaQuery={"site": "any"}, addFiles=False)
        await tm.add("w", inputMetaQuery={"site": "Any"})
        await tm("addFile", ["/nosuch"])
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(" may match nothing: ")[0] for line in said] == [
        "the Input meta query of transformation 't'",
        "the Input meta query of transformation 2",
        "the Input meta query of transformation 3",
    ]
    assert "'zenith': 'Missing'" in said[0] and "'site': 'any'" in said[0]
    assert caplog.records[0].user == "carol"
    assert await tm("getTransformationMetaQuery", "t", "Input") == odd


async def test_c10_a_catalog_that_fails_keeps_no_query_out(sqlite_tm):
    sqlite_tm.catalog.current = BrokenCatalog(RuntimeError("down"))
    await sqlite_tm.add("t")
    assert await sqlite_tm("createTransformationMetaQuery", "t", {"site": "any"}, "Input") is None
