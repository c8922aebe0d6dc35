"""addFile: every transformation that accepts files and wants them gets them (section 6.4)."""

import pytest

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.errors import CatalogError
from jsonrpc_tm.core.records import StatusRule

from .announced import CONTENT, files_of, want
from .driver import Driver


async def test_every_transformation_that_wants_a_file_gets_it(world):
    await want(world, "gamma", {"particle": "gamma"})
    await want(world, "any", {"particle": "Any"})
    await want(world, "forty", {"zenith": 40})
    await world.add("noquery")
    answer = await world("addFile", ["/vo/g/1", "/vo/p/5", "/nosuch", "/vo/g/3"], who="alice")
    assert answer["Successful"] == {"/vo/g/1": True, "/vo/p/5": True, "/vo/g/3": True}
    assert list(answer["Failed"]) == ["/nosuch"]
    assert list(await files_of(world, 1)) == ["/vo/g/1", "/vo/g/3"]
    assert list(await files_of(world, 2)) == ["/vo/g/1", "/vo/p/5", "/vo/g/3"]
    assert list(await files_of(world, 3)) == ["/vo/g/3"]
    assert list(await files_of(world, 4)) == []


async def test_a_new_row(world):
    await want(world, "gamma", {"particle": "gamma"})
    world.later()
    await world("addFile", "/vo/g/1")
    assert await world("getTransformationFiles", {}) == [
        {
            "LFN": "/vo/g/1",
            "TransformationID": 1,
            "FileID": 1,
            "Status": "Unused",
            "TaskID": None,
            "TargetSE": "Unknown",
            "UsedSE": "Unknown",
            "ErrorCount": 0,
            "LastUpdate": "2024-10-15T12:00:01Z",
            "InsertedTime": "2024-10-15T12:00:01Z",
        }
    ]
    assert await world("getCounters", "DataFiles", ["Status"], {}) == [[{"Status": "New"}, 1]]


async def test_true_also_when_it_was_there_already(world):
    await want(world, "gamma", {"particle": "gamma"})
    for _ in range(2):
        assert (await world("addFile", "/vo/g/1"))["Successful"] == {"/vo/g/1": True}
        world.later()
    assert await files_of(world, 1, "LastUpdate") == {"/vo/g/1": {"LastUpdate": "2024-10-15T12:00:00Z"}}


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ("/vo/g/1", ["/vo/g/1"]),
        (["/vo/g/1", "/vo/g/1"], ["/vo/g/1"]),
        ({"/vo/g/1": {"PFN": "x"}, "/vo/g/2": None}, ["/vo/g/1", "/vo/g/2"]),
        ([], []),
        ({}, []),
    ],
)
async def test_forms_of_the_parameter(small, given, answered):
    assert await small("addFile", given) == {"Successful": dict.fromkeys(answered, False), "Failed": {}}
    assert await small("addFile", given, True) == {"Successful": dict.fromkeys(answered, False), "Failed": {}}


@pytest.mark.parametrize(
    "given", [None, 5, True, [5], [None], [["/vo/g/1"]], "", [""], {"": {}}, ["/a\0"], ["/" * 256]]
)
async def test_bad_forms(small, given):
    await small.refused("InvalidParams", "addFile", given)


@pytest.mark.parametrize("force", [None, 1, "true"])
async def test_force_is_a_boolean(small, force):
    await small.refused("InvalidParams", "addFile", ["/vo/g/1"], force)
    await small.refused("InvalidParams", "addDirectory", "/vo/g", force)


async def test_new_files_get_identifiers_in_the_order_of_the_list(world):
    await want(world, "forty", {"zenith": 40})
    await want(world, "all", {"particle": "Any"})
    await world("addFile", ["/vo/p/5"])
    await world("addFile", ["/vo/none/x", "/vo/g/2", "/vo/p/5", "/vo/g/3", "/vo/g/1"])
    ids = {lfn: row["FileID"] for lfn, row in (await files_of(world, 2, "FileID")).items()}
    assert ids == {"/vo/p/5": 1, "/vo/g/2": 2, "/vo/g/3": 3, "/vo/g/1": 4}


