"""How many files and tasks of which status a transformation has, without counting them."""

from collections.abc import Mapping
from typing import Literal

from ..core.context import Context
from ..storage.base import Transaction

Counted = Literal["file", "task"]
TABLES = ("StatusDeltas", "StatusCounts", "StatusHistory")
"""What is kept of each transformation."""
_COLUMNS = ("TransformationID", "Kind", "Status", "Minute", "Bucket", "N")
TOTALS = (
    "(SELECT TransformationID, Kind, Status, N FROM StatusCounts"
    " UNION ALL SELECT TransformationID, Kind, Status, N FROM StatusDeltas)"
)
"""Derived table whose sum of N is a total. One statement: what is folded meanwhile is in one of the two."""


async def write(tx: Transaction, context: Context, counts: Mapping[tuple[int, Counted, str], int]) -> None:
    """Add changes to the counters, at the end of the transaction that makes them.

    :param counts: by TransformationID, kind and status.
    """
    changes = [[*key, number] for key, number in sorted(counts.items()) if number]
    if changes:
        dialect = tx.dialect
        source = dialect.records("changes", trans="int", kind="text", status="text", number="int")
        select = (
            f"SELECT trans AS TransformationID, kind AS Kind, status AS Status, :minute AS Minute,"
            f" {dialect.connection} AS Bucket, number AS N FROM {source} AS changes"
        )
        minute = int(context.now.timestamp()) // 60
        await tx.last(
            dialect.add_up("StatusDeltas", _COLUMNS, select, _COLUMNS[:-1], "N"),
            {"changes": dialect.pack(changes), "minute": minute},
        )


async def totals(tx: Transaction, trans_id: int) -> dict[tuple[Counted, str], int]:
    """Return how many files and tasks there are, by kind and status; none that are not there."""
    rows = await tx.fetch_all(
        f"SELECT Kind, Status, SUM(N) AS number FROM {TOTALS} AS totals WHERE TransformationID = :trans"
        " GROUP BY Kind, Status",
        {"trans": trans_id},
    )
    return {(row["Kind"], row["Status"]): int(row["number"]) for row in rows if row["number"]}
