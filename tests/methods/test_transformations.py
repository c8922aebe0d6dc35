"""Creating, deriving, cleaning, completing and deleting transformations."""

import pytest

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.errors import CatalogError, StorageUnavailable
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.core.model import CORE_PARAMETERS
from jsonrpc_tm.core.records import StatusRule

from .driver import NEW, Driver

TAIL = (2.5, 0, "b", 7, 8, "0")
CORE = list(CORE_PARAMETERS)
CATALOG = {"fields": {"kind": "string"}, "directories": {"/": {}}, "files": {f"/f{n}": {"kind": "a"} for n in range(4)}}


@pytest.fixture
async def with_catalog(storage):
    driver = Driver(storage, DictCatalog(CATALOG))
    async with driver.service:
        yield driver


async def test_add_stores_every_parameter_under_its_column(tm):
    parameters = {
        "transName": "n",
        "description": "d",
        "longDescription": "ld",
        "transType": "T",
        "plugin": "P",
        "agentType": "A",
        "fileMask": "m",
        "transformationGroup": "G",
        "groupSize": 2.5,
        "inheritedFrom": 0,
        "body": "b",
        "maxTasks": 7,
        "eventsPerTask": 8,
        "addFiles": False,
        "inputMetaQuery": None,
        "outputMetaQuery": None,
    }
    assert await tm("addTransformation", who="alice", **parameters) == 1
    answer = await tm("getTransformation", 1)
    assert list(answer) == CORE
    assert answer == dict(
        zip(
            CORE,
            (
                1,
                "n",
                "d",
                "ld",
                *["2024-10-15T12:00:00Z"] * 2,
                "alice",
                "sharers",
                "T",
                "P",
                "A",
                "New",
                "m",
                "G",
                *TAIL,
            ),
            strict=True,
        )
    )
    assert [row["AuthorDN"] for row in await tm.fetch("SELECT AuthorDN FROM Transformations")] == [
        "/O=jsonrpc-tm tests/CN=alice"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"transName": ""},
        {"transName": "123"},
        {"transName": "a\0"},
        {"transName": "n" * 256},
        {"transName": 5},
        {"description": "d" * 256},
        {"longDescription": "d" * 65536},
        {"transType": "t" * 33},
        {"plugin": "p" * 33},
        {"agentType": "a" * 33},
        {"fileMask": "m" * 256},
        {"fileMask": None},
        {"transformationGroup": "g" * 256},
        {"groupSize": -1},
        {"groupSize": "1"},
        {"groupSize": True},
        {"inheritedFrom": None},
        {"inheritedFrom": 1.5},
        {"body": "\0"},
        {"body": None},
        {"maxTasks": -1},
        {"maxTasks": 1.0},
        {"maxTasks": "1"},
        {"maxTasks": True},
        {"eventsPerTask": -1},
        {"addFiles": 1},
        {"addFiles": None},
        {"inputMetaQuery": []},
        {"outputMetaQuery": "x"},
    ],
)
async def test_add_refuses_what_does_not_fit(sqlite_tm, wrong):
    (name,) = wrong
    data = await sqlite_tm.refused("InvalidParams", "addTransformation", **named(**wrong))
    assert list(data["errors"]) == [name]
    assert not any((await sqlite_tm.dump()).values())


def named(**more):
    names = ("description", "longDescription", "transType", "plugin", "agentType", "fileMask")
    return {"transName": "t", **dict(zip(names, NEW, strict=True)), **more}


async def test_longest_texts_are_kept_whole(tm):
    lengths = {"transName": 255, "description": 255, "longDescription": 65535, "transType": 32, "plugin": 32}
    texts = {name: "日" * length for name, length in lengths.items()}
    trans_id = await tm.add(**{**texts, "name": texts["transName"], "body": "😀\\'\"\r\n\t" * 50_000})
    answer = await tm("getTransformation", trans_id)
    assert answer["LongDescription"] == texts["longDescription"]
    assert answer["TransformationName"] == texts["transName"]
    assert answer["Body"] == "😀\\'\"\r\n\t" * 50_000


@pytest.mark.parametrize(
    "name", ["1e3", "3.5", "-5", "-0", "-" + "9" * 20, "+5", " 1", "1 ", "\N{ARABIC-INDIC DIGIT ONE}", "0x1", "a"]
)
async def test_a_name_only_must_not_be_digits_and_finds_its_transformation(sqlite_tm, name):
    await sqlite_tm.add("first")
    assert await sqlite_tm.add(name) == 2
    assert (await sqlite_tm("getTransformation", name))["TransformationID"] == 2


async def test_a_name_is_given_once_and_free_again_after_deleting(tm):
    await tm.add("t")
    await tm.refused("Conflict", "addTransformation", "t", *NEW)
    assert await tm.add("T") == 2
    await tm("deleteTransformation", "t")
    # identifiers are never given again
    assert await tm.add("t") > 2


@pytest.mark.parametrize(("who", "error"), [("visitor", "Forbidden"), ("nobody", "Unauthenticated")])
async def test_add_needs_a_production_property(sqlite_tm, who, error):
    await sqlite_tm.refused(error, "addTransformation", "t", *NEW, who=who)


