"""Conditions against a plain Python model of section 5, run by a real engine."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jsonrpc_tm.core.errors import InvalidParams
from jsonrpc_tm.core.model import DATA_FILES, TABLES, TRANSFORMATION_FILES, TRANSFORMATIONS
from jsonrpc_tm.storage.dialect import SQLITE
from jsonrpc_tm.storage.where import Where, comparisons, expressions, limited, order_by

ROWS = [
    (1, 1, "Unused", None, "2024-10-15 12:00:00"),
    (1, 2, "unused", 1, "2024-10-15 12:00:01"),
    (1, 3, "Unused ", 2, "2024-10-16 00:00:00"),
    (2, 1, "5", None, None),
    (2, 2, "ü", 10, "2024-10-15 12:00:01"),
    (2, 4, "1.5", 2, "2024-10-17 00:00:00"),
]
NAMES = ("TransformationID", "FileID", "Status", "TaskID", "LastUpdate")
MODEL = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
NUMBERS = st.sampled_from([1, 2, 3, 10, 99, -1])
MOMENTS = {
    "2024-10-15 12:00:01": "2024-10-15 12:00:01",
    "2024-10-15T12:00:01Z": "2024-10-15 12:00:01",
    "2024-10-15T14:00:01+02:00": "2024-10-15 12:00:01",
    "2024-10-15T12:00:01.9": "2024-10-15 12:00:01",
    "2024-10-16": "2024-10-16 00:00:00",
}
VALUES = {
    "TransformationID": NUMBERS,
    "FileID": NUMBERS,
    "TaskID": NUMBERS,
    "Status": st.sampled_from(["Unused", "unused", "Unused ", "5", 5, "1.5", 1.5, "ü", "' OR 1=1 --", ":where0"]),
    "LastUpdate": st.sampled_from(list(MOMENTS)),
}
FILES = expressions(TRANSFORMATION_FILES)
KEY = TRANSFORMATION_FILES.key


@pytest.fixture(scope="module")
def database():
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE TransformationFiles "
        "(TransformationID INTEGER, FileID INTEGER, Status TEXT, TaskID INTEGER, LastUpdate TEXT)"
    )
    connection.executemany("INSERT INTO TransformationFiles VALUES (?,?,?,?,?)", ROWS)
    yield connection
    connection.close()


def select(database, where, tail=""):
    sql = f"SELECT * FROM TransformationFiles WHERE {where.text}{tail}"
    return database.execute(sql, where.parameters).fetchall()


def condition_dicts():
    def values(name):
        item = VALUES[name] | st.none()
        forms = item | st.lists(item, max_size=4)
        return forms | NUMBERS.map(str) if name.endswith("ID") else forms

    return st.fixed_dictionaries({}, optional={name: values(name) for name in NAMES})


def plain(name, value):
    if value is None:
        return None
    if name.endswith("ID"):
        return int(value)
    return MOMENTS[value] if name == "LastUpdate" else str(value)


def matches(row, condition):
    return all(
        row[name] in [plain(name, value) for value in (wanted if isinstance(wanted, list) else [wanted])]
        for name, wanted in condition.items()
    )


@given(condition_dicts())
def test_conditions_select_what_a_plain_reading_selects(database, condition):
    where = Where(SQLITE)
    where.conditions(FILES, condition)
    expected = [row for row, values in zip(ROWS, MODEL, strict=True) if matches(values, condition)]
    assert sorted(select(database, where), key=lambda row: row[:2]) == expected


def arranged(rows, index, direction):
    """Sort by one column, ties kept, null first and with DESC last."""
    values = sorted({row[index] for row in rows if row[index] is not None})
    rank = {None: -1, **{value: place for place, value in enumerate(values)}}
    sign = -1 if direction.upper() == ":DESC" else 1
    return sorted(rows, key=lambda row: sign * rank[row[index]])


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", ":ASC", ":DESC", ":desc", ":Asc"])), max_size=4),
    st.integers(0, 7),
    st.integers(0, 7),
)
def test_order_and_page_are_those_of_a_stable_sort(database, order, limit, offset):
    expected = ROWS
    for name, direction in reversed(order):
        expected = arranged(expected, NAMES.index(name), direction)
    tail = order_by(FILES, KEY, [name + direction for name, direction in order])
    assert select(database, Where(SQLITE), tail + limited(limit, offset)) == expected[offset:][: limit or None]


@pytest.mark.parametrize(
    ("table", "condition"),
    [
        ("TransformationFiles", {"NoSuch": 1}),
        ("TransformationFiles", {"status": "Unused"}),
        ("TransformationFiles", {"": 1}),
        ("TransformationFiles", {"LFN": "/a"}),
        ("TransformationFiles", {"FileID": "x"}),
        ("TransformationFiles", {"FileID": 1.0}),
        ("TransformationFiles", {"FileID": True}),
        ("TransformationFiles", {"FileID": [[1]]}),
        ("TransformationFiles", {"FileID": {"a": 1}}),
        ("TransformationFiles", {"FileID": 2**63}),
        ("TransformationFiles", {"FileID": "9" * 30}),
        ("TransformationFiles", {"FileID": "\N{ARABIC-INDIC DIGIT ONE}"}),
        ("TransformationFiles", {"FileID": " 1"}),
        ("TransformationFiles", {"FileID": "1\n"}),
        ("TransformationFiles", {"Status": False}),
        ("TransformationFiles", {"Status": "a\0b"}),
        ("TransformationFiles", {"Status": ["a", {}]}),
        ("TransformationFiles", {"LastUpdate": "yesterday"}),
        ("TransformationFiles", {"LastUpdate": ""}),
        ("TransformationFiles", {"LastUpdate": 2024}),
        ("TransformationFiles", {"LastUpdate": "2024-02-30"}),
        ("Transformations", {"GroupSize": "many"}),
        ("Transformations", {"GroupSize": "1e999"}),
        ("Transformations", {"GroupSize": "nan"}),
        ("Transformations", {"GroupSize": True}),
    ],
)
def test_what_does_not_fit_is_refused_and_the_valid_is_listed(table, condition):
    with pytest.raises(InvalidParams) as caught:
        comparisons(expressions(TABLES[table]), condition)
    (name,) = condition
    text = str(caught.value.data["errors"]["condDict"][name])
    assert "Valid: " in text or "type is" in text


def test_everything_that_does_not_fit_is_named_at_once():
    condition = {"Nosuch": 1, "Status": True, "Other": 2, "TransformationID": "x", "Type": "T"}
    with pytest.raises(InvalidParams) as caught:
        comparisons(expressions(TRANSFORMATIONS), condition)
    assert caught.value.data["errors"]["condDict"].keys() == {"Nosuch", "Status", "Other", "TransformationID"}


def test_a_float_column_takes_numbers_and_their_texts():
    where = Where(SQLITE)
    where.conditions(expressions(TRANSFORMATIONS), {"GroupSize": ["1e3", "-2.5", 3]})
    assert list(where.parameters.values()) == [1000.0, -2.5, 3]


def test_a_name_stands_for_its_expression():
    where = Where(SQLITE)
    columns = {"LFN": expressions(DATA_FILES, "d.")["LFN"], **expressions(TRANSFORMATION_FILES, "f.")}
    where.conditions(columns, {"LFN": "/a", "Status": None})
    assert where.text == "d.LFN = :where0 AND f.Status IS NULL"
    assert order_by(columns, KEY, ["LFN:DESC"]) == " ORDER BY d.LFN DESC, f.TransformationID ASC, f.FileID ASC"


def test_a_transformation_is_also_found_by_its_authors_dn():
    where = Where(SQLITE)
    where.conditions(expressions(TRANSFORMATIONS), {"AuthorDN": "/CN=a"})
    assert where.text == "AuthorDN = :where0"


@pytest.mark.parametrize("order", ["", "Status:", "Status:UP", "Status:ASC:x", "Status ASC", "NoSuch"])
@pytest.mark.parametrize("before", [[], ["Status"]])
def test_bad_orders_are_refused(before, order):
    with pytest.raises(InvalidParams) as caught:
        order_by(FILES, KEY, [*before, order])
    assert "Valid: " in caught.value.data["errors"]["orderAttribute"][0]


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        (None, None, [0, 1, 2, 3, 4, 5]),
        ("2024-10-16 00:00:00", None, [0, 1, 4]),
        (None, "2024-10-16 00:00:00", [2, 5]),
        ("2024-10-17 00:00:00", "2024-10-15 12:00:01", [1, 2, 4]),
    ],
)
def test_bounds_take_the_lower_end_and_leave_the_upper(database, older, newer, expected):
    where = Where(SQLITE)
    where.bounds(FILES, older, newer, "LastUpdate")
    assert select(database, where) == [ROWS[index] for index in expected]


@pytest.mark.parametrize("time_stamp", [None, "", "Status", "NoSuch", "CreationDate"])
def test_a_bound_needs_a_date_column(time_stamp):
    Where(SQLITE).bounds(FILES, None, None, time_stamp)
    with pytest.raises(InvalidParams) as caught:
        Where(SQLITE).bounds(FILES, "2024-10-16 00:00:00", None, time_stamp)
    assert "LastUpdate, InsertedTime" in caught.value.data["errors"]["timeStamp"][0]


def test_after_a_pair_goes_on_behind_it(database):
    for place, row in enumerate(ROWS):
        where = Where(SQLITE)
        where.after(KEY, row[:2])
        assert select(database, where) == ROWS[place + 1 :]


def test_after_a_number_goes_on_behind_it(database):
    where = Where(SQLITE)
    where.after(["FileID"], [2])
    assert select(database, where) == [ROWS[2], ROWS[5]]


def test_a_long_list_is_one_parameter(database):
    where = Where(SQLITE)
    where.conditions(FILES, {"TaskID": [None, *range(2, 2000)], "Status": ["ü", "Unused", "Unused "]})
    assert len(where.parameters) == 4
    assert select(database, where) == [ROWS[0], ROWS[2], ROWS[4]]


def test_many_lists_are_few_parameters(database):
    where = Where(SQLITE)
    for column in ("TaskID", "TransformationID", "TaskID", "TaskID"):
        where.conditions(FILES, {column: [None, 0, *range(1, 490)]})
    assert len(where.parameters) == 2 * 490 + 2
    every = Where(SQLITE)
    every.conditions(FILES, {"TaskID": [None, *range(490)], "TransformationID": {"<": 490}})
    assert select(database, where) == select(database, every) != []


def test_within_keeps_what_belongs_to_some_transformations():
    where = Where(SQLITE)
    where.equal("f.Status", "New")
    where.within("f.TransformationID", {"AuthorGroup": ["g"]})
    assert where.text == (
        "f.Status = :where0 AND f.TransformationID IN "
        "(SELECT TransformationID FROM Transformations WHERE (AuthorGroup IN (:where_within0)))"
    )
    assert where.parameters == {"where0": "New", "where_within0": "g"}


def test_conditions_that_were_read_are_added_later(database):
    read = comparisons(FILES, {"TaskID": ["2", None], "TransformationID": 1})
    where = Where(SQLITE)
    where.meet(read)
    assert select(database, where) == [ROWS[0], ROWS[2]]
