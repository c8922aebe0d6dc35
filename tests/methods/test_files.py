"""Files of a transformation: adding, listing, reporting, counting."""

import pytest

from jsonrpc_tm.core.model import FILE_COLUMNS
from jsonrpc_tm.core.records import StatusRule

from .driver import Driver


@pytest.fixture
async def t(tm):
    """Transformation 1 with /a to /d, and 2 with /d and /e."""
    await tm.add("t")
    await tm.add("u")
    await tm("addFilesToTransformation", "t", ["/a", "/b", "/c", "/d"])
    await tm("addFilesToTransformation", "u", ["/e", "/d"])
    return tm


async def rows(tm, trans=1, *columns):
    listed = await tm("getTransformationFiles", condDict={"TransformationID": trans}, columns=list(columns) or None)
    return [tuple(row[name] for name in columns) for row in listed] if columns else listed


async def test_new_files_get_ids_in_the_lists_order_and_known_ones_use_up_none(tm):
    await tm.add("t")
    await tm.add("u")
    first = await tm("addFilesToTransformation", "t", ["/z", "/a", "/z", "/m"])
    assert first == {"Successful": {"/z": "Added", "/a": "Added", "/m": "Added"}, "Failed": {}}
    second = await tm("addFilesToTransformation", "u", ["/m", "/k", "/a", "/b"])
    assert set(second["Successful"].values()) == {"Added"}
    again = await tm("addFilesToTransformation", "u", ["/b", "/zz"])
    assert again["Successful"] == {"/b": "Present", "/zz": "Added"}
    ids = await tm.fetch("SELECT LFN, FileID, Status FROM DataFiles ORDER BY FileID")
    assert [(row["LFN"], row["FileID"]) for row in ids] == [
        ("/z", 1),
        ("/a", 2),
        ("/m", 3),
        ("/k", 4),
        ("/b", 5),
        ("/zz", 6),
    ]
    assert {row["Status"] for row in ids} == {"New"}


