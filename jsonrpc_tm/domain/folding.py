"""Changes of the counters become totals and history; history becomes coarser with age."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ..storage.base import CHUNK, Storage, Transaction
from .counters import minute


class Fold(NamedTuple):
    """What becomes of rows that are old enough.

    :param table: where they are.
    :param age: minutes after which they go on.
    :param fine: their Grain; 0 in StatusDeltas, which has none.
    :param coarse: the Grain in StatusHistory that they get: minutes that are told together.
    """

    table: str
    age: int
    fine: int
    coarse: int

    @property
    def key(self) -> tuple[str, ...]:
        """The primary key of the table."""
        return ("TransformationID", "Kind", "Status", "Minute", "Grain" if self.fine else "Bucket")

    @property
    def due(self) -> str:
        """Condition: rows that are old enough."""
        return f"Minute < :before{f' AND Grain = {self.fine}' if self.fine else ''}"

    def before(self, now: int) -> int:
        """Return the minute before which rows are old enough; what is told together goes on together."""
        return (now - self.age) // self.coarse * self.coarse


_HOUR = 60
_DAY = 24 * _HOUR
# a transaction counts in the minute in which its call began; what comes later still is folded later
STEPS = (
    Fold("StatusDeltas", 2, 0, 1),
    Fold("StatusHistory", 2 * _HOUR, 1, 10),
    Fold("StatusHistory", 2 * _DAY, 10, _HOUR),
    Fold("StatusHistory", 30 * _DAY, _HOUR, _DAY),
    Fold("StatusHistory", 365 * _DAY, _DAY, 7 * _DAY),
)


async def fold(storage: Storage, now: datetime) -> None:
    """Fold what is old enough, little at a time; several processes may do so at once.

    :raises StorageUnavailable: the database is gone or busy.
    """
    while steps := await storage.run("find what to fold", _due, minute(now), read=True):
        for step in steps:
            while await storage.run("fold", fold_some, step, minute(now)) == CHUNK:
                pass


async def _due(tx: Transaction, now: int) -> list[Fold]:
    return [
        step
        for step in STEPS
        if await tx.fetch_value(f"SELECT 1 FROM {step.table} WHERE {step.due} LIMIT 1", {"before": step.before(now)})
    ]


async def fold_some(tx: Transaction, step: Fold, now: int) -> int:
    """Fold as many rows as one statement takes; return how many."""
    dialect = tx.dialect
    rows = await tx.fetch_all(
        f"SELECT {', '.join(step.key)}, N FROM {step.table} WHERE {step.due} ORDER BY Minute LIMIT {CHUNK}"
        + dialect.for_update,
        {"before": step.before(now)},
    )
    if not rows:
        return 0
    packed = dialect.records("rows", TransformationID="int", Kind="text", Status="text", Minute="int", last="int")
    on = " AND ".join(f"target.{name} = source.{name if name in step.key[:-1] else 'last'}" for name in step.key)
    taken = sorted([row[name] for name in step.key] for row in rows)
    await tx.execute(dialect.delete_join(step.table, packed, on, step.key), {"rows": dialect.pack(taken)})
    counts: Counter[tuple[int, str, str]] = Counter()
    history: Counter[tuple[int, str, str, int, int]] = Counter()
    for row in rows:
        whose = row["TransformationID"], row["Kind"], row["Status"]
        counts[whose] += row["N"]
        history[*whose, row["Minute"] - row["Minute"] % step.coarse + step.coarse - 1, step.coarse] += row["N"]
    if not step.fine:
        await _add(tx, "StatusCounts", ("TransformationID", "Kind", "Status"), counts)
    await _add(tx, "StatusHistory", ("TransformationID", "Kind", "Status", "Minute", "Grain"), history)
    return len(rows)


async def _add(tx: Transaction, table: str, key: tuple[str, ...], numbers: Mapping[Any, int]) -> None:
    columns = (*key, "N")
    packed = tx.dialect.records("rows", **{name: "text" if name in ("Kind", "Status") else "int" for name in columns})
    await tx.execute(
        tx.dialect.add_up(table, columns, f"SELECT {', '.join(columns)} FROM {packed} AS numbers", key, "N"),
        {"rows": tx.dialect.pack([[*of, number] for of, number in sorted(numbers.items()) if number])},
    )
