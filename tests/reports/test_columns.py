"""``columns`` of the web summaries: only what was asked for is sent, and read."""

import pytest

from jsonrpc_tm.core.model import CORE_PARAMETERS
from tests.methods.pages import SELECTORS, TABLES, WEB

SUMMARIES = [(WEB, "Transformations"), *((method, table) for table, (method, *_) in TABLES.items())]


@pytest.mark.parametrize(("method", "table"), SUMMARIES)
async def test_c6_only_the_columns_asked_for_in_the_usual_order(full_sqlite, method, table):
    whole = await full_sqlite(method, {}, [], 0, 50)
    names = whole["ParameterNames"]
    status = TABLES[table][3]
    for columns in ([names[0]], names[2::3], [*names[4::-1], names[1]], [name for name in names if name != status]):
        page = await full_sqlite(method, {}, [["TransformationID", "DESC"]], 0, 50, columns)
        assert page["ParameterNames"] == [name for name in names if name in columns]
        places = [names.index(name) for name in page["ParameterNames"]]
        assert sorted(map(repr, page["Records"])) == sorted(
            repr([record[i] for i in places]) for record in whole["Records"]
        )
        assert page | {"ParameterNames": 0, "Records": 0} == whole | {"ParameterNames": 0, "Records": 0}
    assert await full_sqlite(method, {}, [], 0, 50, None) == whole
    nothing = await full_sqlite(method, {"TransformationID": 99}, [], 0, 50, [names[1]])
    assert nothing == {"TotalRecords": 0, "ParameterNames": [names[1]]}


@pytest.mark.parametrize(("method", "table"), SUMMARIES)
@pytest.mark.parametrize(
    "columns", [[], ["NoSuch"], ["status"], ["TransformationID", ""], ["TransformationID", "x" * 300], "Status"]
)
async def test_c6_unknown_columns_are_refused(sqlite_tm, method, table, columns):
    data = await sqlite_tm.refused("InvalidParams", method, {}, [], 0, 50, columns)
    assert list(data["errors"]) == ["columns"]


async def test_c6_names_of_files_are_looked_up_when_they_are_asked_for(full_sqlite):
    for columns, looked_up in ((["FileID", "Status"], False), (["LFN"], True)):
        full_sqlite.storage.statements.clear()
        page = await full_sqlite("getTransformationFilesSummaryWeb", {}, [], 0, 3, columns)
        assert page["ParameterNames"] == sorted(columns) and len(page["Records"]) == 3
        assert any("DataFiles" in sql for sql in full_sqlite.storage.statements) == looked_up
    # also when they are what the rows are ordered or chosen by, but not shown
    page = await full_sqlite("getTransformationFilesSummaryWeb", {"LFN": "/f1"}, [["LFN", "ASC"]], 0, 3, ["FileID"])
    assert page["Records"] == [[2], [2], [2]]


async def test_c6_a_body_that_nobody_asked_for_is_not_read(full_sqlite):
    """The report: 1,500 transformations with bodies of 45 kB were 72 MB."""
    for method, more in ((WEB, ["Jobs_Created", "Files_PercentProcessed"]), ("getTransformationsSummaryWeb", [])):
        full_sqlite.storage.statements.clear()
        page = await full_sqlite(method, {}, [["Description", "ASC"]], 0, 50, ["TransformationName", *more])
        assert page["ParameterNames"] == ["TransformationName", *more] and page["Extras"] == {"New": 4, "Active": 1}
        assert not [sql for sql in full_sqlite.storage.statements if "Body" in sql or "LongDescription" in sql]
    # nor is counted what nobody asked for
    few = await full_sqlite.statements(WEB, {}, [], 0, 50, ["Status"])
    assert few == await full_sqlite.statements(WEB, {}, [], 0, 50, ["Status", "Jobs_Done"]) - 1
    assert few == await full_sqlite.statements(WEB, {}, [], 0, 50, list(CORE_PARAMETERS))


async def test_c6_tabs_have_columns_for_the_first_table(full_sqlite):
    tabs = {"TransformationFiles": {}, "TransformationTasks": {}}
    asked = ("getTabbedSummaryWeb", "Transformations", tabs, {}, [], 0, 50)
    whole, some = await full_sqlite(*asked), await full_sqlite(*asked, ["Type", "TransformationID"])
    assert some["Transformations"]["ParameterNames"] == ["TransformationID", "Type"]
    assert some["Transformations"]["Records"][0] == [1, "Processing"]
    assert list(some["Transformations"]["Selections"]) == list(SELECTORS["Transformations"])
    assert {name: some[name] for name in tabs} == {name: whole[name] for name in tabs}
    data = await full_sqlite.refused("InvalidParams", *asked, ["LFN"])
    assert list(data["errors"]) == ["columns"]
