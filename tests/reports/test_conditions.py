"""Operators in condDict, selectDict and selection, against a plain reading of section 8.5, on both engines."""

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.domain.rows import FILE_SQL
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.storage.where import Where

EXAMPLES = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
)
TEXTS = [
    "Unused",
    "unused",
    "Unused ",
    "",
    "a%b",
    "a_b",
    "a\\b",
    "a*b",
    "a?b",
    "[ab]",
    "é",
    "e",
    "🙂",
    "\uffff",
    "'%;",
    "5",
]
ROWS = [(text, number or None, f"2024-10-{10 + number % 4} 00:00:00") for number, text in enumerate(TEXTS)]
LISTS = ("=", "!=", "in", "nin")
ORDERS = ("<", "<=", ">", ">=")
VALUES = {
    "UsedSE": st.sampled_from([*TEXTS, 5]),
    "TaskID": st.sampled_from([1, 2, 9, 15, 99, "3"]),
    "LastUpdate": st.sampled_from(["2024-10-11", "2024-10-12 00:00:00", "2024-10-12T02:00:00+02:00", "2025-01-01"]),
}
PATTERNS = st.lists(
    st.sampled_from([*"%_ab*?[]'éU🙂", "\\%", "\\_", "\\\\", "\\a", "\\*", "nused", "%b"]), max_size=4
).map("".join)
MOMENTS = {"2024-10-12T02:00:00+02:00": "2024-10-12 00:00:00"}


def read(name, value):
    if value is None:
        return None
    if name == "TaskID":
        return int(value)
    return str(value) if name == "UsedSE" else f"{MOMENTS.get(value, value)} 00:00:00"[:19]


