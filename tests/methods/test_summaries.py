"""The web summaries: against recounts, every rule of section 6.5, and a fixed number of statements."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jsonrpc_tm.core.model import CORE_PARAMETERS, FILE_COLUMNS
from jsonrpc_tm.core.statuses import FILE_STATES, TASK_STATES

from .driver import Driver
from .pages import FILES, JOBS, RELAXED, TABLES, WEB, choices, everything, fill, page, shown


@pytest.mark.parametrize("table", TABLES)
async def test_a_table(full, table):
    rows = await everything(full, table)
    answer = await full(TABLES[table][0], {}, [], 0, 1000, who="visitor")
    assert answer.pop("Selections") == choices(rows, table)
    assert answer == page(rows, table)
    for start, most in ((0, 2), (1, 3), (len(rows) - 1, 10), (0, 0)):
        answer = await full(TABLES[table][0], {}, [], start, most)
        assert answer.pop("Selections") == choices(rows, table)
        assert answer == page(rows[start : start + most], table, len(rows))


@pytest.mark.parametrize("table", TABLES)
async def test_no_rows(full, table):
    names = {"TotalRecords": 0, "ParameterNames": list(TABLES[table][1])}
    for start, most in ((0, 10), (5, 10), (0, 0)):
        assert await full(TABLES[table][0], {"TransformationID": 99}, [], start, most) == names
        assert await full(TABLES[table][0], {"TransformationID": []}, [], start, most) == names


@pytest.mark.parametrize("table", TABLES)
async def test_dates_bound_the_tables_own_date(full, table):
    method, _, date, _ = TABLES[table]
    rows = await everything(full, table)
    moments = sorted({row[date] for row in rows})
    since, until = moments[1], moments[-1]
    for bounds, wanted in (
        ({"FromDate": since}, [row for row in rows if since <= row[date]]),
        ({"ToDate": until}, [row for row in rows if row[date] < until]),
        ({"FromDate": since, "ToDate": until}, [row for row in rows if since <= row[date] < until]),
        ({"FromDate": since[:19].replace("T", " ")}, [row for row in rows if since <= row[date]]),
        ({"FromDate": "", "ToDate": None}, rows),
    ):
        answer = await full(method, bounds, [], 0, 1000)
        assert answer.pop("Selections") == choices(wanted, table)
        assert answer == page(wanted, table)
    for wrong in ({"FromDate": "soon"}, {"ToDate": 5}, {"ToDate": ["2024-01-01"]}, {"FromDate": []}):
        data = await full.refused("InvalidParams", method, wrong, [], 0, 10)
        assert list(data["errors"]["selectDict"]) == list(wrong)


@pytest.mark.parametrize("method", [WEB, "getTransformationsSummaryWeb"])
async def test_creation_date_is_another_word_for_from_date(full_sqlite, method):
    async def found(**given):
        return [record[0] for record in (await full_sqlite(method, given, [], 0, 10)).get("Records", [])]

    assert await found(CreationDate="2024-10-17T12:00:00Z") == [3, 4, 5]
    assert await found(CreationDate="2024-10-17", ToDate="2024-10-19") == [3, 4]
    assert await found(CreationDate="2024-10-18", FromDate="2024-10-16") == [2, 3, 4, 5]
    assert await found(CreationDate="2024-10-18", FromDate="") == [4, 5]
    assert await found(CreationDate="", FromDate=None) == [1, 2, 3, 4, 5]
    data = await full_sqlite.refused("InvalidParams", method, {"CreationDate": ["2024-10-18"]}, [], 0, 10)
    assert data["errors"] == {
        "selectDict": {"CreationDate": ["Not a date-time, such as 2026-02-25 or 2026-02-25T13:45:00Z."]}
    }


async def test_creation_date_is_no_column_of_files(full_sqlite):
    for table in ("TransformationFiles", "TransformationTasks"):
        await full_sqlite.refused("InvalidParams", TABLES[table][0], {"CreationDate": "2024-10-15"}, [], 0, 10)


async def test_files_by_name(full):
    rows = [row for row in await everything(full, "TransformationFiles") if row["LFN"] in ("/f0", "/f8")]
    answer = await full("getTransformationFilesSummaryWeb", {"LFN": ["/f0", "/f8"]}, [], 0, 100)
    assert answer.pop("Selections") == choices(rows, "TransformationFiles")
    assert answer == page(rows, "TransformationFiles")
    rows.sort(key=lambda row: (row["LFN"], -row["TransformationID"]), reverse=True)
    order = [["LFN", "desc"], ["TransformationID", "ASC"]]
    answer = await full("getTransformationFilesSummaryWeb", {"LFN": ["/f0", "/f8"]}, order, 1, 3)
    assert answer["Records"] == page(rows[1:4], "TransformationFiles")["Records"]
    await full.refused("InvalidParams", "getTransformationTasksSummaryWeb", {"LFN": "/f0"}, [], 0, 1)


async def test_the_summary_of_transformations(full):
    tasks, files = [await everything(full, f"Transformation{kind}") for kind in ("Tasks", "Files")]
    rows = await everything(full, "Transformations")
    records = []
    for row in rows:
        jobs = Counter(task["ExternalStatus"] for task in tasks if task["TransformationID"] == row["TransformationID"])
        states = Counter(file["Status"] for file in files if file["TransformationID"] == row["TransformationID"])
        total = sum(count for state, count in states.items() if "-" not in state)
        left = total - states["MissingInFC"]
        percent = f"{int(1000 * states['Processed'] / left) / 10:.1f}" if left else "0.0"
        record = [shown(row[name]) for name in CORE_PARAMETERS]
        record += [jobs.total(), jobs["Created"], *(jobs[state] for state in TASK_STATES)]
        record += ["-" if "imulation" in row["Type"] else percent, total, *(states[state] for state in FILE_STATES)]
        records.append(record)
    names = [*CORE_PARAMETERS, *(f"Jobs_{name}" for name in JOBS), *(f"Files_{name}" for name in FILES)]
    assert await full(WEB, {}, [], 0, 100) == {
        "TotalRecords": 5,
        "ParameterNames": names,
        "Records": records,
        "Extras": {"New": 4, "Active": 1},
    }
    assert (await full(WEB, {}, [["TransformationID", "DESC"]], 1, 2))["Records"] == [records[3], records[2]]
    assert await full(WEB, {}, [], 0, 0) == {"TotalRecords": 5, "ParameterNames": names, "Records": [], "Extras": {}}
    assert await full(WEB, {"Type": "No"}, [], 7, 1) == {"TotalRecords": 0, "ParameterNames": names}


def column(answer, name):
    position = answer["ParameterNames"].index(name)
    return [record[position] for record in answer["Records"]]


async def test_the_percentage_is_cut_not_rounded(sqlite_tm):
    await sqlite_tm.add(transType="Removal")
    await sqlite_tm("addFilesToTransformation", 1, [f"/{n}" for n in range(1000)])
    for processed, shown_ in ((290, "29.0"), (577, "57.7"), (999, "99.9"), (1000, "100.0"), (0, "0.0")):
        statuses = {str(n + 1): "Processed" if n < processed else "Unused" for n in range(1000)}
        await sqlite_tm("setFileStatusForTransformation", 1, statuses)
        assert column(await sqlite_tm(WEB, {}, [], 0, 1), "Files_PercentProcessed") == [shown_]
    await sqlite_tm("setFileStatusForTransformation", 1, {"1": "MissingInFC", **{str(n): "Processed" for n in (2, 3)}})
    assert column(await sqlite_tm(WEB, {}, [], 0, 1), "Files_PercentProcessed") == ["0.2"]


async def test_settings_lengthen_the_states_and_give_up_statuses(full_sqlite):
    # the same database with other settings
    tm = Driver(
        full_sqlite.storage.storage,
        settings={
            "monitoring.task_states": ["WeirdStatus", "Done", "Created"],
            "monitoring.file_states": ["Weird", "Unused"],
            "monitoring.given_up_statuses": ["Weird", "Unused-inherited", "Problematic"],
            "transformations.extendable_types": ["Removal"],
        },
    )
    answer = await tm(WEB, {}, [], 0, 10)
    names = [name for name in answer["ParameterNames"] if "_" in name]
    assert names == [
        *(f"Jobs_{name}" for name in (*JOBS, "WeirdStatus")),
        *(f"Files_{name}" for name in (*FILES, "Weird")),
    ]
    assert column(answer, "Jobs_WeirdStatus") == [0, 0, 0, 0, 2]
    assert column(answer, "Files_Weird") == [0, 0, 1, 0, 0]
    # the fourth: 8 files, 1 Processed, 1 Problematic; the third is extendable now, the second is not
    assert column(answer, "Files_PercentProcessed") == ["0.0", "0.0", "-", "14.2", "0.0"]


@pytest.mark.parametrize("method", [WEB, *(entry[0] for entry in TABLES.values())])
async def test_wrong_parameters(full_sqlite, method):
    for params, wrong in (
        ((None, [], 0, 10), "selectDict"),
        (("x", [], 0, 10), "selectDict"),
        (([], [], 0, 10), "selectDict"),
        (({"NoSuch": 1}, [], 0, 10), "selectDict"),
        (({"TransformationID": "x"}, [], 0, 10), "selectDict"),
        (({}, None, 0, 10), "sortList"),
        (({}, {}, 0, 10), "sortList"),
        (({}, ["TransformationID"], 0, 10), "sortList"),
        (({}, [["TransformationID"]], 0, 10), "sortList"),
        (({}, [["TransformationID", "ASC", 1]], 0, 10), "sortList"),
        (({}, [["TransformationID", None]], 0, 10), "sortList"),
        (({}, [["TransformationID", ""]], 0, 10), "sortList"),
        (({}, [["TransformationID", "UP"]], 0, 10), "sortList"),
        (({}, [["NoSuch", "ASC"]], 0, 10), "sortList"),
        (({"TransformationID": 99}, [["Jobs_Done", "ASC"]], 0, 10), "sortList"),
        (({}, [], -1, 10), "startItem"),
        (({}, [], None, 10), "startItem"),
        (({}, [], "0", 10), "startItem"),
        (({}, [], 0.0, 10), "startItem"),
        (({}, [], 0, -1), "maxItems"),
        (({}, [], 0, None), "maxItems"),
        (({}, [], 0), "maxItems"),
        (({}, [], 10_000, 10), "startItem"),
        (({}, [], 10_000, 0), "startItem"),
    ):
        assert list((await full_sqlite.refused("InvalidParams", method, *params))["errors"]) == [wrong], params
    total = (await full_sqlite(method, {}, [], 0, 0))["TotalRecords"]
    await full_sqlite.refused("InvalidParams", method, {}, [], total, 10)
    assert len((await full_sqlite(method, {}, [], total - 1, 10))["Records"]) == 1
    await full_sqlite.refused("Unauthenticated", method, {}, [], 0, 10, who="nobody")


async def test_the_summary_of_everything(full):
    answer = await full("getTransformationSummary", who="visitor")
    rows = {str(row["TransformationID"]): row for row in await everything(full, "Transformations")}
    assert {trans: {name: row[name] for name in CORE_PARAMETERS} for trans, row in answer.items()} == rows
    for trans, row in answer.items():
        assert row["JobStats"] == await full("getTransformationTaskStats", trans)
        assert row["NumberOfFiles"] == (await full("getTransformationStats", trans))["Total"]
        assert set(row) == {*CORE_PARAMETERS, "JobStats", "NumberOfFiles"}
    assert list(answer) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    "text",
    [
        "'\"`\\ \\n %s :x {} \r\n\n\r\t\x01",
        "\u03b3\u00e9e\u0301 \U0001f600\u2028",
        " x ",
        "<a>%s</a>" % ("y" * 1_000_000),
    ],
)
async def test_texts_come_back_as_they_were_given(tm, text):
    await tm.add(body=text, longDescription=text[:1000])
    assert (await tm("getTransformationSummary"))["1"]["Body"] == text
    for method in (WEB, "getTransformationsSummaryWeb"):
        answer = await tm(method, {"Body": text}, [], 0, 10)
        assert column(answer, "Body") == [text]
        assert column(answer, "LongDescription") == [text[:1000]]
    assert await tm("getDistinctAttributeValues", "Body", {"Body": [text]}) == [text]
    assert await tm("getCounters", "Transformations", ["Body"], {"Body": text}) == [[{"Body": text}, 1]]


async def test_a_reading_policy_limits_every_summary(full):
    full.policy.allowed = {"TransformationID": [2, 3]}
    assert list(await full("getTransformationSummary")) == ["2", "3"]
    answer = await full(WEB, {}, [], 0, 10)
    assert (answer["TotalRecords"], column(answer, "TransformationID")) == (2, [2, 3])
    for method, *_ in TABLES.values():
        answer = await full(method, {}, [], 0, 100)
        assert set(column(answer, "TransformationID")) <= {2, 3}
        assert set(answer["Selections"]["TransformationID"]) <= {2, 3}
        assert answer["TotalRecords"] == len(answer["Records"])
        assert (await full(method, {"TransformationID": 1}, [], 0, 1))["TotalRecords"] == 0
    tabbed = await full("getTabbedSummaryWeb", "TransformationTasks", {"TransformationFiles": {}}, {}, [], 0, 100)
    assert set(column(tabbed["TransformationFiles"], "TransformationID")) == {3}


async def test_the_number_of_statements_does_not_grow(sqlite_tm):
    calls = (
        ("getTransformationSummary",),
        (WEB, {}, [], 0, 1000),
        *((method, {}, [], 0, 1000) for method, *_ in TABLES.values()),
        (
            "getTabbedSummaryWeb",
            "Transformations",
            {"TransformationFiles": {}, "TransformationTasks": {}},
            {},
            [],
            0,
            999,
        ),
        ("getCounters", "TransformationFiles", ["Status"], {}),
        ("getTableDistinctAttributeValues", "TransformationTasks", ["TaskID"], {}),
        ("getDistinctAttributeValues", "Type", {}),
    )
    await fill(sqlite_tm)
    few = [await sqlite_tm.statements(*call) for call in calls]
    for number in range(40):
        await sqlite_tm.add(f"more{number}", transType="Simulation")
        await sqlite_tm("extendTransformation", f"more{number}", 5)
        await sqlite_tm("addFilesToTransformation", f"more{number}", [f"/more{n}" for n in range(number + 1)])
    assert [await sqlite_tm.statements(*call) for call in calls] == few
    assert few == [3, 4, 7, 6, 5, 20, 1, 1, 1]


selections = st.fixed_dictionaries(
    {},
    optional={
        "TransformationID": st.integers(1, 6) | st.lists(st.integers(1, 6), max_size=3),
        "Status": st.lists(st.sampled_from(["Unused", "Assigned", "Processed", "unused"]), max_size=3),
        "TaskID": st.sampled_from([None, 1, [None, 2], []]),
        "FromDate": st.integers(15, 20).map(lambda day: f"2024-10-{day}T12:00:00Z"),
    },
)
orders = st.lists(
    st.tuples(st.sampled_from(["Status", "TaskID", "UsedSE", "FileID", "LFN"]), st.sampled_from(["ASC", "desc"])),
    max_size=3,
)


@RELAXED
@given(selection=selections, order=orders, start=st.integers(0, 5), most=st.integers(0, 8))
async def test_pages_of_files_equal_the_model(full_sqlite, selection, order, start, most):
    def chosen(row):
        return all(
            row[name] in (asked if isinstance(asked, list) else [asked])
            for name, asked in selection.items()
            if name != "FromDate"
        ) and row["LastUpdate"] >= selection.get("FromDate", "")

    table = "TransformationFiles"
    rows = [row for row in await everything(full_sqlite, table) if chosen(row)]
    for name, direction in reversed(order):
        rows.sort(key=lambda row: (row[name] is not None, row[name]), reverse=direction == "desc")
    call = (TABLES[table][0], selection, order, start, most)
    if not rows:
        assert await full_sqlite(*call) == {"TotalRecords": 0, "ParameterNames": list(FILE_COLUMNS)}
    elif start >= len(rows):
        await full_sqlite.refused("InvalidParams", *call)
    else:
        answer = await full_sqlite(*call)
        assert answer.pop("Selections") == choices(rows, table)
        assert answer == page(rows[start : start + most], table, len(rows))
