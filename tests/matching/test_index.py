"""Matching many files at once gives what matching one by one gives."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.matching.index import Files
from jsonrpc_tm.matching.query import ORDER_OPERATORS, SET_OPERATORS, Query, matches, validate

FIELDS = {"n": "int", "x": "float", "d": "date", "s": "string"}
NAMES = [*FIELDS, "free"]
scalars = st.sampled_from(
    [
        "Missing",
        "Any",
        "",
        "2",
        "1.5",
        "a",
        "B",
        "2024-07-01",
        "2024-07-02T00:00:00Z",
        -1,
        0,
        1,
        2,
        3,
        1.0,
        1.5,
        True,
        False,
    ]
)
values = scalars | st.lists(scalars, min_size=1, max_size=3)
asked = values | st.dictionaries(st.sampled_from([*SET_OPERATORS, *ORDER_OPERATORS]), scalars, min_size=1, max_size=3)
queries = st.dictionaries(st.sampled_from(NAMES), asked, min_size=1, max_size=2)
many = st.lists(st.dictionaries(st.sampled_from(NAMES), scalars | st.none() | st.just([1]), max_size=4), max_size=20)

MIXED = [{}, {"n": 1}, {"n": 2}, {"n": None}, {"n": "unreadable"}, {"n": 3}, {"n": "2"}, {"s": "a"}, {"n": True}]


@settings(max_examples=500)
@given(queries, many)
@example({"n": "Missing"}, MIXED)
@example({"n": "Any"}, MIXED)
@example({"n": 2}, MIXED)
@example({"n": {"!=": 2}}, MIXED)
@example({"n": {"nin": [1, "x"]}}, MIXED)
@example({"n": {"<": 2}}, MIXED)
@example({"n": {"<=": 2}}, MIXED)
@example({"n": {">": 2}}, MIXED)
@example({"n": {">=": "2"}}, MIXED)
@example({"n": {">": 0, "<": 3}, "s": "Missing"}, MIXED)
@example({"free": {"<": True}}, [{"free": False}, {"free": 0}])
@example({"free": {">=": 1}}, [{"free": 1.0}, {"free": "1"}, {"free": 0}, {"free": True}])
@example({"n": 1}, [{"n": 1}] * 17)
def test_many_files_match_as_each_alone(query, many):
    files = {f"/f{number}": metadata for number, metadata in enumerate(many)}
    expected = [lfn for lfn, metadata in files.items() if matches(validate(query), metadata, FIELDS)]
    index = Files(files, FIELDS)
    assert index.matching(query) == expected
    assert index.matching(Query(query)) == expected


@pytest.mark.parametrize("word", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("bound", [-1, 0, 1, 2, 5, 9, 10])
def test_ranges(word, bound):
    files = {f"/f{number}": {"n": number % 10} for number in range(100) if number % 10 not in (2, 3)}
    expected = [lfn for lfn, metadata in files.items() if matches({"n": {word: bound}}, metadata, FIELDS)]
    assert Files(files, FIELDS).matching({"n": {word: bound}}) == expected


def test_no_files_and_no_conditions():
    assert Files({}, FIELDS).matching({"n": "Missing"}) == []
    assert Files({"/a": {}, "/b": {}}, FIELDS).matching({}) == ["/a", "/b"]
