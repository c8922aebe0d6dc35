"""explainMatch and previewMetaQuery (section 8.3): what files are given and what queries bring, before it happens."""

import pytest

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.catalog.none import NoCatalog
from jsonrpc_tm.core.statuses import ACCEPTING_STATUSES

from .announced import CONTENT, want

QUERIES = [
    {"particle": "gamma"},
    {"particle": ["gamma", "proton"], "zenith": {">": 20, "<=": 40}},
    {"particle": {"!=": "proton", "nin": ["e", "mu"]}, "size": "Any"},
    {"zenith": "Missing", "free": {"=": ["a"]}},
    {"size": {">": 1}},
    {"size": "unreadable"},
]


async def explained(tm, lfn, **who):
    """Return the first failing condition by TransformationID, None where the file is wanted."""
    rows = await tm("explainMatch", lfn, **who)
    for row in rows:
        assert row["Matches"] == (row["Field"] is None)
    return {
        row["TransformationID"]: None if row["Matches"] else (row["Field"], row["Condition"], row["Value"])
        for row in rows
    }


async def test_which_condition_fails_first(world):
    for number, query in enumerate(QUERIES):
        await want(world, f"t{number}", query)
    assert await explained(world, "/vo/g/2") == {
        1: None,
        2: ("zenith", {">": 20}, 20),
        3: None,
        4: ("free", {"in": ["a"]}, None),
        5: ("size", {">": 1}, "huge"),
        6: ("size", {"=": "unreadable"}, "huge"),
    }
    assert await explained(world, "/vo/p/5") == {
        1: ("particle", {"=": "gamma"}, "proton"),
        2: ("zenith", {">": 20}, None),
        3: ("particle", {"!=": "proton"}, "proton"),
        4: ("free", {"in": ["a"]}, None),
        5: ("size", {">": 1}, None),
        6: ("size", {"=": "unreadable"}, None),
    }


async def test_it_says_what_an_announcement_does(small):
    for number, query in enumerate(QUERIES):
        await want(small, f"t{number}", query)
        await want(small, f"late{number}", query)
        await small("setTransformationParameter", f"late{number}", "Status", "Idle")
    for lfn in CONTENT["files"]:
        told = await explained(small, lfn)
        await small("addFile", lfn)
        given = small.events[-1].data["transformations"]
        assert set(given) == {trans_id for trans_id, failed in told.items() if failed is None}


@pytest.mark.parametrize("status", [*ACCEPTING_STATUSES, "Idle", "Completed", "Mine"])
async def test_transformations_that_accept_files_are_told(small, status):
    await want(small, "t", {"particle": "gamma"})
    await small.add("without")
    await small.add("output", outputMetaQuery={"particle": "gamma"})
    await small("setTransformationParameter", "t", "Status", status)
    assert list(await explained(small, "/vo/g/1")) == ([1] if status in ACCEPTING_STATUSES else [])


async def test_hidden_transformations_are_hidden(world):
    await want(world, "mine", {"particle": "gamma"})
    await want(world, "theirs", {"particle": "gamma"})
    world.policy.allowed = {"TransformationName": "mine"}
    assert await world("explainMatch", "/vo/g/1") == [
        {
            "TransformationID": 1,
            "TransformationName": "mine",
            "Matches": True,
            "Field": None,
            "Condition": None,
            "Value": None,
        }
    ]


async def test_a_query_that_cannot_be_understood_wants_nothing(small):
    await want(small, "t", {"particle": "gamma"})
    await small.execute("UPDATE TransformationMetaQueries SET MetaDataValue = '{}'")
    ((row),) = await small("explainMatch", "/vo/g/1")
    assert (row["Matches"], row["Field"], row["Condition"], row["Value"]) == (False, None, None, None)


async def test_it_changes_nothing_and_takes_one_statement(small):
    for number in range(30):
        await want(small, f"t{number}", {"particle": "gamma", "zenith": number})
    before = await small.dump()
    assert await small.statements("explainMatch", "/vo/g/1") == 1
    await small("previewMetaQuery", {"particle": "gamma"})
    assert await small.dump() == before
    assert {event.type for event in small.events} == {"transformation.created", "query.created"}


async def test_a_server_without_a_catalog_takes_any_name_for_a_file(small):
    small.catalog.current = NoCatalog()
    await want(small, "t", {"n": 1})
    await want(small, "u", {"n": "Missing"})
    assert await explained(small, "/any") == {1: ("n", {"=": 1}, None), 2: None}
    assert await small("previewMetaQuery", {"n": 1}) == {"count": 0, "files": [], "warnings": []}


class Asked(DictCatalog):
    """Writes down for whom it is asked."""

    async def find(self, query, path="/", *, limit=None, after=None, asker=None):
        self.asker = asker
        return await super().find(query, path, limit=limit, after=after)


async def test_a_preview_is_the_search_of_addTransformation(small):
    small.catalog.current = catalog = Asked(CONTENT)
    shown = await small("previewMetaQuery", {"particle": "gamma"}, 2, who="alice")
    assert shown == {"count": 4, "files": ["/vo/g/1", "/vo/g/2"], "warnings": []}
    asked = catalog.asker
    await small.add("t", who="alice", inputMetaQuery={"particle": "gamma"})
    assert (asked.owner, asked.group) == (catalog.asker.owner, catalog.asker.group) == ("alice", "sharers")
    assert (await small("getTransformationStats", "t"))["Total"] == 4


async def test_a_preview_warns(small):
    shown = await small("previewMetaQuery", {"zenith": {">": 40, "<": 20}})
    assert shown == {"count": 0, "files": [], "warnings": ["'zenith': no value fulfils all of its conditions"]}
    await small.refused("CatalogError", "previewMetaQuery", {"nosuch": 1})