STATUSES = {
    "New": True,
    "Active": True,
    "Stopped": True,
    "Completing": True,
    "Flush": True,
    "Idle": False,
    "Completed": False,
    "Archived": False,
    "Cleaning": False,
    "Cleaned": False,
    "Deleted": False,
    "TransformationCleaned": False,
    "active": False,
    "Mine": False,
}


async def test_which_statuses_accept_files(world):
    for number, word in enumerate(STATUSES, 1):
        await want(world, word, {"particle": "gamma"})
        await world("setTransformationParameter", number, "Status", word)
    await world("addFile", ["/vo/g/1"])
    summary = (await world("getFileSummary", ["/vo/g/1"]))["Successful"]["/vo/g/1"]
    assert [str(number) in summary for number in range(1, len(STATUSES) + 1)] == list(STATUSES.values())


async def test_a_removed_file_that_is_announced_again_is_unused_again(world):
    await want(world, "a", {"particle": "gamma"})
    await want(world, "done", {"particle": "gamma"})
    await world("addFile", ["/vo/g/1", "/vo/g/2", "/vo/g/3"])
    await world("addTaskForTransformation", "a", ["/vo/g/1"], "SE1")
    await world("setFileStatusForTransformation", "a", {"1": ["Assigned", True], "3": "Removed"})
    await world("setTransformationParameter", "done", "Status", "Completed")
    world.later()
    await world("removeFile", ["/vo/g/1", "/vo/g/2"])
    world.later()
    assert (await world("addFile", ["/vo/g/1", "/vo/g/3"]))["Successful"] == {"/vo/g/1": True, "/vo/g/3": True}
    columns = ("Status", "TaskID", "UsedSE", "ErrorCount", "LastUpdate", "InsertedTime")
    rows = await files_of(world, 1, *columns)
    begin = "2024-10-15T12:00:0"
    assert rows["/vo/g/1"] == dict(
        zip(columns, ("Unused", None, "Unknown", 0, f"{begin}2Z", f"{begin}0Z"), strict=True)
    )
    assert (rows["/vo/g/2"]["Status"], rows["/vo/g/3"]["Status"]) == ("Deleted", "Removed")
    assert rows["/vo/g/3"]["LastUpdate"] == f"{begin}0Z"
    assert (await files_of(world, 2, "Status"))["/vo/g/1"] == {"Status": "Deleted"}
    assert await world("getCounters", "DataFiles", ["LFN", "Status"], {}) == [
        [{"LFN": "/vo/g/1", "Status": "New"}, 1],
        [{"LFN": "/vo/g/2", "Status": "Deleted"}, 1],
        [{"LFN": "/vo/g/3", "Status": "New"}, 1],
    ]


async def test_only_the_word_deleted_comes_back_and_the_target_stays(world):
    await want(world, "a", {"particle": "gamma"})
    await world("addFile", ["/vo/g/1", "/vo/g/2"])
    await world("setFileStatusForTransformation", "a", {"1": "Deleted", "2": "deleted"})
    await world.service.storage.run("test", set_target)
    await world("addFile", ["/vo/g/1", "/vo/g/2"])
    assert await files_of(world, 1, "Status", "TargetSE") == {
        "/vo/g/1": {"Status": "Unused", "TargetSE": "SE9"},
        "/vo/g/2": {"Status": "deleted", "TargetSE": "SE9"},
    }


async def set_target(tx):
    await tx.execute("UPDATE TransformationFiles SET TargetSE = 'SE9'")


async def test_an_unwanted_file_stays_deleted(world):
    await world.add("t")
    await world("addFilesToTransformation", "t", ["/vo/g/1"])
    await world("removeFile", ["/vo/g/1"])
    assert (await world("addFile", ["/vo/g/1"]))["Successful"] == {"/vo/g/1": False}
    assert await world("addFilesToTransformation", "t", ["/vo/g/1"]) == {
        "Successful": {"/vo/g/1": "Present"},
        "Failed": {},
    }
    assert await files_of(world, 1, "Status") == {"/vo/g/1": {"Status": "Deleted"}}
    assert await world("getCounters", "DataFiles", ["Status"], {}) == [[{"Status": "Deleted"}, 1]]


