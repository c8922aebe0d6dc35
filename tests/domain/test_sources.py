"""Lists of rows as sources of statements."""

import orjson
import pytest

from jsonrpc_tm.domain.transitions.sources import sources
from jsonrpc_tm.storage.dialect import MYSQL, SQLITE

APART = SQLITE.apart


@pytest.mark.parametrize(
    ("dialect", "rows", "ids"),
    [
        (SQLITE, [], []),
        (MYSQL, [], []),
        (MYSQL, [(1, "A", 0), (2, "A", 0)], [[1, 2]]),
        (
            SQLITE,
            [(n, "AB"[n % 2], 0) for n in range(2 * APART)],
            [[*range(0, 2 * APART, 2)], [*range(1, 2 * APART, 2)]],
        ),
        (SQLITE, [(n, "A", 0) for n in range(5001)], [[*range(5000)], [5000]]),
    ],
)
def test_rows_that_get_the_same_go_by_their_ids(dialect, rows, ids):
    found = list(sources(dialect, rows, Status="text", Errors="int"))
    assert [orjson.loads(source.parameters["listed"]) for source in found] == ids
    assert sorted(row for source in found for row in source.rows) == rows
    for source in found:
        assert (source.sql, source.among) == (dialect.array("listed", "int"), "= source.value")
        assert source.values == {"Status": ":Status", "Errors": ":Errors"}
        assert (source.parameters["Status"], source.parameters["Errors"]) == source.rows[0][1:]


@pytest.mark.parametrize(
    ("dialect", "rows"),
    [(SQLITE, [(n, "AB"[n % 2]) for n in range(2 * APART - 1)]), (MYSQL, [(1, "A"), (2, "B")] * 5000)],
)
def test_others_go_as_rows_in_their_order(dialect, rows):
    found = list(sources(dialect, rows, Status="text"))
    assert [row for source in found for row in source.rows] == rows
    for source in found:
        assert (source.among, source.values) == ("= source.id", {"Status": "source.Status"})
        assert orjson.loads(source.parameters["listed"]) == [list(row) for row in source.rows]


def test_few_that_are_locked_and_get_the_same_stand_in_the_statement():
    (source,) = sources(MYSQL, [(7, "A"), (8, "A")], locked=True, Status="text")
    assert (source.sql, source.among, source.values) == ("", "IN (:id0, :id1)", {"Status": ":Status"})
    assert source.parameters == {"id0": 7, "id1": 8, "Status": "A"}
    for others in ([(n, "A") for n in range(MYSQL.keys + 1)], [(7, "A"), (8, "B")]):
        assert all(source.sql for source in sources(MYSQL, others, locked=True, Status="text"))
