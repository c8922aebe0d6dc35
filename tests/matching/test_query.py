"""Meta queries: what is one, how values are read, what matches; the quick matcher against a slow model."""

from datetime import datetime

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from jsonrpc_tm.core.errors import CatalogError
from jsonrpc_tm.core.values import BadValue
from jsonrpc_tm.matching import query as metaquery
from jsonrpc_tm.matching.query import Mismatch, Query, first_mismatch, matches, read, validate
from jsonrpc_tm.methods.fields import MetaQuery, QueryType

FIELDS = {"zenith": "int", "energy": "float", "runDate": "date", "site": "string"}


@pytest.mark.parametrize(
    "query",
    [
        {"s": "x", "e": "", "i": 0, "n": -1, "f": 0.5, "t": True, "b": False, "l": ["x", 1, 2.5, True]},
        {"o": {"=": 1, "!=": ["a"], "<": 5, ">": "1", "<=": 2.5, ">=": 0, "in": [1], "nin": ["x", 2]}},
        {"a'b": {"in": "one", "nin": 2}},
        {"k" * 255: "v" * 65533},
    ],
)
def test_good_queries_come_back_as_they_were(query):
    assert validate(query) is query


@pytest.mark.parametrize(
    "asked",
    [
        None,
        [],
        {},
        [[1, 2]],
        [{"x": 1}],
        [None],
        {"like": 5},
        {"IN": [1]},
        {"==": 1},
        {">": [1]},
        {"<": {"=": 1}},
        {"=": None},
        {"=": {}},
        {"in": []},
        {"nin": [[1]]},
        {"!=": [None]},
        {"=": 1, "date": 2},
        "a\0b",
        ["a\0b"],
        {"=": "a\0b"},
        "v" * 65534,
        "é" * 65534,
    ],
)
def test_bad_values_are_named_by_their_field(asked):
    with pytest.raises(BadValue) as caught:
        validate({"good": 1, "bad": asked})
    assert list(caught.value.messages) == ["bad"]


@pytest.mark.parametrize("query", [{}, None, 5, "zenith", ["zenith"], {"": 1}, {"k" * 256: 1}, {"a\0": 1}])
def test_bad_queries(query):
    with pytest.raises(BadValue):
        validate(query)


def test_the_limit_of_a_value_counts_characters_not_bytes():
    assert validate({"a": "é" * 65533})


@pytest.mark.parametrize(
    ("kind", "values", "unreadable"),
    [
        ("int", {20: 20, "20": 20, "-3": -3, "007": 7}, [1.5, 20.0, "1.5", "x", "", True, [20], " 20", "٢", 2**63]),
        (
            "float",
            {20: 20.0, 1.5: 1.5, "1.5": 1.5, "-2e3": -2000.0},
            ["huge", True, "1e999", "nan", "1_0", ".5", [1], 10**400],
        ),
        (
            "date",
            {
                "2024-07-01": "2024-07-01 00:00:00",
                "2024-06-01T02:00:00+02:00": "2024-06-01 00:00:00",
                "2024-06-01T00:00:00.9Z": "2024-06-01 00:00:00",
            },
            ["soon", 20240701, "2024-13-01", True, ""],
        ),
        ("string", {"x ": "x ", "": "", 5: "5", 1.5: "1.5"}, [True, ["x"], {"a": 1}, 2**70]),
    ],
)
def test_values_are_read_as_the_declared_type(kind, values, unreadable):
    assert {value: read(value, kind) for value in values} == {value: (kind, key) for value, key in values.items()}
    assert [read(value, kind) for value in unreadable] == [None] * len(unreadable)


def test_undeclared_fields_compare_as_json_values():
    assert matches({"x": 1}, {"x": 1.0}, {})
    assert not matches({"x": 1}, {"x": "1"}, {})
    assert not matches({"x": 1}, {"x": True}, {})
    assert not matches({"x": 0}, {"x": False}, {})
    assert matches({"x": {"!=": 1}}, {"x": "1"}, {})
    assert matches({"x": {"<": "a"}}, {"x": "Z"}, {})
    assert matches({"x": {"<": "\U0001f600"}}, {"x": "\uffff"}, {})
    assert not matches({"x": {"<": 5}}, {"x": "4"}, {})
    assert not matches({"x": {"<": True}}, {"x": False}, {})
    assert not matches({"x": {"!=": 1}}, {"x": ["a", "list", "of", "another", "catalog"]}, {})