def like(pattern):
    signs = {"%": ".*", "_": "."}
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return re.compile("".join(signs.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


def holds(name, have, operator, wanted):
    if operator in LISTS:
        found = have in [read(name, item) for item in (wanted if isinstance(wanted, list) else [wanted])]
        return found == (operator in ("=", "in"))
    if have is None:
        return False
    if operator == "like":
        return like(str(wanted)).fullmatch(have) is not None
    # texts by code point, as Python compares them; moments in one form as texts
    wanted = read(name, wanted)
    return {"<": have < wanted, "<=": have <= wanted, ">": have > wanted, ">=": have >= wanted}[operator]


def selects(name, have, wanted):
    operators = wanted if isinstance(wanted, dict) else {"in" if isinstance(wanted, list) else "=": wanted}
    return all(holds(name, have, operator, value) for operator, value in operators.items())


def entries(name):
    item = VALUES[name] | st.none()
    several = st.lists(item, min_size=1, max_size=4)
    known = {**dict.fromkeys(LISTS, item | several), **dict.fromkeys(ORDERS, VALUES[name])}
    if name == "UsedSE":
        known["like"] = PATTERNS
    operators = st.fixed_dictionaries({}, optional=known).filter(bool)
    return item | st.lists(item, max_size=3) | operators


@pytest.fixture
async def rows(tm):
    """One transformation; a file for each row, with what no call can give it."""
    await tm.add()
    names = [f"/f{number:02d}" for number, _ in enumerate(ROWS)]
    await tm("addFilesToTransformation", 1, names)
    for file_id, (text, task, moment) in enumerate(ROWS, 1):
        values = {"text": text, "task": task, "moment": moment, "file": file_id}
        await tm.execute(
            "UPDATE TransformationFiles SET UsedSE = :text, TaskID = :task, LastUpdate = :moment WHERE FileID = :file",
            **values,
        )
    return tm


@EXAMPLES
@given(condition=st.fixed_dictionaries({}, optional={name: entries(name) for name in VALUES}))
async def test_c5_operators_select_what_a_plain_reading_selects(rows, condition):
    found = await rows("getTransformationFiles", condDict=condition, columns=["FileID"])
    expected = [
        number
        for number, row in enumerate(ROWS, 1)
        if all(selects(name, dict(zip(VALUES, row, strict=True))[name], wanted) for name, wanted in condition.items())
    ]
    assert [row["FileID"] for row in found] == expected


@EXAMPLES
@given(pattern=PATTERNS)
@example("U%")
@example("_nused")
@example("a\\%b")
@example("[ab]")
@example("a?b")
async def test_c5_a_pattern_is_read_alike_everywhere(rows, pattern):
    found = await rows("getTransformationFiles", condDict={"UsedSE": {"like": pattern}}, columns=["UsedSE"])
    assert [row["UsedSE"] for row in found] == [text for text in TEXTS if like(pattern).fullmatch(text)]


async def test_c5_what_begins_so_is_found_in_an_index_whatever_comes_then(tm):
    begins = ["a", "a%", "\ud7ff", "\ue000", "\uffff", "😀", "😁", "\U0010ffff", "\U0010ffff\U0010ffff"]
    names = ["/" + begin + end for begin in begins for end in ("", "a", "😀", "\U0010ffff")]
    await tm.add()
    await tm("addFilesToTransformation", 1, names + [f"/z{number}" for number in range(500)])
    patterns = ["%", "_", "_%", "\\😀%", "a%", "a\\%%", "a_", "\ud7ff%", "\U0010ffff%", "\U0010ffff", "😀", "😀%a"]
    for pattern in ["%😀", *("/" + rest for rest in patterns)]:
        found = await tm("getTransformationFiles", condDict={"LFN": {"like": pattern}}, columns=["LFN"])
        shown = {row["LFN"] for row in found if not row["LFN"].startswith("/z")}
        assert shown == {name for name in names if like(pattern).fullmatch(name)}, pattern


async def test_c5_more_failures_than_five(tm):
    """The report: files that failed more than five times."""
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/a", "/b", "/c"])
    await tm.execute("UPDATE TransformationFiles SET ErrorCount = 3 * FileID")
    assert [row["LFN"] for row in await tm("getTransformationFiles", {"ErrorCount": {">": 5}})] == ["/b", "/c"]
    assert await tm("getTransformationFilesCount", 1, "Status", {"ErrorCount": {">": 5, "<": 9}}) == {
        "Unused": 1,
        "Total": 1,
    }
    assert await tm("getCounters", "TransformationFiles", ["Status"], {"ErrorCount": {"!=": 3}}) == [
        [{"Status": "Unused"}, 2]
    ]
    page = await tm("getTransformationFilesSummaryWeb", {"LFN": {"like": "/_", "nin": ["/a"]}}, [], 0, 10)
    assert page["TotalRecords"] == 2
    assert await tm("getTableDistinctAttributeValues", "TransformationFiles", ["FileID"], {"FileID": {">=": 2}}) == {
        "FileID": [2, 3]
    }
    assert await tm("getDistinctAttributeValues", "TransformationID", {"CreationDate": {"<": "2024-10-16"}}) == [1]
    for limits, number in (({">": "2024-10-16"}, 0), ({"<": "2024-10-16"}, 1)):
        page = await tm("getTransformationsSummaryWeb", {"CreationDate": limits}, [], 0, 10)
        assert page["TotalRecords"] == number


async def test_c5_a_long_list_has_an_exact_complement(rows):
    for numbers in ([*range(3, 2000)], [None, *range(3, 2000)]):
        counts = [
            len(await rows("getTransformationFiles", {"TaskID": {operator: numbers}})) for operator in ("in", "nin")
        ]
        assert sum(counts) == len(ROWS) and counts[0] == 13 + (None in numbers)


@pytest.mark.parametrize("column", ["LFN", "UsedSE", "LastUpdate"])
@pytest.mark.parametrize("null", [False, True])
async def test_c5_a_long_list_selects_what_its_parts_select(rows, column, null):
    everything = await rows("getTransformationFiles", columns=["FileID", column])
    chosen = {row[column] for row in everything[::2]} - {None} | ({None} if null else set())
    filler = [f"2001-01-01 00:{n // 60:02d}:{n % 60:02d}" for n in range(600)]
    for operator in ("in", "nin"):
        found = await rows("getTransformationFiles", {column: {operator: [*chosen, *filler]}})
        expected = [row["FileID"] for row in everything if (row[column] in chosen) == (operator == "in")]
        assert [row["FileID"] for row in found] == expected


@pytest.mark.mariadb
async def test_c5_mariadb_makes_an_index_of_a_long_list_of_texts(mysql_url):
    async def fill(tx):
        await tx.execute("INSERT INTO DataFiles (FileID, LFN, Status) SELECT seq, seq, 'New' FROM seq_1_to_5000")
        values = "FileID, 'Unused', UTC_TIMESTAMP(), UTC_TIMESTAMP() FROM DataFiles"
        columns = "TransformationID, FileID, Status, LastUpdate, InsertedTime"
        await tx.execute("SET SESSION foreign_key_checks = 0")
        await tx.execute(f"INSERT INTO TransformationFiles ({columns}) SELECT 1, {values}")

    async def plan(tx, column, operator):
        where = Where(tx.dialect)
        where.conditions(FILE_SQL, {column: {operator: [f"/{number}" for number in range(600)]}})
        joined = "TransformationFiles f JOIN DataFiles d ON d.FileID = f.FileID"
        return await tx.fetch_all(f"EXPLAIN SELECT COUNT(*) FROM {joined} WHERE {where.text}", where.parameters)

    async with MySQLProvider().open(mysql_url, migrate=True, migrations=(), options={}) as storage:
        await storage.run("fill", fill)
        for column, operator in (("UsedSE", "in"), ("UsedSE", "nin"), ("LFN", "nin")):
            kinds = [row["select_type"] for row in await storage.run("plan", plan, column, operator, read=True)]
            assert "DEPENDENT SUBQUERY" not in kinds and "MATERIALIZED" in kinds


async def test_c5_values_of_any_json_are_compared_as_such(tm):
    await tm.add()
    for name, value in {"number": 5, "text": "5", "object": {"a": 1}, "list": [1, 2]}.items():
        await tm("setTransformationParameter", 1, name, value)

    async def names(wanted):
        return [key["ParameterName"] for key, _ in await tm("getCounters", *asked, {"ParameterValue": wanted})]

    asked = ("AdditionalParameters", ["ParameterName"])
    assert await names({"=": {"a": 1}}) == ["object"]
    assert await names({"in": [5, [1, 2]]}) == ["list", "number"]
    assert await names({"!=": "5"}) == ["list", "number", "object"]
    for operator in ("<", "like"):
        data = await tm.refused("InvalidParams", "getCounters", *asked, {"ParameterValue": {operator: 5}})
        assert operator in data["errors"]["condDict"]["ParameterValue"]


@pytest.mark.parametrize(
    ("condition", "place"),
    [
        ({"TaskID": {}}, []),
        ({"TaskID": {"=": []}}, ["="]),
        ({"TaskID": {"nin": []}}, ["nin"]),
        ({"TaskID": {"in": [[1]]}}, ["in"]),
        ({"TaskID": {"=": {"=": 1}}}, ["="]),
        ({"TaskID": {"<": None}}, ["<"]),
        ({"TaskID": {">": [1]}}, [">"]),
        ({"TaskID": {">=": "x"}}, [">="]),
        ({"TaskID": {"like": "1%"}}, ["like"]),
        ({"LastUpdate": {"like": "2024%"}}, ["like"]),
        ({"LFN": {"like": None}}, ["like"]),
        ({"LFN": {"like": ["/a"]}}, ["like"]),
        ({"LFN": {"like": "/a\\"}}, ["like"]),
        ({"LFN": {"like": "%" * 5000}}, ["like"]),
        ({"LFN": {"~": "/a", "=": True, "!=": "/b"}}, ["~", "="]),
        ({"Status": {"$ne": "a"}}, ["$ne"]),
    ],
)
async def test_c5_what_is_no_operator_is_refused_by_name(sqlite_tm, condition, place):
    data = await sqlite_tm.refused("InvalidParams", "getTransformationFiles", condition)
    (told,) = data["errors"]["condDict"].values()
    assert (list(told) if isinstance(told, dict) else []) == place


@pytest.mark.parametrize("method", ["getTransformationFiles", "getTransformationTasks"])
async def test_c5_a_scalar_or_equals_fixes_the_transformation_for_after(sqlite_tm, method):
    await sqlite_tm.add()
    for fixed in (1, "1", {"=": 1}, {"=": "1", "<": 2}):
        assert await sqlite_tm(method, condDict={"TransformationID": fixed}, after=1) == []
        await sqlite_tm.refused("InvalidParams", method, condDict={"TransformationID": fixed}, after=[1, 1])
    for open_ in ([1], {"=": [1]}, {"in": 1}, {"<=": 1}, {"=": None}, None):
        assert await sqlite_tm(method, condDict={"TransformationID": open_}, after=[1, 1]) == []
        await sqlite_tm.refused("InvalidParams", method, condDict={"TransformationID": open_}, after=1)


@pytest.mark.parametrize(
    ("table", "column", "most"),
    [
        ("Transformations", "Body", 100),
        ("TaskInputs", "InputVector", 100),
        ("DataFiles", "LFN", 4096),
    ],
)
async def test_attack_2_patterns_on_texts_of_any_length_are_short(sqlite_tm, table, column, most):
    assert await sqlite_tm("getCounters", table, [column], {column: {"like": "a" * most}}) == []
    longer = {column: {"like": "a" * (most + 1)}}
    data = await sqlite_tm.refused("InvalidParams", "getCounters", table, [column], longer)
    assert f"Longer than {most} characters" in str(data["errors"])
