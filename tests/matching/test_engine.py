"""Many queries, compiled, find what each finds alone."""

import tracemalloc
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.matching.engine import Engine
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
files = st.dictionaries(st.sampled_from(NAMES), scalars | st.none() | st.just([1]), max_size=4)
ONE = [{}, {"n": 1}, {"n": 2}, {"n": None}, {"n": "unreadable"}, {"n": 3}, {"n": "2"}, {"s": "a"}, {"n": True}]


def check(asked, metadata):
    """Compare, for each file, the engine with the evaluator of one query and one file; return the number of cases."""
    compiled = {3 * number: Query(validate(query)) for number, query in enumerate(asked)}
    engine = Engine(compiled, FIELDS)
    for one in metadata:
        assert engine.matching(one) == [key for key, query in compiled.items() if matches(query, one, FIELDS)]
    return len(asked) * len(metadata)


def cases(seed, number):
    """Check so many random cases: many queries of all kinds at once, which make sets of all sizes."""
    random = Random(seed)
    checked = 0
    while checked < number:
        asked = [random_query(random) for _ in range(random.choice((3, 40, 1200)))]
        few = [{name: random.choice(VALUES) for name in NAMES if random.random() < 0.7} for _ in range(10)]
        checked += check(asked, few)


VALUES = ["", "2", "1.5", "a", "B", "Any", "2024-07-01", "2024-07-02T00:00:00Z", -1, 0, 1, 2, 3, 1.5, True, [1]]


def random_query(random):
    def one(word):
        several = word in SET_OPERATORS and random.random() < 0.5
        return random.choices(VALUES[:-1], k=random.randint(1, 4)) if several else random.choice(VALUES[:-1])

    def field():
        if random.random() < 0.1:
            return random.choice(["Missing", "Any"])
        if random.random() < 0.5:
            return one("=")
        return {word: one(word) for word in random.sample([*SET_OPERATORS, *ORDER_OPERATORS], random.randint(1, 3))}

    return {name: field() for name in random.sample(NAMES, random.randint(1, 2))}


@settings(max_examples=200)
@given(st.lists(queries, max_size=8), st.lists(files, max_size=5))
@example([{"n": "Missing"}, {"n": "Any"}, {"n": 2}, {"n": {"!=": 2}}, {"n": {"nin": [1, "x"]}}], ONE)
@example([{"n": {"<": 2}}, {"n": {"<=": 2}}, {"n": {">": 2}}, {"n": {">=": "2"}}, {"n": {">": 0, "<": 3}}], ONE)
@example([{"n": {"in": [1, 2], ">": 1}}, {"n": {"in": [1], ">": 1}}, {"n": {"nin": [2, 2], ">": 1}}, {"n": "x"}], ONE)
@example([{"free": {"<": True}}, {"free": {">": 0, "<": "z"}}], [{"free": False}, {"free": 0}, {"free": "a"}])
@example([{"free": {">=": 1}}, {"free": 1}], [{"free": 1.0}, {"free": "1"}, {"free": 0}, {"free": True}])
@example([{"n": 1}] * 40, [{"n": 1}])
def test_many_queries_match_as_each_alone(asked, metadata):
    check(asked, metadata)


def test_many_random_queries_match_as_each_alone():
    cases(1, 25_000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_hundred_thousand_cases_a_seed(seed):
    cases(seed, 100_000)


@pytest.mark.parametrize("word", ["<", "<=", ">", ">="])
def test_bounds(word):
    """More of them than are kept one by one."""
    asked = [{"n": {word: number % 700}} for number in range(3000) if number % 700 not in (2, 3)]
    check(asked, [{"n": value} for value in (-1, 0, 1, 2, 3, 4, 5, 350, 698, 699, 700)])


def test_no_queries_and_no_conditions():
    assert Engine({}, FIELDS).matching({"n": 1}) == []
    assert Engine({5: Query({})}, FIELDS).matching({"n": 1}) == [5]


def test_memory_grows_with_the_values_alone():
    """Twice as many queries, each with values of its own, take about twice the memory: no set of all for each value."""

    def size(number):
        asked = {n: Query({"n": n, "x": {"<": n}, "s": {"!=": str(n)}}) for n in range(number)}
        for query in asked.values():
            query.conditions(FIELDS)
        tracemalloc.start()
        kept = Engine(asked, FIELDS)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del kept
        return taken

    assert size(3000) < 2.3 * size(1500)
