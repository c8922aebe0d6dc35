"""How many files and tasks of which status a transformation has, without counting them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from ..core.model import TRANSFORMATION_FILES, TRANSFORMATION_TASKS, Table
from ..storage.base import Transaction
from ..storage.dialect import PackedKind
from ..storage.inserts import insert

Counted = Literal["file", "task"]
KINDS: Mapping[str, tuple[Counted, str]] = {
    TRANSFORMATION_FILES.name: ("file", "Status"),
    TRANSFORMATION_TASKS.name: ("task", "ExternalStatus"),
}
"""Tables whose rows are counted: what they are, and their column of statuses."""
TABLES = ("StatusDeltas", "StatusCounts", "StatusHistory")
"""What is kept of each transformation."""
_COLUMNS: Mapping[str, PackedKind] = {"TransformationID": "int", "Kind": "word", "Status": "word", "N": "int"}
_KEY = ("TransformationID", "Kind", "Status", "Minute", "Bucket")
TOTALS = (
    "(SELECT TransformationID, Kind, Status, N FROM StatusCounts"
    " UNION ALL SELECT TransformationID, Kind, Status, N FROM StatusDeltas)"
)
"""Derived table whose sum of N is a total. One statement: what is folded meanwhile is in one of the two."""
DRIFT = (
    "SELECT TransformationID, Kind, Status, CAST(SUM(N) AS SIGNED) AS Missing FROM"
    " (SELECT TransformationID, 'file' AS Kind, Status, COUNT(*) AS N FROM TransformationFiles"
    " WHERE TransformationID = :trans GROUP BY TransformationID, Status"
    " UNION ALL SELECT TransformationID, 'task', ExternalStatus, COUNT(*) FROM TransformationTasks"
    " WHERE TransformationID = :trans GROUP BY TransformationID, ExternalStatus"
    " UNION ALL SELECT TransformationID, Kind, Status, -N FROM StatusCounts WHERE TransformationID = :trans"
    " UNION ALL SELECT TransformationID, Kind, Status, -N FROM StatusDeltas WHERE TransformationID = :trans) AS numbers"
    " GROUP BY TransformationID, Kind, Status HAVING SUM(N) <> 0"
)
"""Query: where a recount of a transformation gives something else than its counters, and by how much."""


class Counting(NamedTuple):
    """Where rows are counted.

    :param sql: what stands after FROM.
    :param counters: it has counters instead of the rows.
    """

    sql: str
    counters: bool = False

    @property
    def number(self) -> str:
        """How many rows there are, an expression over a group."""
        return "CAST(COALESCE(SUM(N), 0) AS SIGNED)" if self.counters else "COUNT(*)"

    @property
    def having(self) -> str:
        """What keeps groups of no row away."""
        return " HAVING SUM(N) <> 0" if self.counters else ""


def source(table: Table, needed: Iterable[str], alias: str = "") -> Counting:
    """Return where the rows of a table are counted: in the counters if these know what is needed.

    :param needed: the columns that conditions and groups name.
    :param alias: of the table.
    """
    kind, status = KINDS.get(table.name, ("", ""))
    if not kind or not {"TransformationID", status}.issuperset(needed):
        return Counting(f"{table.name} {alias}".rstrip())
    counts = (
        f"SELECT TransformationID, Status AS {status}, N FROM StatusCounts WHERE Kind = '{kind}'"
        f" UNION ALL SELECT TransformationID, Status, N FROM StatusDeltas WHERE Kind = '{kind}'"
    )
    return Counting(f"({counts}) AS {alias or 'counts'}", True)


def minute(moment: datetime) -> int:
    """Return the minute of a moment (aware), counted from 1970."""
    return int(moment.timestamp()) // 60


async def write(tx: Transaction, now: datetime, counts: Mapping[tuple[int, Counted, str], int]) -> None:
    """Add changes to the counters, at the end of the transaction that makes them.

    :param counts: by TransformationID, kind and status.
    """
    changes = await tx.aside(len(counts), lambda: [[*key, number] for key, number in sorted(counts.items()) if number])
    if changes:
        dialect = tx.dialect
        given = {"Minute": ":minute", "Bucket": dialect.connection}
        tail = dialect.adding("StatusDeltas", _KEY, "N")
        parameters = {"minute": minute(now)}
        await insert(tx.last, dialect, "StatusDeltas", _COLUMNS, changes, given, parameters, tail)


async def totals(tx: Transaction, trans_id: int) -> dict[tuple[Counted, str], int]:
    """Return how many files and tasks there are, by kind and status; none that are not there."""
    rows = await tx.fetch_all(
        f"SELECT Kind, Status, CAST(SUM(N) AS SIGNED) AS number FROM {TOTALS} AS totals"
        " WHERE TransformationID = :trans GROUP BY Kind, Status",
        {"trans": trans_id},
    )
    return {(row["Kind"], row["Status"]): row["number"] for row in rows if row["number"]}