@pytest.mark.parametrize(
    ("query", "metadata", "expected"),
    [
        ({"zenith": "20"}, {"zenith": 20}, True),
        ({"zenith": 20}, {"zenith": "20"}, True),
        ({"zenith": [20, 40]}, {"zenith": 40}, True),
        ({"zenith": [20, "x"]}, {"zenith": 20}, False),
        ({"zenith": {"nin": [20, "x"]}}, {"zenith": 30}, False),
        ({"zenith": {"=": [20, 40]}}, {"zenith": 40}, True),
        ({"zenith": {"!=": [20, 40]}}, {"zenith": 40}, False),
        ({"zenith": {"in": 20}}, {"zenith": 20}, True),
        ({"zenith": {"nin": 20}}, {"zenith": 20}, False),
        ({"zenith": {"!=": 20}}, {}, False),
        ({"zenith": {">": 10, "<": 20}}, {"zenith": 20}, False),
        ({"zenith": {">": 10, "<=": 20}}, {"zenith": 20}, True),
        ({"zenith": {"<": 9}}, {"zenith": "10"}, False),
        ({"energy": {">=": "1.5", "<": 10}}, {"energy": 1.5}, True),
        ({"energy": 10}, {"energy": 10.0}, True),
        ({"runDate": "2024-07-01"}, {"runDate": "2024-07-01 00:00:00"}, True),
        ({"runDate": {"<": "2024-06-01T00:00:00Z"}}, {"runDate": "2024-05-31"}, True),
        ({"site": "LaPalma"}, {"site": "lapalma"}, False),
        ({"site": 5}, {"site": "5"}, True),
        ({"site": "Missing"}, {}, True),
        ({"site": "Missing"}, {"site": None}, True),
        ({"site": "Missing"}, {"site": "LaPalma"}, False),
        ({"zenith": "Missing"}, {"zenith": "unreadable"}, False),
        ({"site": "Any"}, {"site": ""}, True),
        ({"energy": "Any"}, {"energy": "unreadable"}, True),
        ({"site": "Any"}, {}, False),
        ({"site": ["Missing"]}, {}, False),
        ({"site": {"=": "Any"}}, {"site": "LaPalma"}, False),
        ({"site": {"=": "Any"}}, {"site": "Any"}, True),
        ({"site": "missing"}, {}, False),
        ({"site": "any"}, {"site": "LaPalma"}, False),
    ],
)
def test_matching(query, metadata, expected):
    assert matches(validate(query), metadata, FIELDS) is expected


def test_the_first_failure_is_told():
    query = {"site": "LaPalma", "zenith": {">": 5, "<": 10}, "energy": 1}
    found = {"site": "LaPalma", "zenith": 20}
    assert first_mismatch(query, found, FIELDS) == Mismatch("zenith", "<", 10, 20)
    assert first_mismatch({"energy": 1}, found, FIELDS) == Mismatch("energy", "in", 1, None)
    assert first_mismatch({"site": "Missing"}, found, FIELDS) == Mismatch("site", "Missing", "Missing", "LaPalma")


@pytest.mark.parametrize(
    "query", [{"nosuch": 1}, {"nosuch": "Missing"}, {"zenith": "x"}, {"zenith": [20, "x"]}, {"energy": {">": "much"}}]
)
def test_a_search_refuses_unknown_fields_and_unreadable_values(query):
    with pytest.raises(CatalogError):
        metaquery.check_search(query, FIELDS)


def test_a_search_takes_everything_else():
    metaquery.check_search({"zenith": "Missing", "energy": "Any", "site": 5, "runDate": {">": "2024-01-01"}}, FIELDS)