async def test_a_new_file_row(tm):
    await tm.add()
    tm.later()
    await tm("addFilesToTransformation", "t", ["/a"])
    assert await rows(tm) == [
        {
            "LFN": "/a",
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
    assert await tm.log() == ["Created transformation 1"]
    assert (await tm("getTransformation", 1))["LastUpdate"] == "2024-10-15T12:00:00Z"


async def test_names_differ_when_their_bytes_differ(tm):
    await tm.add()
    names = [
        "/a",
        "/A",
        "/á",
        "/a ",
        " /a",
        "/a'",
        '/a"',
        "/a\\",
        "/a%",
        "/a_",
        "/日😀",
        "/a;b",
        "/a\n",
        "/" + "x" * 254,
    ]
    answer = await tm("addFilesToTransformation", "t", names)
    assert answer["Successful"] == dict.fromkeys(names, "Added")
    assert [row[0] for row in await rows(tm, 1, "LFN")] == names
    for name in names:
        assert [row["LFN"] for row in await tm("getTransformationFiles", {"LFN": name})] == [name]
    assert list((await tm("getFileSummary", names))["Successful"]) == names


@pytest.mark.parametrize(
    "wrong",
    [[], None, "/a", {"/a": 1}, 5, [5], [None], [""], ["/ok", "x" * 256], ["/ok", "a\0b"], [["/a"]], [True]],
)
async def test_lists_that_do_not_fit_add_nothing(sqlite_tm, wrong):
    await sqlite_tm.add()
    await sqlite_tm.refused("InvalidParams", "addFilesToTransformation", "t", wrong)
    assert await sqlite_tm.fetch("SELECT * FROM DataFiles") == []


async def test_many_files_take_few_statements(tm):
    await tm.add("t")
    await tm.add("u")
    few, many = ([f"/{prefix}/{n}" for n in range(size)] for prefix, size in (("few", 10), ("many", 12_000)))
    base = await tm.statements("addFilesToTransformation", "t", few)
    assert base <= 7
    assert await tm.statements("addFilesToTransformation", "t", many) <= 3 * base
    assert await tm.statements("addFilesToTransformation", "u", many) <= 3 * base
    assert await tm("getTransformationStats", "t") == {"Unused": 12_010, "Total": 12_010}
    everything = {str(row["FileID"]): ["Processed", True] for row in await tm("getTransformationFiles")}
    assert await tm.statements("setFileStatusForTransformation", "t", everything) <= 9
    assert await tm.statements("getFileSummary", many) <= 3
    wanted = {"LFN": many[:6000]}
    assert await tm.statements("getTransformationFiles", condDict=wanted) == 1
    assert len(await tm("getTransformationFiles", condDict=wanted, columns=["LFN"])) == 12_000


async def test_adding_leaves_removed_files_alone(t):
    await t("setFileStatusForTransformation", "t", {"1": "Deleted"})
    answer = await t("addFilesToTransformation", "t", ["/a"])
    assert answer["Successful"] == {"/a": "Present"}
    assert await rows(t, 1, "Status") == [("Deleted",), ("Unused",), ("Unused",), ("Unused",)]


async def test_statuses_are_set_all_or_none(t):
    t.later()
    change = {"1": ["Processed", False], 2: ["Problematic", True], "03": "MaxReset"}
    assert await t("setFileStatusForTransformation", "t", {str(key): value for key, value in change.items()}) is None
    moved, before = "2024-10-15T12:00:01Z", "2024-10-15T12:00:00Z"
    expected = [
        ("Processed", 0, moved),
        ("Problematic", 1, moved),
        ("MaxReset", 0, moved),
        ("Unused", 0, before),
    ]
    assert await rows(t, 1, "Status", "ErrorCount", "LastUpdate") == expected
    t.later()
    # 5 is a file of the other transformation
    data = await t.refused(
        "NotFound", "setFileStatusForTransformation", "t", {"1": ["X", True], "5": "X", "99": "X", "-1": "X"}
    )
    assert data["missing"] == [5, 99, -1]
    assert await rows(t, 1, "Status", "ErrorCount", "LastUpdate") == expected
    await t("setFileStatusForTransformation", "t", {"2": ["Problematic", True]})
    assert (await rows(t, 1, "ErrorCount", "LastUpdate"))[1] == (2, "2024-10-15T12:00:02Z")
    assert await t("setFileStatusForTransformation", "t", {}) is None
    assert await t.log() == ["Created transformation 1"]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        "1",
        {"a": "X"},
        {"": "X"},
        {"1.0": "X"},
        {"1": None},
        {"1": 5},
        {"1": []},
        {"1": ["X"]},
        {"1": ["X", 1]},
        {"1": ["X", None]},
        {"1": ["X", False, 1]},
        {"1": [None, False]},
        {"1": ["X" * 33, False]},
        {"1": "X\0"},
        {"1": {"X": True}},
        {"9" * 20: "X"},
        {"1": "X", "2": 5},
    ],
)
async def test_statuses_that_do_not_fit(sqlite_tm, wrong):
    tm = sqlite_tm
    await tm.add("t", who="carol")
    await tm("addFilesToTransformation", "t", ["/a", "/b"])
    for who in ("manager", "dave"):
        await tm.refused("InvalidParams", "setFileStatusForTransformation", "t", wrong, who=who)
    assert await rows(tm, 1, "Status") == [("Unused",), ("Unused",)]
    await tm.refused("Forbidden", "setFileStatusForTransformation", "t", {"1": "X"}, who="dave")
    await tm.refused("Forbidden", "setFileStatusForTransformation", "nosuch", {}, who="dave")
    await tm.refused("NotFound", "setFileStatusForTransformation", "nosuch", {})


async def test_stats_leave_out_statuses_with_a_dash(t):
    await t("setFileStatusForTransformation", "t", {"1": "a-b", "2": "-", "3": "Processed"})
    assert await t("getTransformationStats", "t") == {"Processed": 1, "Unused": 1, "Total": 2}
    assert await t("getTransformationFilesCount", "t", "Status") == {
        "a-b": 1,
        "-": 1,
        "Processed": 1,
        "Unused": 1,
        "Total": 4,
    }


async def test_counts_of_every_column(t):
    await t("addTaskForTransformation", "t", ["/a", "/b"], "SE")
    t.later(86400)
    await t("setFileStatusForTransformation", "t", {"1": ["Processed", True]})

    async def count(field, selection=None):
        return await t("getTransformationFilesCount", "t", field, selection)

    assert await count("TaskID") == {"null": 2, "1": 2, "Total": 4}
    assert await count("UsedSE") == {"SE": 2, "Unknown": 2, "Total": 4}
    assert await count("ErrorCount") == {"0": 3, "1": 1, "Total": 4}
    assert await count("FileID") == {"1": 1, "2": 1, "3": 1, "4": 1, "Total": 4}
    assert await count("TransformationID") == {"1": 4, "Total": 4}
    assert await count("LastUpdate") == {"2024-10-15T12:00:00Z": 3, "2024-10-16T12:00:00Z": 1, "Total": 4}
    assert await count("date(LastUpdate)") == {"2024-10-15": 3, "2024-10-16": 1, "Total": 4}
    assert await count("date(InsertedTime)") == {"2024-10-15": 4, "Total": 4}
    assert await count("Status", {"TransformationID": "not looked at", "TaskID": [1]}) == {
        "Assigned": 1,
        "Processed": 1,
        "Total": 2,
    }
    assert await count("Status", {"TaskID": None, "LastUpdate": "2024-10-15 12:00:00"}) == {"Unused": 2, "Total": 2}
    assert await count("Status", {"Status": []}) == {"Total": 0}


