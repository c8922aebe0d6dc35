"""What bulk operations change: the rows of three tables, by key, with what an action may change of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ...core.model import TRANSFORMATION_FILES, TRANSFORMATION_TASKS, TRANSFORMATIONS, Table
from ...storage.base import Row, chunks
from ...storage.where import LISTING, LONG_LIST, Expressions, Where, comparisons
from ..rows import FILE_SQL, TASK_SQL, TRANSFORMATION_SQL
from ..work import Work

What = Literal["transformations", "files", "tasks"]
WHATS: tuple[What, ...] = get_args(What)
ObjectKey = tuple[int, int]
"""TransformationID, and FileID or TaskID; of a transformation its id twice."""
State = list[Any]
"""The values of ``Objects.state``: what an operation puts back when it is undone."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one kind.

    :param columns: what a condition may name.
    :param source: what stands after FROM.
    :param prefix: alias and dot of *table*.
    :param number: the second half of the key.
    :param status: the column with the status.
    :param state: what of an object may be changed.
    """

    table: Table
    columns: Expressions
    source: str
    prefix: str
    number: str
    status: str
    state: tuple[str, ...]

    @property
    def trans(self) -> str:
        """The first half of the key."""
        return f"{self.prefix}TransformationID"

    def chosen(self, work: Work, conditions: Mapping[str, Any] | None) -> Where:
        """Return the clause that keeps what fulfils a condDict and the caller may read.

        :raises InvalidParams: an unknown name, a value that does not fit.
        """
        where = work.where(self.table, self.prefix)
        where.conditions(self.columns, conditions)
        return where

    async def matching(
        self, work: Work, keys: Sequence[ObjectKey], conditions: Mapping[str, Any] | None
    ) -> dict[ObjectKey, State]:
        """Return the state of those objects that are there and fulfil a condDict."""
        asked = comparisons(self.columns, conditions)
        # a long list would be read anew by the database for each chunk: MariaDB took 2 s for 20,000 names
        lists = [one for one in asked if one.operator in LISTING.values() and len(one.wanted) > LONG_LIST]
        sets = [set(one.wanted) for one in lists]
        where = Where(work.dialect)
        where.meet(one for one in asked if one not in lists)
        dialect = work.dialect
        wanted = dialect.records("keys", trans="int", number="int")
        table, _, more = self.source.partition(" JOIN ")
        joined = f" JOIN {more}" if more else ""
        compared = "".join(f", {one.column.sql} AS compared{place}" for place, one in enumerate(lists))
        sql = (
            f"SELECT {self.trans}, {self.number} AS number, {', '.join(self.state)}{compared} FROM {wanted} AS wanted"
            f" {dialect.straight_join} {table} ON {self.trans} = wanted.trans AND {self.number} = wanted.number{joined}"
            f" WHERE {where.text}"
        )
        found: dict[ObjectKey, State] = {}
        for chunk in chunks(keys):
            rows = await work.tx.fetch_rows(
                sql, {**where.parameters, "keys": dialect.pack([list(key) for key in chunk])}
            )
            for trans, number, *values in rows:
                state, others = values[: len(self.state)], values[len(self.state) :]
                if all(
                    (value in given) == (one.operator == "in")
                    for value, given, one in zip(others, sets, lists, strict=True)
                ):
                    found[trans, number] = state
        return found

    async def by_status(self, work: Work, where: Where) -> list[Row]:
        """Return how many objects there are by transformation and status: ``trans``, ``status``, ``number``."""
        sql = (
            f"SELECT {self.trans} AS trans, {self.status} AS status, COUNT(*) AS number FROM {self.source}"
            f" WHERE {where.text} GROUP BY {self.trans}, {self.status}"
        )
        return await work.tx.fetch_all(sql, where.parameters)

    async def first(self, work: Work, where: Where, groups: Sequence[tuple[int, str]], number: int) -> list[ObjectKey]:
        """Return the first objects of some groups of ``by_status``.

        :param number: the most that are wanted.
        """
        dialect = work.dialect
        allowed = dialect.records("groups", trans="int", status="word")
        # not EXISTS: SQLite would read the groups anew for each object that is none of them
        sql = (
            f"SELECT {self.trans}, {self.number} AS number FROM {self.source} WHERE {where.text}"
            f" AND ({self.trans}, {self.status}) IN (SELECT trans, status FROM {allowed} AS allowed)"
            f" ORDER BY {self.trans}, {self.number} LIMIT {number:d}"
        )
        packed = dialect.pack([list(group) for group in groups])
        rows = await work.tx.fetch_all(sql, {**where.parameters, "groups": packed})
        return [(trans, number) for trans, number in (row.values() for row in rows)]


OBJECTS: Mapping[What, Objects] = {
    "transformations": Objects(
        TRANSFORMATIONS,
        TRANSFORMATION_SQL,
        "Transformations t",
        "t.",
        "t.TransformationID",
        "t.Status",
        ("t.Status", "t.AgentType"),
    ),
    "files": Objects(
        TRANSFORMATION_FILES,
        FILE_SQL,
        "TransformationFiles f JOIN DataFiles d ON d.FileID = f.FileID",
        "f.",
        "f.FileID",
        "f.Status",
        ("f.Status", "f.ErrorCount", "f.TaskID"),
    ),
    "tasks": Objects(
        TRANSFORMATION_TASKS,
        TASK_SQL,
        "TransformationTasks t",
        "t.",
        "t.TaskID",
        "t.ExternalStatus",
        ("t.ExternalStatus",),
    ),
}