def test_the_field_empty():
    assert MetaQuery(empty=True).deserialize({}) == {}
    with pytest.raises(ValidationError):
        MetaQuery().deserialize({})
    with pytest.raises(ValidationError):
        MetaQuery(empty=True).deserialize({"a": {}})
    assert QueryType().deserialize("Output") == "Output"
    with pytest.raises(ValidationError):
        QueryType().deserialize("input")


names = st.sampled_from([*FIELDS, "free"])
scalars = st.one_of(
    st.sampled_from(["Missing", "Any", "", "20", "1.5", "x", "X", "2024-07-01", "2024-07-01 00:00:00", "soon"]),
    st.integers(-2, 3),
    st.sampled_from([0.0, 1.0, 1.5, -2.5]),
    st.booleans(),
)
values = st.one_of(scalars, st.lists(scalars, min_size=1, max_size=3))
asked = st.one_of(
    values,
    st.dictionaries(st.sampled_from(["=", "!=", "in", "nin"]), values, min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(["<", ">", "<=", ">="]), scalars, min_size=1, max_size=3),
)
queries = st.dictionaries(names, asked, min_size=1, max_size=3)
metadata = st.dictionaries(names, st.one_of(scalars, st.none()), max_size=5)


def model(query, metadata):
    """Say whether the query matches, in the words of the specification and with no regard to speed."""

    def typed(value, kind):
        if kind is None:
            return type(value) in (int, float), value if type(value) is not bool else str(value) + " boolean"
        if type(value) is bool:
            raise ValueError
        if kind == "int":
            if type(value) is float:
                raise ValueError
            return int(value)
        if kind == "float":
            return float(value)
        if kind == "date":
            if type(value) is not str:
                raise ValueError
            return datetime.fromisoformat(value)
        return str(value)

    for name, asked in query.items():
        value = metadata.get(name)
        if asked == "Missing":
            if value is not None:
                return False
            continue
        if value is None:
            return False
        if asked == "Any":
            continue
        for word, wanted in (asked if isinstance(asked, dict) else {"=": asked}).items():
            try:
                mine = typed(value, FIELDS.get(name))
                theirs = [typed(item, FIELDS.get(name)) for item in (wanted if isinstance(wanted, list) else [wanted])]
            except ValueError:
                return False
            if word in ("=", "in"):
                good = mine in theirs
            elif word in ("!=", "nin"):
                good = mine not in theirs
            elif name == "free" and (type(value) is bool or type(wanted) is bool or mine[0] != theirs[0][0]):
                good = False
            else:
                good = {"<": mine < theirs[0], ">": mine > theirs[0], "<=": mine <= theirs[0], ">=": mine >= theirs[0]}[
                    word
                ]
            if not good:
                return False
    return True


@given(queries, metadata)
def test_matching_equals_the_model(query, metadata):
    assert matches(validate(query), metadata, FIELDS) is model(query, metadata)


@given(queries, metadata)
def test_a_query_is_read_anew_for_other_types(query, metadata):
    kept = Query(query)
    for declared in (FIELDS, {}, {"zenith": "string", "free": "int"}, FIELDS):
        assert matches(kept, metadata, declared) is matches(query, metadata, declared)


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (
            MetaQuery(),
            [{"a": 1}, {"a": ""}, {"a": [True, 1.5]}, {"a": {"=": [1], "<": 2}}, {"k" * 255: "x"}],
            [
                {},
                {"a": None},
                {"a": []},
                {"a": {}},
                {"a": [[1]]},
                {"a": {"<": [1]}},
                {"a": {"x": 1}},
                {"": 1},
                [],
                None,
            ],
        ),
        (MetaQuery(empty=True), [{}, {"a": 1}], [{"a": {}}, None]),
        (QueryType(), ["Input", "Output"], ["input", "", None, 1]),
    ],
)
def test_the_schemas_say_what_the_fields_take(field, good, bad):
    schema = jsonschema.Draft7Validator(field.json_schema())
    for value in good:
        assert schema.is_valid(value), value
        assert field.deserialize(value) == value
    for value in bad:
        assert not schema.is_valid(value), value
        with pytest.raises(ValidationError):
            field.deserialize(value)