@pytest.mark.parametrize(
    "field", ["LFN", "date(Status)", "date(TaskID)", "status", "", "Date(LastUpdate)", None, ["Status"]]
)
async def test_fields_that_cannot_be_counted(sqlite_tm, field):
    # a wrong parameter comes before a transformation that does not exist
    await sqlite_tm.refused("InvalidParams", "getTransformationFilesCount", "nosuch", field)


@pytest.mark.parametrize("selection", [[], "x", {"LFN": "/a"}, {"NoSuch": 1}, {"FileID": "x"}])
async def test_selections_that_do_not_fit(sqlite_tm, selection):
    data = await sqlite_tm.refused("InvalidParams", "getTransformationFilesCount", "nosuch", "Status", selection)
    assert list(data["errors"]) == ["selection"]


async def test_file_summary(t):
    answer = await t("getFileSummary", ["/d", "/none", "/d", "/a"])
    assert {lfn: list(found) for lfn, found in answer["Successful"].items()} == {"/d": ["1", "2"], "/a": ["1"]}
    assert list(answer["Successful"]["/d"]["2"]) == list(FILE_COLUMNS)
    assert answer["Successful"]["/d"]["2"]["TransformationID"] == 2
    assert list(answer["Failed"]) == ["/none"]
    assert await t("getFileSummary", []) == {"Successful": {}, "Failed": {}}
    for wrong in ("/a", None, {"/a": 1}, [""], ["x" * 256], [5]):
        await t.refused("InvalidParams", "getFileSummary", wrong)


async def test_columns_of_files_must_be_known(t):
    for wrong in ([], ["LFN", "NoSuch"], "LFN", [5], ["AuthorDN"]):
        data = await t.refused("InvalidParams", "getTransformationFiles", columns=wrong)
        assert list(data["errors"]) == ["columns"]
    assert await rows(t, 2, "LFN", "LFN", "Status") == [("/d", "/d", "Unused"), ("/e", "/e", "Unused")]


async def test_reading_rules_hide_files(t):
    t.policy.allowed = {"TransformationName": "u"}
    assert {row["TransformationID"] for row in await t("getTransformationFiles")} == {2}
    assert list((await t("getFileSummary", ["/d", "/a"]))["Successful"]["/d"]) == ["2"]
    assert list((await t("getFileSummary", ["/d", "/a"]))["Failed"]) == ["/a"]
    for method, *more in (("getTransformationStats",), ("getTransformationFilesCount", "Status")):
        await t.refused("NotFound", method, "t", *more)
        await t(method, "u", *more)


async def test_rules_of_plugins_on_files(storage):
    def check(old, new):
        return "finished" if old == "Processed" else "never" if new == "Never" else None

    tm = Driver(storage, rules=[StatusRule("file", check), StatusRule("task", lambda old, new: None)])
    await tm.add()
    await tm("addFilesToTransformation", "t", ["/a", "/b"])
    await tm("setFileStatusForTransformation", "t", {"1": "Processed"})
    before = await tm.dump()
    for change in ({"1": "Unused"}, {"2": "Unused", "1": "Processed"}, {"2": "Never"}):
        data = await tm.refused("InvalidState", "setFileStatusForTransformation", "t", change)
        assert data["new"] in change.values()
    assert await tm.dump() == before
    await tm("setFileStatusForTransformation", "t", {"2": ["MaxReset", True]})


async def test_a_rule_may_refuse_new_files(storage):
    tm = Driver(storage, rules=[StatusRule("file", lambda old, new: "closed" if old is None else None)])
    await tm.add()
    await tm.refused("InvalidState", "addFilesToTransformation", "t", ["/a"])
    assert await tm.fetch("SELECT * FROM DataFiles") == []
