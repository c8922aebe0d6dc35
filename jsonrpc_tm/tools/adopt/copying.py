"""Fills the new tables chunk by chunk, and compares them with the old ones. Each chunk is remembered with its rows."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import ConfigurationError
from ...storage.base import Row, Transaction
from .database import NEW, Database
from .found import Survey
from .reading import Portion, Reading
from .rules import author, expression
from .shadow import NUMBERED
from .survey import PROGRESS
from .tables import Adopted, checksum, owned, owners, within


class Changed(ConfigurationError):
    """The old tables are not what they were when they were copied."""


@dataclass
class Result:
    """What became of a table's rows.

    :param digest: stands for all rows, before and after alike.
    """

    copied: int = 0
    aside: int = 0
    digest: int = 0


Sum = tuple[int, int, int]
"""Stands for a set of rows: their number, and two of their checksums."""


@dataclass
class Copying:
    """The work on one database.

    :param chunk: rows a transaction.
    :param advance: called with the table and the number of rows just done.
    """

    database: Database
    found: Survey
    chunk: int
    advance: Callable[[Adopted, int], None]
    _columns: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def tx(self) -> Transaction:
        """The verbs."""
        return self.database.tx

    async def copy(self, table: Adopted) -> None:
        """Copy what is not copied yet."""
        step = f"copy {table.name}"
        position = await self._position(step)
        self.advance(table, position["Copied"] + position["Aside"])
        if position["Done"]:
            return
        reading = self._reading(table)
        async for bounds in reading.chunks(position["LastKey"]):
            copied = aside = 0
            async with self.database.transaction():
                async for part in reading.parts(bounds):
                    mine, orphans = await self._insert(table, part)
                    copied, aside = copied + mine, aside + orphans
                await self._remember(step, bounds, copied, aside)
            self.advance(table, copied + aside)
        await self.tx.execute(f"UPDATE {PROGRESS} SET Done = 1 WHERE Step = :step", {"step": step})

    async def compare(self, table: Adopted) -> Result:
        """Compare counts and checksums of the old and the new table, chunk by chunk.

        :raises Changed: they differ.
        """
        result = Result()
        reading = self._reading(table)
        what = self.found.sources[table.name]
        if what == "Transformations" and self.found.authors:
            what += ", or who is in the registry,"
        changed = Changed(
            f"{what} changed while it was adopted: stop what writes to it, and begin again with `db adopt --restart`"
        )
        if reading.source == NUMBERED and not await self._numbered(table):
            raise changed
        old, new = list(self._expressions(table).values()), [f"s.`{name}`" for name in self._expressions(table)]
        async for bounds in reading.chunks(None):
            where = within("s", table.key, low="low0" in bounds)
            before = [
                await self._sum(f"{part.source} WHERE {part.where}", old, self._given(table, part))
                async for part in reading.parts(bounds)
            ]
            after = await self._sum(f"{NEW}{table.name} AS s WHERE {where}", new, bounds)
            aside = (0, 0, 0)
            if table.parents:
                aside = await self._sum(f"{table.aside} AS s WHERE {where}", new, bounds)
            if _total(before) != _total([after, aside]):
                raise changed
            result.copied += after[0]
            result.aside += aside[0]
            for _, xor, total in (after, aside):
                result.digest ^= xor ^ (total << 64)
            self.advance(table, after[0] + aside[0])
        total = await self.tx.fetch_value(f"SELECT COUNT(*) FROM {NEW}{table.name}")
        if total != result.copied:
            raise Changed(f"{NEW}{table.name} has rows that {table.name} does not have: begin again with --restart")
        return result

    def _reading(self, table: Adopted) -> Reading:
        columns = self.found.own(table.name)
        numbered = any(self.found.lacks(table.name, column) for column in table.key)
        source = NUMBERED if numbered else self.found.sources[table.name]
        return Reading(self.database, table, source, columns, self.chunk)

    async def _numbered(self, table: Adopted) -> bool:
        """Return whether the numbered rows are still those of the table, each as often."""
        names = [f"s.`{column.name}`" for column in self.found.own(table.name).values()]
        sources = (NUMBERED, self.found.sources[table.name])
        before, after = [await self._sum(f"`{source}` AS s", names, {}) for source in sources]
        return before == after

    async def _position(self, step: str) -> Row:
        await self.tx.execute(self.tx.dialect.insert_new_rows(PROGRESS, ["Step"], ["Step"]), {"Step": step})
        row = await self.tx.fetch_one(f"SELECT * FROM {PROGRESS} WHERE Step = :step", {"step": step})
        assert row is not None
        return row

    async def _remember(self, step: str, bounds: Mapping[str, Any], copied: int, aside: int) -> None:
        last = json.dumps([bounds[name] for name in sorted(bounds) if name.startswith("high")])
        await self.tx.execute(
            f"UPDATE {PROGRESS} SET LastKey = :last, Copied = Copied + :copied, Aside = Aside + :aside"
            " WHERE Step = :step",
            {"last": last, "copied": copied, "aside": aside, "step": step},
        )

    def _expressions(self, table: Adopted) -> dict[str, str]:
        """Return the new columns' values in terms of the old row ``s`` and of Python's values ``v``, by column."""
        if table.name not in self._columns:
            columns, targets = self.found.own(table.name), self.found.plans[table.name].definition.columns
            renamed = {number: f"name{number}" for number in self.found.renamed}
            by_row = self._reading(table).by_row
            made = {
                name: expression(table, column, name, targets[name], renamed, by_row=name in by_row)
                for name, column in columns.items()
            }
            if table.key[0] == "recid" and "recid" not in columns:
                made["recid"] = "s.recid"
            if table.name == "Transformations" and "AuthorDN" in columns:
                names = {f"dn{place}": f"author{place}" for place in range(len(self.found.authors))}
                made["Author"] = author(names, beside="Author" in columns)
            self._columns[table.name] = made
        return self._columns[table.name]

    def _given(self, table: Adopted, part: Portion) -> Mapping[str, Any]:
        """Return the parameters of the expressions, and those of the rows."""
        if table.name != "Transformations":
            return part.parameters
        names = {f"name{number}": name for number, name in self.found.renamed.items()}
        for place, (dn, user) in enumerate(self.found.authors.items()):
            names |= {f"dn{place}": dn, f"author{place}": user}
        return {**part.parameters, **names}

    async def _insert(self, table: Adopted, part: Portion) -> tuple[int, int]:
        """Copy rows within the database; return the numbers of rows copied and set aside."""
        expressions = self._expressions(table)
        names = ", ".join(f"`{name}`" for name in expressions)
        values = ", ".join(expressions.values())
        given = self._given(table, part)
        copied = await self.tx.execute(
            f"INSERT INTO {NEW}{table.name} ({names}) SELECT {values} FROM {part.source}"
            f"{owners(table.parents, 'STRAIGHT_JOIN', NEW)} WHERE {part.where}",
            given,
        )
        if not table.parents:
            return copied, 0
        total = part.rows
        if total is None:
            total = await self.tx.fetch_value(f"SELECT COUNT(*) FROM {part.source} WHERE {part.where}", part.parameters)
        if total == copied:
            return copied, 0
        aside = await self.tx.execute(
            f"INSERT INTO {table.aside} ({names}) SELECT {values} FROM {part.source}"
            f"{owners(table.parents, 'LEFT JOIN', NEW)} WHERE {part.where} AND NOT {owned(table.parents)}",
            given,
        )
        return copied, aside

    async def _sum(self, rows: str, expressions: Sequence[str], parameters: Mapping[str, Any]) -> Sum:
        """Return what stands for a set of rows.

        :param rows: what follows FROM.
        """
        row = await self.tx.fetch_one(f"SELECT {checksum(list(expressions))} FROM {rows}", parameters)
        assert row is not None
        return int(row["n"]), int(row["x"]), int(row["s"])


def _total(sums: Sequence[Sum]) -> Sum:
    number = xor = total = 0
    for part in sums:
        number, xor, total = number + part[0], xor ^ part[1], total + part[2]
    return number, xor, total