async def test_a_removed_file_that_another_transformation_wants_now(world):
    await world.add("t")
    await world("addFilesToTransformation", "t", ["/vo/g/1"])
    await world("removeFile", ["/vo/g/1"])
    await want(world, "gamma", {"particle": "gamma"})
    await world("addFile", ["/vo/g/1"])
    assert await files_of(world, 1, "Status") == {"/vo/g/1": {"Status": "Deleted"}}
    assert await files_of(world, 2, "Status") == {"/vo/g/1": {"Status": "Unused"}}
    assert await world("getCounters", "DataFiles", ["Status"], {}) == [[{"Status": "New"}, 1]]


async def test_only_input_queries_count(small):
    await small.add("out", outputMetaQuery={"particle": "gamma"})
    assert (await small("addFile", "/vo/g/1"))["Successful"] == {"/vo/g/1": False}


async def test_changes_of_queries_and_statuses_count_at_once_in_every_process(small):
    other = Driver(small.storage.storage, DictCatalog(CONTENT))
    async with other.service:
        await small.add("t")
        assert (await other("addFile", "/vo/g/1"))["Successful"] == {"/vo/g/1": False}
        await small("createTransformationMetaQuery", "t", {"particle": "gamma"}, "Input")
        assert (await other("addFile", "/vo/g/1"))["Successful"] == {"/vo/g/1": True}
        await small("deleteTransformationMetaQuery", "t", "Input")
        assert (await other("addFile", "/vo/g/3"))["Successful"] == {"/vo/g/3": False}
        await small("createTransformationMetaQuery", "t", {"zenith": 40}, "Input")
        await small("setTransformationParameter", "t", "Status", "Idle")
        assert (await other("addFile", "/vo/g/3"))["Successful"] == {"/vo/g/3": False}
        await small("setTransformationParameter", "t", "Status", "Active")
        assert (await other("addFile", "/vo/g/3"))["Successful"] == {"/vo/g/3": True}


async def test_one_bad_query_or_file_spoils_no_other(world, caplog):
    for name, query in (
        ("unreadable", {"zenith": "x"}),
        ("undeclared", {"nosuch": 5}),
        ("size", {"size": {">": 0}}),
        ("json", {"particle": "gamma"}),
        ("operator", {"particle": "gamma"}),
        ("good", {"particle": "gamma"}),
    ):
        await want(world, name, query)

    async def spoil(tx):
        sql = "UPDATE TransformationMetaQueries SET MetaDataValue = :value WHERE TransformationID = :trans"
        await tx.execute(sql, {"trans": 4, "value": "{'>': 1}"})
        await tx.execute(sql, {"trans": 5, "value": '{"like": 1}'})

    await world.service.storage.run("spoil", spoil)
    answer = await world("addFile", ["/vo/g/1", "/vo/g/2", "/nosuch"])
    assert answer["Successful"] == {"/vo/g/1": True, "/vo/g/2": True}
    assert [list(await files_of(world, trans)) for trans in range(1, 7)] == [
        [],
        [],
        ["/vo/g/1"],
        [],
        [],
        ["/vo/g/1", "/vo/g/2"],
    ]
    assert "transformation 4 cannot be understood" in caplog.text
    assert "transformation 5 cannot be understood" in caplog.text


class BrokenCatalog(DictCatalog):
    """Fails in the middle."""

    def __init__(self, error):
        super().__init__(CONTENT)
        self.error = error

    async def fields(self):
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("secret"), CatalogError("no proxy")])
async def test_a_catalog_that_fails(small, error):
    await want(small, "t", {"particle": "gamma"})
    small.catalog.current = BrokenCatalog(error)
    for call in (("addFile", "/vo/g/1"), ("addDirectory", "/vo/g"), ("setMetadata", "/vo/g", {})):
        await small.refused("CatalogError", *call)
    assert await files_of(small, 1) == {}


async def test_the_words_of_a_broken_catalog_stay_inside(small):
    small.catalog.current = BrokenCatalog(RuntimeError("secret"))
    with pytest.raises(CatalogError) as caught:
        await small("addFile", "/vo/g/1")
    assert "secret" not in caught.value.message