async def test_parameters_come_before_the_right_and_the_right_before_the_rest(sqlite_tm):
    await sqlite_tm.refused("InvalidParams", "addTransformation", "t", who="visitor")
    await sqlite_tm.add("t", who="carol")
    await sqlite_tm.refused("Forbidden", "addTransformation", who="visitor", **named())
    await sqlite_tm.refused("Forbidden", "addTransformation", who="dave", **named(inheritedFrom="t"))
    await sqlite_tm.refused("NotFound", "addTransformation", **named(inheritedFrom="nosuch"))
    await sqlite_tm.refused("Forbidden", "addTransformation", who="dave", **named(inheritedFrom="nosuch"))
    for parent in (0, "0"):
        await sqlite_tm.refused("Conflict", "addTransformation", who="dave", **named(inheritedFrom=parent))


async def test_queries_are_stored_and_logged_before_the_creation(tm):
    await tm.add(inputMetaQuery={"kind": "a"}, outputMetaQuery={"x": [1, 2.0]}, addFiles=False)
    assert await tm("getTransformationMetaQuery", 1, "Input") == {"kind": "a"}
    assert await tm("getTransformationMetaQuery", 1, "Output") == {"x": [1, 2.0]}
    assert await tm.log() == ["Added meta data query", "Added meta data query", "Created transformation 1"]
    assert await tm("getTransformationStats", 1) == {"Total": 0}


async def test_an_empty_query_is_none(tm):
    await tm.add(inputMetaQuery={}, outputMetaQuery={})
    await tm.refused("NotFound", "getTransformationMetaQuery", 1, "Input")
    assert await tm.log() == ["Created transformation 1"]


async def test_the_catalogs_files_are_added_in_its_order(with_catalog):
    tm = with_catalog
    await tm.add(inputMetaQuery={"kind": "a"})
    rows = await tm("getTransformationFiles", columns=["FileID", "LFN", "Status"])
    assert rows == [{"FileID": n + 1, "LFN": f"/f{n}", "Status": "Unused"} for n in range(4)]
    assert await tm.add("u", inputMetaQuery={"kind": "a"}, addFiles=False) == 2
    assert await tm("getTransformationStats", 2) == {"Total": 0}


async def test_a_refused_query_leaves_nothing(with_catalog):
    tm = with_catalog
    await tm.refused("CatalogError", "addTransformation", **named(inputMetaQuery={"nosuch": 1}))
    assert not any((await tm.dump()).values())
    # without addFiles nobody asks the catalog
    await tm.add(inputMetaQuery={"nosuch": 1}, addFiles=False)


async def test_the_catalog_is_not_asked_for_a_call_that_is_refused_anyway(storage):
    catalog = Growing([["/a"]])
    tm = Driver(storage, catalog)
    await tm.add("t", who="carol")
    await tm.refused("Conflict", "addTransformation", **named(inputMetaQuery={"kind": "a"}))
    wanted = named(transName="u", inputMetaQuery={"kind": "a"}, inheritedFrom="t")
    await tm.refused("Forbidden", "addTransformation", who="dave", **wanted)
    assert catalog.asked == 0


class Growing(DictCatalog):
    """A catalog that has more files each time it is asked, or fails."""

    def __init__(self, answers):
        super().__init__({})
        self.answers = answers
        self.asked = 0

    async def find(self, query, path="/", *, limit=None, after=None):
        answer = self.answers[self.asked]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_files_that_come_during_the_call_are_added_after_it(storage):
    catalog = Growing([["/a", "/b"], ["/a", "/b", "/c"]])
    tm = Driver(storage, catalog)
    await tm.add(inputMetaQuery={"kind": "a"})
    assert [row["LFN"] for row in await tm("getTransformationFiles")] == ["/a", "/b", "/c"]
    assert catalog.asked == 2


@pytest.mark.parametrize("error", [CatalogError("down"), StorageUnavailable("down"), ValueError("a bug")])
async def test_a_failure_after_the_commit_is_not_the_calls(storage, error, caplog):
    tm = Driver(storage, Growing([["/a"], error]))
    assert await tm.add(inputMetaQuery={"kind": "a"}) == 1
    assert await tm("getTransformationStats", 1) == {"Unused": 1, "Total": 1}
    assert "addTransformation was done, but not what follows: Add the files that came between" in caplog.text


async def test_complete_sets_the_status_and_moves_last_update(tm):
    await tm.add()
    tm.later()
    assert await tm("completeTransformation", "t") is None
    wanted = {"Status": "Completed", "LastUpdate": "2024-10-15T12:00:01Z", "AgentType": "Manual"}
    assert await tm("getTransformationParameters", 1, list(wanted)) == wanted
    assert await tm.log() == ["Created transformation 1", "Status updated to Completed"]


