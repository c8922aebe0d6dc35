"""getTabbedSummaryWeb: one table, and what belongs to its selected rows in others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .pages import RELAXED, TABLES, choices, everything, page

TABBED = "getTabbedSummaryWeb"


def tabbed(rows, table, start=0, most=50):
    """Return the summary of a page of *rows* as tabbed summaries have it."""
    answer = page(rows[start : start + most], table, len(rows))
    if not rows:
        return {name: answer[name] for name in ("TotalRecords", "ParameterNames")}
    return {**answer, "Selections": choices(rows, table, *(() if table == "Transformations" else ("TaskID",)))}


async def test_one_table(full):
    for table in TABLES:
        rows = await everything(full, table)
        answer = await full(TABBED, table, {}, {"TransformationID": [1, 3]}, [], 1, 2, who="visitor")
        assert answer == {table: tabbed([row for row in rows if row["TransformationID"] in (1, 3)], table, 1, 2)}


async def test_others_are_narrowed_to_the_whole_selection_not_to_the_page(full):
    answer = await full(
        TABBED,
        "Transformations",
        {"TransformationTasks": {"SortList": [["TaskID", "DESC"]], "StartItem": 1, "MaxItems": 2}},
        {"Plugin": "P1", "FromDate": "2024-10-16"},
        [],
        0,
        1,
    )
    tasks = [row for row in await everything(full, "TransformationTasks") if row["TransformationID"] in (3, 5)]
    tasks.sort(key=lambda row: (-row["TaskID"], row["TransformationID"]))
    assert answer["Transformations"]["TotalRecords"] == 2
    assert answer["TransformationTasks"] == tabbed(tasks, "TransformationTasks", 1, 2)


async def test_defaults_of_the_other_tables(full_sqlite):
    await full_sqlite("addFilesToTransformation", 1, [f"/more{number}" for number in range(60)])
    for options in ({}, {"SortList": [], "StartItem": 0, "MaxItems": 50}):
        answer = await full_sqlite(
            TABBED, "Transformations", {"TransformationFiles": options}, {"TransformationID": 1}, [], 0, 9
        )
        rows = [row for row in await everything(full_sqlite, "TransformationFiles") if row["TransformationID"] == 1]
        assert answer["TransformationFiles"] == tabbed(rows, "TransformationFiles")
        assert len(answer["TransformationFiles"]["Records"]) == 50


async def test_a_first_table_without_rows_narrows_to_nothing(full):
    for first in TABLES:
        others = {table: {"StartItem": 5} for table in TABLES if table != first}
        answer = await full(TABBED, first, others, {"TransformationID": 99}, [], 3, 10)
        assert answer == {table: tabbed([], table) for table in TABLES}


async def test_files_without_tasks_have_no_tasks(full):
    answer = await full(TABBED, "TransformationFiles", {"TransformationTasks": {}}, {"TaskID": None}, [], 0, 10)
    assert answer["TransformationTasks"] == tabbed([], "TransformationTasks")


@pytest.mark.parametrize(
    ("params", "wrong"),
    [
        (("DataFiles", {}, {}, [], 0, 10), "table"),
        (("", {}, {}, [], 0, 10), "table"),
        ((None, {}, {}, [], 0, 10), "table"),
        (("Transformations", {"Transformations": {}}, {}, [], 0, 10), "requestedTables"),
        (("Transformations", {"DataFiles": {}}, {}, [], 0, 10), "requestedTables"),
        (("Transformations", ["TransformationFiles"], {}, [], 0, 10), "requestedTables"),
        (("Transformations", None, {}, [], 0, 10), "requestedTables"),
        (("Transformations", {"TransformationFiles": None}, {}, [], 0, 10), "requestedTables"),
        (("Transformations", {"TransformationFiles": {"sortList": []}}, {}, [], 0, 10), "requestedTables"),
        (("Transformations", {"TransformationFiles": {"SortList": ["FileID"]}}, {}, [], 0, 10), "requestedTables"),
        (("Transformations", {"TransformationFiles": {"SortList": None}}, {}, [], 0, 10), "requestedTables"),
        (("Transformations", {"TransformationFiles": {"StartItem": -1}}, {}, [], 0, 10), "requestedTables"),
        (("Transformations", {"TransformationFiles": {"MaxItems": "5"}}, {}, [], 0, 10), "requestedTables"),
        (("Transformations", {"TransformationFiles": {"StartItem": 999}}, {}, [], 0, 10), "requestedTables"),
        (("Transformations", {}, {"NoSuch": 1}, [], 0, 10), "selectDict"),
        (("Transformations", {}, None, [], 0, 10), "selectDict"),
        (("Transformations", {}, {}, [], 5, 10), "startItem"),
        (("Transformations", {}, {}, [["LFN", "ASC"]], 0, 10), "sortList"),
    ],
)
async def test_wrong_parameters(full_sqlite, params, wrong):
    assert list((await full_sqlite.refused("InvalidParams", TABBED, *params))["errors"]) == [wrong]


async def test_a_bad_sort_column_of_another_table(full_sqlite):
    others = {"TransformationTasks": {"SortList": [["LFN", "ASC"]]}}
    data = await full_sqlite.refused("InvalidParams", TABBED, "Transformations", others, {}, [], 0, 10)
    assert list(data["errors"]) == ["requestedTables"]


@RELAXED
@given(
    first=st.sampled_from(list(TABLES)),
    chosen=st.sets(st.integers(1, 6)),
    task=st.sampled_from(["any", None, 1, 2]),
    since=st.sampled_from([None, "2024-10-17T12:00:00Z", "2024-10-19T12:00:01Z"]),
)
async def test_narrowing_equals_the_model(full_sqlite, first, chosen, task, since):
    selection = {"TransformationID": sorted(chosen), "FromDate": since}
    if first != "Transformations" and task != "any":
        selection["TaskID"] = task
    answer = await full_sqlite(TABBED, first, {table: {} for table in TABLES if table != first}, selection, [], 0, 50)
    rows = [
        row
        for row in await everything(full_sqlite, first)
        if row["TransformationID"] in chosen
        and (since is None or row[TABLES[first][2]] >= since)
        and ("TaskID" not in selection or row["TaskID"] == task)
    ]
    assert answer[first] == tabbed(rows, first)
    for table in TABLES:
        if table != first:
            ids, tasks = {row["TransformationID"] for row in rows}, {row.get("TaskID") for row in rows} - {None}
            theirs = [
                row
                for row in await everything(full_sqlite, table)
                if row["TransformationID"] in ids and ("Transformations" in (first, table) or row["TaskID"] in tasks)
            ]
            assert answer[table] == tabbed(theirs, table)