async def test_a_catalog_that_is_none_fails_like_a_broken_one(small):
    small.catalog.current = object()
    for call in (("addFile", "/vo/g/1"), ("addDirectory", "/vo/g"), ("setMetadata", "/vo/g", {}), ("catalog.find", {})):
        await small.refused("CatalogError", *call)


@pytest.mark.parametrize(
    "change",
    [
        ("setTransformationParameter", "t", "Status", "Completed"),
        ("deleteTransformationMetaQuery", "t", "Input"),
        ("deleteTransformation", "t"),
        ("cleanTransformation", "t"),
    ],
    ids=lambda change: change[0],
)
async def test_what_changes_between_matching_and_adding_counts(world, change):
    await want(world, "t", {"particle": "gamma"})
    run = world.storage.run

    async def overtaken(name, body, *args, read=False, **kwargs):
        if name == "addFile" and not read:
            world.storage.run = run
            await world(*change)
        return await run(name, body, *args, read=read, **kwargs)

    world.storage.run = overtaken
    assert (await world("addFile", "/vo/g/1"))["Successful"] == {"/vo/g/1": False}
    assert await world.fetch("SELECT * FROM TransformationFiles") == []
    assert await world.fetch("SELECT * FROM DataFiles") == []


async def test_a_query_that_is_replaced_meanwhile_is_asked_again(world):
    await want(world, "t", {"particle": "gamma"})
    run = world.storage.run

    async def overtaken(name, body, *args, read=False, **kwargs):
        if name == "addFile" and not read:
            world.storage.run = run
            await world("deleteTransformationMetaQuery", "t", "Input")
            await world("createTransformationMetaQuery", "t", {"zenith": 40}, "Input")
        return await run(name, body, *args, read=read, **kwargs)

    world.storage.run = overtaken
    answer = await world("addFile", ["/vo/g/1", "/vo/g/3", "/vo/p/5"])
    assert answer["Successful"] == {"/vo/g/1": False, "/vo/g/3": True, "/vo/p/5": False}


async def test_a_file_costs_no_statement_of_its_own(small):
    small.catalog.current = DictCatalog({"files": {f"/f{number}": {"n": number} for number in range(200)}})
    for number in range(20):
        await want(small, f"t{number}", {"n": {">=": number}})
    few = await small.statements("addFile", ["/f0"])
    assert await small.statements("addFile", [f"/f{number}" for number in range(1, 200)]) <= few
    assert await small.statements("addFile", ["/unknown"]) == 1  # its event
    await small("setTransformationParameter", 1, "Status", "Idle")
    await small("deleteTransformationMetaQuery", 2, "Input")
    await small("addFile", ["/f0"])
    assert await small.statements("addFile", ["/f0"]) == 2  # nobody wants it: whether queries changed, and the event


async def test_much_work_leaves_the_event_loop_alone(small, monkeypatch):
    monkeypatch.setattr("jsonrpc_tm.domain.offers.BUSY", 0)
    await want(small, "t", {"particle": "gamma"})
    assert (await small("addFile", ["/vo/g/1", "/vo/p/5"]))["Successful"] == {"/vo/g/1": True, "/vo/p/5": False}


async def test_a_reading_policy_does_not_hide_transformations_from_new_files(small):
    await want(small, "t", {"particle": "gamma"})
    small.policy.allowed = {"TransformationID": 99}
    assert (await small("addFile", "/vo/g/1"))["Successful"] == {"/vo/g/1": False}


async def test_status_rules_are_asked(storage):
    asked = []

    def check(old, new):
        asked.append((old, new))
        return "no way" if (old, new) == ("Deleted", "Unused") else None

    tm = Driver(storage, DictCatalog(CONTENT), [StatusRule("file", check)])
    async with tm.service:
        await want(tm, "t", {"particle": "gamma"})
        await tm("addFile", ["/vo/g/1", "/vo/g/2"])
        assert asked == [(None, "Unused")]
        asked.clear()
        await tm("removeFile", ["/vo/g/1"])
        assert asked == [("Unused", "Deleted")]
        before = await tm.dump()
        await tm.refused("InvalidState", "addFile", ["/vo/g/1", "/vo/g/3"])
        assert await tm.dump() == before