async def fill(tm):
    """Two transformations that share /shared; the first has everything."""
    await tm.add("t", inputMetaQuery={"a": 1}, addFiles=False, transType="Simulation")
    await tm.add("u", transType="Simulation")
    await tm("addFilesToTransformation", "t", ["/t", "/shared"])
    await tm("addFilesToTransformation", "u", ["/shared", "/u"])
    for name in "tu":
        await tm("addTaskForTransformation", name, ["/shared"])
        await tm("extendTransformation", name, 2)
        await tm("setTransformationParameter", name, "Extra", 1)


async def test_clean_takes_away_what_work_left_and_keeps_the_rest(tm):
    await fill(tm)
    before = await tm.dump()
    tm.later()
    assert await tm("cleanTransformation", "t") == 1
    after = await tm.dump()

    def others(rows):
        return [row for row in rows if row["TransformationID"] != 1]

    for table in ("TransformationFiles", "TransformationTasks", "TransformationFileTasks", "TaskInputs"):
        assert after[table] == others(before[table]) != before[table]
    assert after["TransformationMetaQueries"] == []
    assert [row["LFN"] for row in after["DataFiles"]] == ["/shared", "/u"]
    assert after["Transformations"] == before["Transformations"]  # LastUpdate stays
    assert after["AdditionalParameters"] == before["AdditionalParameters"]
    assert (await tm.log())[-1] == "Transformation Cleaned"
    assert await tm("extendTransformation", "t", 1) == [4]


async def test_delete_leaves_nothing_of_it(tm):
    await fill(tm)
    assert await tm("deleteTransformation", 1) is None
    after = await tm.dump()
    for table, rows in after.items():
        if table != "DataFiles":
            assert {row["TransformationID"] for row in rows} <= {2}, table
    assert [row["LFN"] for row in after["DataFiles"]] == ["/shared", "/u"]
    await tm("deleteTransformation", "u")
    assert not any((await tm.dump()).values())


@pytest.mark.parametrize("method", ["deleteTransformation", "cleanTransformation", "completeTransformation"])
async def test_who_may_change(sqlite_tm, method):
    tm = sqlite_tm
    await tm.add("t", who="alice")
    before = await tm.dump()
    for who in ("carol", "dave", "visitor"):
        for name in ("t", "nosuch"):
            data = await tm.refused("Forbidden", method, name, who=who)
            assert data["needs"] == ["ProductionManagement", "ProductionSharing", "ProductionUser"]
    await tm.refused("NotFound", method, "nosuch")
    await tm.refused("Unauthenticated", method, "t", who="nobody")
    assert await tm.dump() == before
    await tm(method, "t", who="bob")


async def test_statement_counts_do_not_grow_with_the_files(storage):
    def found(number):
        return [f"/f{n}" for n in range(number)]

    counts = []
    for round_, number in enumerate((10, 2000)):
        tm = Driver(storage, Growing([found(number)] * 2))
        name = f"t{round_}"
        tm.storage.statements.clear()
        await tm.add(name, inputMetaQuery={"kind": "a"})
        added = len(tm.storage.statements)
        await tm("addTaskForTransformation", name, found(number))
        tm.storage.statements.clear()
        await tm.add(f"child{round_}", inheritedFrom=name)
        derived = len(tm.storage.statements)
        cleaned = await tm.statements("cleanTransformation", name)
        counts.append((added, derived, cleaned))
    assert counts[0] == counts[1]


async def test_a_rule_of_a_plugin_stops_every_change_of_the_status(storage):
    def check(old, new):
        return f"{old} must not become {new}" if new in ("Completed", "Completing", "Stopped") else None

    tm = Driver(storage, rules=[StatusRule("transformation", check)])
    await tm.add()
    before = await tm.dump()
    await tm.refused("InvalidState", "completeTransformation", "t")
    await tm.refused("InvalidState", "setTransformationParameter", "t", "Status", "Stopped")
    await tm.refused("InvalidState", "addTransformation", **named(transName="child", inheritedFrom="t"))
    assert await tm.dump() == before
    await tm("setTransformationParameter", "t", "Status", "Active")


async def test_a_rule_may_refuse_new_transformations(storage):
    tm = Driver(storage, rules=[StatusRule("transformation", lambda old, new: "full" if old is None else None)])
    await tm.refused("InvalidState", "addTransformation", "t", *NEW)
    assert not any((await tm.dump()).values())


async def test_a_dn_longer_than_its_column_is_left_out(tm):
    long = Identity("lea", "prod", ("ProductionSharing",), "/CN=" + "x" * 252)
    await tm("addTransformation", "t", *NEW, who=long)
    assert await tm.fetch("SELECT Author, AuthorDN FROM Transformations") == [{"Author": "lea", "AuthorDN": None}]


async def test_a_catalog_with_a_name_that_is_too_long(tm):
    tm.catalog.current = DictCatalog(
        {"fields": {"p": "int"}, "directories": {"/": {}}, "files": {"/" + "x" * 255: {"p": 1}}}
    )
    with pytest.raises(CatalogError):
        await tm.add("t", inputMetaQuery={"p": 1})
    assert await tm.fetch("SELECT * FROM Transformations") == []
