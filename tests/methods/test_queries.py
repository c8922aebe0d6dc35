"""Lists of transformations, files and tasks: pages, orders, bounds, what a reading rule hides."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.core.errors import InternalError
from jsonrpc_tm.core.model import CORE_PARAMETERS
from jsonrpc_tm.tools.testing.cast import PEOPLE

from .driver import Driver

LISTS = {
    "getTransformations": ("TransformationID", "CreationDate", ("TransformationID",)),
    "getTransformationFiles": ("Status", "LastUpdate", ("TransformationID", "FileID")),
    "getTransformationTasks": ("ExternalStatus", "CreationTime", ("TransformationID", "TaskID")),
}


@pytest.fixture
async def filled(tm):
    """Three transformations an hour apart; 1 and 3 with four files and three tasks."""
    for number, name in enumerate(("b", "a", "c")):
        await tm.add(name, transType="Simulation", groupSize=number)
        tm.later(3600)
    for name in ("b", "c"):
        await tm("addFilesToTransformation", name, [f"/{n}" for n in range(4)])
        await tm("extendTransformation", name, 3)
        tm.later(3600)
    return tm


@pytest.mark.parametrize("method", LISTS)
async def test_pages_by_after_are_those_by_offset(filled, method):
    key = LISTS[method][2]
    everything = await filled(method)
    assert len(everything) > 2
    assert [[row[name] for name in key] for row in everything] == sorted(
        [row[name] for name in key] for row in everything
    )
    for size in (1, 2, 5):
        pages, after = [], None
        while page := await filled(method, limit=size, after=after):
            assert page == await filled(method, limit=size, offset=len(pages))
            pages += page
            after = [page[-1][name] for name in key]
            after = after if len(after) == 2 else after[0]
        assert pages == everything


@pytest.mark.parametrize("method", ["getTransformationFiles", "getTransformationTasks"])
async def test_after_is_a_number_when_one_transformation_is_fixed(filled, method):
    name = LISTS[method][2][1]
    for fixed in (3, "3", {"=": 3}):
        rows = await filled(method, condDict={"TransformationID": fixed}, after="2")
        assert [row[name] for row in rows] == sorted({row[name] for row in await filled(method)} - {1, 2})
        assert {row["TransformationID"] for row in rows} == {3}
        await filled.refused("InvalidParams", method, condDict={"TransformationID": fixed}, after=[3, 2])
    for open_ in (None, {}, {"TransformationID": [3]}, {"TransformationID": []}, {"TransformationID": None}):
        await filled.refused("InvalidParams", method, condDict=open_, after=2)
    # the row itself may be gone
    await filled("deleteTasks", 1, 1, 3)
    assert [row["TransformationID"] for row in await filled("getTransformationTasks", after=["1", 2])] == [3, 3, 3]


@pytest.mark.parametrize("method", LISTS)
async def test_after_does_not_go_with_an_order_or_an_offset(filled, method):
    column, _, key = LISTS[method]
    after = [1] * len(key) if len(key) == 2 else 1
    for more in ({"orderAttribute": column}, {"orderAttribute": [f"{column}:DESC"]}, {"offset": 1}):
        data = await filled.refused("InvalidParams", method, after=after, **more)
        assert list(data["errors"]) == ["after"]
    for more in ({"orderAttribute": []}, {"orderAttribute": None}, {"offset": 0}, {"offset": None}):
        assert await filled(method, after=after, **more) == (await filled(method))[1:]
    for wrong in ("x", 1.5, [1], [1, 2, 3], ["a", 1], {"a": 1}, True, [None, 1], "9" * 20):
        await filled.refused("InvalidParams", method, after=wrong)


@pytest.mark.parametrize("method", LISTS)
async def test_limits(filled, method):
    everything = await filled(method)
    for nothing in (0, None):
        assert await filled(method, limit=nothing, offset=nothing) == everything
    assert await filled(method, limit=2**63 - 1, offset=2**63 - 1) == []
    assert await filled(method, offset=1) == everything[1:]
    for wrong in (-1, "1", 1.0, True, [1]):
        for name in ("limit", "offset"):
            data = await filled.refused("InvalidParams", method, **{name: wrong})
            assert list(data["errors"]) == [name]


@pytest.mark.parametrize("method", LISTS)
async def test_bounds(filled, method):
    column = LISTS[method][1]
    everything = await filled(method)
    for edge in sorted({row[column] for row in everything}):
        assert await filled(method, newer=edge) == [row for row in everything if row[column] >= edge]
        assert await filled(method, older=edge) == [row for row in everything if row[column] < edge]
        assert await filled(method, older=edge, newer=edge) == []
    assert await filled(method, older="2024-10-16", newer="2024-10-15", timeStamp=column) == everything
    assert await filled(method, older="", newer=None, timeStamp=None) == everything
    assert await filled(method, timeStamp="not looked at") == everything
    for wrong in (None, "", "Status", "NoSuch", column.lower()):
        data = await filled.refused("InvalidParams", method, older="2024-10-16", timeStamp=wrong)
        assert column in str(data["errors"]["timeStamp"])
    for wrong in ("soon", 2024, "2024-13-01", True, ["2024-10-15"]):
        await filled.refused("InvalidParams", method, newer=wrong)


@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"condDict": []},
        {"condDict": "x"},
        {"condDict": {"NoSuch": 1}},
        {"condDict": {"TransformationID": 1.0}},
        {"condDict": {"TransformationID": [None, {}]}},
        {"orderAttribute": ""},
        {"orderAttribute": "NoSuch"},
        {"orderAttribute": "TransformationID:"},
        {"orderAttribute": {"TransformationID": "ASC"}},
        {"orderAttribute": [5]},
        {"timeStamp": 5},
        {"nosuch": 1},
    ],
)
async def test_what_does_not_fit(sqlite_tm, method, wrong):
    await sqlite_tm.refused("InvalidParams", method, **wrong)


async def test_columns_of_transformations(filled):
    assert await filled("getTransformations", columns=["NoSuch", "Status", "", "Status"]) == [{"Status": "New"}] * 3
    for wrong in ([], ["NoSuch"], ["AuthorDN"], "Status", [5], {"Status": 1}):
        data = await filled.refused("InvalidParams", "getTransformations", columns=wrong)
        assert list(data["errors"]) == ["columns"]
    assert [list(row) for row in await filled("getTransformations", limit=1)] == [list(CORE_PARAMETERS)]


async def test_additional_parameters_come_whatever_the_columns(filled):
    await filled("setTransformationParameter", "b", "P", [1])
    await filled("setTransformationParameter", "c", "Status2", {"a": 1})
    assert await filled("getTransformations", extraParams=True, columns=["GroupSize"]) == [
        {"GroupSize": 0.0, "P": [1]},
        {"GroupSize": 1.0},
        {"GroupSize": 2.0, "Status2": {"a": 1}},
    ]
    one = await filled("getTransformation", "b", True)
    assert one == {**await filled("getTransformation", "b"), "P": [1]}
    assert one == (await filled("getTransformations", extraParams=True))[0]
    for wrong in (1, None, "true"):
        await filled.refused("InvalidParams", "getTransformation", "b", wrong)


async def test_a_wire_adds_columns_to_rows_of_transformations(filled):
    await filled.execute("UPDATE Transformations SET AuthorDN = '/CN=x' WHERE TransformationID < 3")
    await filled("setTransformationParameter", "b", "P", 1)

    async def called(name, *params):
        context = filled.service.context(PEOPLE["manager"], also=("AuthorDN",))
        return await filled.service.call(context, name, params)

    one = await called("getTransformation", "b")
    assert list(one) == [*CORE_PARAMETERS, "AuthorDN"]
    assert one["AuthorDN"] == "/CN=x"
    assert await called("getTransformation", 1, True) == {"P": 1, **one}
    listed = await called("getTransformations")
    assert listed[0] == one
    assert [row["AuthorDN"] for row in listed[:2]] == ["/CN=x", "/CN=x"]
    condition = {"TransformationID": 2}
    page = (condition, None, None, "CreationDate", None, None)
    assert await called("getTransformations", *page, True, None, ["Status"]) == [{"Status": "New", "AuthorDN": "/CN=x"}]
    assert "AuthorDN" not in (await called("getTransformationSummary"))["1"]
    assert list(await called("getTasksToSubmit", "b", 1)) == [*CORE_PARAMETERS, "AuthorDN", "JobDictionary"]


@pytest.mark.parametrize("name", ["Status", "LFN", "TransformationID, Body"])
async def test_a_wire_adds_nothing_else(sqlite_tm, name):
    await sqlite_tm.add()
    context = sqlite_tm.service.context(PEOPLE["manager"], also=(name,))
    for method, *params in (("getTransformation", 1), ("getTransformations",)):
        with pytest.raises(InternalError):
            await sqlite_tm.service.call(context, method, params)


async def test_dates_that_are_null(filled):
    await filled.execute("UPDATE Transformations SET LastUpdate = NULL WHERE TransformationID = 2")
    await filled.execute("UPDATE TransformationFiles SET LastUpdate = NULL WHERE FileID = 2")
    assert (await filled("getTransformation", "a"))["LastUpdate"] is None
    assert await filled("getTransformationParameters", "a", ["LastUpdate", "Type"]) == {
        "LastUpdate": None,
        "Type": "Simulation",
    }
    rows = await filled("getTransformations", orderAttribute="LastUpdate", columns=["TransformationID", "LastUpdate"])
    assert [(row["TransformationID"], row["LastUpdate"]) for row in rows] == [
        (2, None),
        (1, "2024-10-15T12:00:00Z"),
        (3, "2024-10-15T14:00:00Z"),
    ]
    nulls = [None, {"LastUpdate": [None, "2024-10-15T15:00:00Z"]}]
    assert [len(await filled("getTransformationFiles", condition)) for condition in nulls] == [8, 5]
    assert await filled("getTransformationFilesCount", "b", "LastUpdate") == {
        "null": 1,
        "2024-10-15T15:00:00Z": 3,
        "Total": 4,
    }
    assert await filled("getTableDistinctAttributeValues", "TransformationFiles", ["LastUpdate"], {}) == {
        "LastUpdate": [None, "2024-10-15T15:00:00Z", "2024-10-15T16:00:00Z"]
    }


async def test_lists_take_few_statements_whatever_they_show(tm):
    for number in range(3):
        await tm.add(f"t{number}")
        await tm("setTransformationParameter", number + 1, "P", 1)
    assert await tm.statements("getTransformation", 1) == 1
    assert await tm.statements("getTransformation", "t1", True) == 2
    assert await tm.statements("getTransformations") == 1
    assert await tm.statements("getTransformations", extraParams=True) == 2


async def test_transformations_with_a_status(filled):
    await filled("setTransformationParameter", "b", "Status", "Active")
    assert await filled("getTransformationWithStatus", "New") == [2, 3]
    assert await filled("getTransformationWithStatus", ["New", "Active", "New"]) == [1, 2, 3]
    assert await filled("getTransformationWithStatus", []) == []
    assert await filled("getTransformationWithStatus", ["new", "", "x" * 100]) == []
    assert await filled("getTransformationStatusCounters") == {"Active": 1, "New": 2}
    for wrong in (None, 5, [5], {"Status": "New"}, [["New"]], "a\0"):
        await filled.refused("InvalidParams", "getTransformationWithStatus", wrong)


async def test_reading_rules_hide_transformations(filled):
    filled.policy.allowed = {"TransformationName": ["a", "c"]}
    assert [row["TransformationID"] for row in await filled("getTransformations")] == [2, 3]
    assert await filled("getTransformationWithStatus", "New") == [2, 3]
    assert await filled("getTransformationStatusCounters") == {"New": 2}
    assert [row["TransformationID"] for row in await filled("getTransformations", limit=1, offset=1)] == [3]
    for method in ("getTransformation", "getAdditionalParameters", "getTransformationLogging"):
        for hidden in ("b", 1, "1"):
            await filled.refused("NotFound", method, hidden)
        await filled(method, "a")
    await filled.refused("NotFound", "getTransformationParameters", "b", "Status")


@pytest.mark.parametrize("method", ["getTransformation", "getAdditionalParameters", "getTransformationLogging"])
async def test_ids_and_names(sqlite_tm, method):
    await sqlite_tm.add("t")
    for same in (1, "1", "t", "01"):
        assert await sqlite_tm(method, same) == await sqlite_tm(method, 1)
    for missing in (0, "0", 2, -1, "-1", "T", "t ", "", "1.0", " 1", 2**63 - 1, str(2**63 - 1)):
        await sqlite_tm.refused("NotFound", method, missing, who="visitor")
    for wrong in (None, 1.0, True, [1], {"id": 1}, "a\0", "9" * 20):
        await sqlite_tm.refused("InvalidParams", method, wrong)


async def test_the_log_is_in_order_and_cut(tm):
    await tm.add("t")
    for number in range(3):
        await tm("setTransformationParameter", "t", "Description", f"same second {number}")
    await tm("setTransformationParameter", "t", "LongDescription", "日" * 300)
    lines = await tm("getTransformationLogging", "t")
    assert lines[0] == {
        "TransformationID": 1,
        "Message": "Created transformation 1",
        "Author": "manager",
        "MessageDate": "2024-10-15T12:00:00Z",
    }
    assert [line["Message"] for line in lines[1:4]] == [f"Description updated to same second {n}" for n in range(3)]
    told = "LongDescription updated to " + "日" * 300
    assert lines[4]["Message"] == told[:252] + "..."
    await tm("setTransformationParameter", "t", "LongDescription", "x" * (255 - 27))
    assert (await tm.log())[5] == "LongDescription updated to " + "x" * 228


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=255).filter(
        lambda text: not text.isascii() or not text.isdigit()
    )
)
async def test_any_text_comes_back_byte_for_byte_on_every_path(storage, text):
    tm = Driver(storage)
    if text.lstrip("-").isdigit() and text.isascii():
        return
    trans_id = await tm.add(text, description=text, longDescription=text, body=text, fileMask=text)
    answer = await tm("getTransformation", text)
    assert {answer[name] for name in ("TransformationName", "Description", "Body", "FileMask")} == {text}
    assert await tm("getTransformations", {"Body": text, "TransformationName": [text]}) == [answer]
    await tm("setTransformationParameter", trans_id, "LongDescription", text)
    message = f"LongDescription updated to {text}"
    assert (await tm.log(trans_id))[-1] == (message if len(message) <= 255 else message[:252] + "...")
    await tm("deleteTransformation", trans_id)


async def test_texts_sort_by_code_point(tm):
    names = ["a", "B", "_", "é", "e", "z", "日", "\U0001f600", "\ufb00", "a ", "A", "aa", "ä"]
    for name in names:
        await tm.add(name)
    rows = await tm("getTransformations", orderAttribute="TransformationName", columns=["TransformationName"])
    assert [row["TransformationName"] for row in rows] == sorted(names)
    rows = await tm("getTransformations", orderAttribute="TransformationName:desc", columns=["TransformationName"])
    assert [row["TransformationName"] for row in rows] == sorted(names, reverse=True)


async def test_long_lists_of_every_kind(filled):
    async def found(**condition):
        return [row["TransformationID"] for row in await filled("getTransformations", condition)]

    many = range(2, 2000)
    assert await found(TransformationID=[None, *many]) == [2, 3]
    assert await found(TransformationID=[str(number) for number in many]) == [2, 3]
    assert await found(TransformationName=["a", "B", "x" * 300, *(f"n{n}" for n in many)]) == [2]
    assert await found(GroupSize=[n + 0.5 for n in many] + [1]) == [2]
    days = [f"2024-10-{day:02d}T{hour:02d}:00:00Z" for day in range(1, 29) for hour in range(24)]
    assert await found(CreationDate=days) == [1, 2, 3]
    assert await found(CreationDate=[day for day in days if day != "2024-10-15T13:00:00Z"]) == [1, 3]
    assert await found(Description=[None, *(f"d{n}" for n in many)]) == []


async def test_a_group_size_that_no_float_is_is_found_as_it_was_given(tm):
    await tm.add(groupSize=2**53 + 1)
    for asked in (2**53 + 1, [2**53 + 1, 5], str(2**53 + 1)):
        assert len(await tm("getTransformations", {"GroupSize": asked})) == 1
