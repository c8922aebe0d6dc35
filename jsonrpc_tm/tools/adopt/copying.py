"""Fills the new tables chunk by chunk, and compares them with the old ones. Each chunk is remembered with its rows."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import ConfigurationError
from ...storage.base import Row, Transaction
from . import shadow
from .database import NEW, Database
from .survey import QUERIES, Survey, source_columns
from .tables import Adopted, above, checksum, expression, owned, owners, within
from .values import JSON, Unreadable, asked, dumps, parameter


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
        if position["Done"]:
            self.advance(table, position["Copied"] + position["Aside"])
            return
        self.advance(table, position["Copied"] + position["Aside"])
        async for bounds in self._chunks(table, position["LastKey"]):
            async with self.database.transaction():
                copied, aside = await (self._convert if table.converted else self._insert)(table, bounds)
                await self._remember(step, bounds, copied, aside)
            self.advance(table, copied + aside)
        await self._finish(step)

    async def compare(self, table: Adopted) -> Result:
        """Compare counts and checksums of the old and the new table, chunk by chunk.

        :raises Changed: they differ.
        """
        result = Result()
        async for bounds in self._chunks(table, None):
            before, after = await self._sums(table, bounds)
            if before != after:
                raise Changed(
                    f"{self.found.sources[table.name]} changed while it was adopted: stop what writes to it, and begin"
                    " again with `db adopt --restart`"
                )
            copied, aside, digest = after
            result.copied += copied
            result.aside += aside
            result.digest ^= digest
            self.advance(table, copied + aside)
        total = await self.tx.fetch_value(f"SELECT COUNT(*) FROM {NEW}{table.name}")
        if total != result.copied:
            raise Changed(f"{NEW}{table.name} has rows that {table.name} does not have: begin again with --restart")
        return result

    async def _position(self, step: str) -> Row:
        await self.tx.execute(self.tx.dialect.insert_new_rows(shadow.PROGRESS, ["Step"], ["Step"]), {"Step": step})
        row = await self.tx.fetch_one(f"SELECT * FROM {shadow.PROGRESS} WHERE Step = :step", {"step": step})
        assert row is not None
        return row

    async def _remember(self, step: str, bounds: Mapping[str, Any], copied: int, aside: int) -> None:
        last = json.dumps([bounds[name] for name in sorted(bounds) if name.startswith("high")])
        await self.tx.execute(
            f"UPDATE {shadow.PROGRESS} SET LastKey = :last, Copied = Copied + :copied, Aside = Aside + :aside"
            " WHERE Step = :step",
            {"last": last, "copied": copied, "aside": aside, "step": step},
        )

    async def _finish(self, step: str) -> None:
        await self.tx.execute(f"UPDATE {shadow.PROGRESS} SET Done = 1 WHERE Step = :step", {"step": step})

    async def _chunks(self, table: Adopted, last: str | None) -> AsyncIterator[dict[str, Any]]:
        """Yield the bounds of each chunk: keys above ``low…`` (absent in the first) up to ``high…``."""
        low: list[int] | None = json.loads(last) if last else None
        source = self.found.sources[table.name]
        names = ", ".join(f"s.{column}" for column in table.key)
        # several rows may share the key of a converted table: all of them are in one chunk
        distinct = "DISTINCT " if table.converted else ""
        while True:
            where = "1 = 1" if low is None else above("s", table.key)
            sql = f"SELECT {distinct}{names} FROM `{source}` AS s WHERE {where} ORDER BY {names}"
            given = _bounds("low", low)
            row = await self.tx.fetch_one(f"{sql} LIMIT 1 OFFSET {self.chunk - 1}", given)
            if row is None:
                down = ", ".join(f"s.{column} DESC" for column in table.key)
                sql = f"SELECT {names} FROM `{source}` AS s WHERE {where} ORDER BY {down} LIMIT 1"
                row = await self.tx.fetch_one(sql, given)
                if row is None:
                    return
            high = list(row.values())
            yield given | _bounds("high", high)
            low = high

    async def _expressions(self, table: Adopted) -> dict[str, str]:
        """Return the new columns' values in terms of the old row, by column."""
        if table.name not in self._columns:
            new = await self.database.columns(NEW + table.name)
            renamed = {number: f"name{number}" for number in self.found.renamed}
            self._columns[table.name] = {
                name: expression(column, new[name], renamed)
                for name, column in source_columns(self.found, table).items()
            }
        return self._columns[table.name]

    def _names(self) -> dict[str, str]:
        return {f"name{number}": name for number, name in self.found.renamed.items()}

    async def _insert(self, table: Adopted, bounds: Mapping[str, Any]) -> tuple[int, int]:
        """Copy a chunk within the database; return the numbers of rows copied and set aside."""
        expressions = await self._expressions(table)
        names = ", ".join(f"`{name}`" for name in expressions)
        values = ", ".join(expressions.values())
        source, where = self.found.sources[table.name], within("s", table.key, low="low0" in bounds)
        parameters = {**bounds, **(self._names() if table.name == "Transformations" else {})}
        rows = f"SELECT {values} FROM `{source}` AS s"
        copied = await self.tx.execute(
            f"INSERT INTO {NEW}{table.name} ({names}) {rows}{owners(table, 'STRAIGHT_JOIN', NEW)} WHERE {where}",
            parameters,
        )
        if not table.parents:
            return copied, 0
        total = await self.tx.fetch_value(f"SELECT COUNT(*) FROM `{source}` AS s WHERE {where}", bounds)
        if total == copied:
            return copied, 0
        aside = await self.tx.execute(
            f"INSERT INTO {table.aside} ({names}) {rows}{owners(table, 'LEFT JOIN', NEW)}"
            f" WHERE {where} AND NOT {owned(table)}",
            parameters,
        )
        return copied, aside

    async def _convert(self, table: Adopted, bounds: Mapping[str, Any]) -> tuple[int, int]:
        """Copy a chunk whose texts become JSON."""
        mine, orphans = await self._converted(table, bounds)
        for name, rows in ((NEW + table.name, mine), (table.aside, orphans)):
            if rows:
                columns = list(rows[0])
                quoted = ", ".join(f"`{column}`" for column in columns)
                values = ", ".join(f":p{place}" for place in range(len(columns)))
                await self.tx.executemany(
                    f"INSERT INTO {name} ({quoted}) VALUES ({values})",
                    [{f"p{place}": value for place, value in enumerate(row.values())} for row in rows],
                )
        return len(mine), len(orphans)

    async def _converted(self, table: Adopted, bounds: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
        """Return the new rows of a chunk, those with an owner and those without."""
        columns = source_columns(self.found, table)
        names = ", ".join(f"{column.text} AS `{name}`" for name, column in columns.items())
        where = within("s", table.key, low="low0" in bounds)
        rows = await self.tx.fetch_all(
            f"SELECT {names}, {owned(table)} AS `owned?` FROM `{self.found.sources[table.name]}` AS s"
            f"{owners(table, 'LEFT JOIN', NEW)} WHERE {where} ORDER BY s.TransformationID",
            bounds,
        )
        both: tuple[list[Row], list[Row]] = [], []
        for row in rows:
            both[not row.pop("owned?")].append(_query(row) if table.name == QUERIES else _parameter(row))
        return both

    async def _sums(self, table: Adopted, bounds: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return (rows copied, rows aside, digest) as the old table demands it, and as the new one has it."""
        if table.converted:
            return await self._converted_sums(table, bounds)
        expressions = await self._expressions(table)
        low = "low0" in bounds
        new = [f"s.`{name}`" for name in expressions]
        parameters = {**bounds, **(self._names() if table.name == "Transformations" else {})}
        source = f"`{self.found.sources[table.name]}`"
        where = within("s", table.key, low=low)
        before = await self._sum(source, list(expressions.values()), where, parameters)
        after = await self._sum(NEW + table.name, new, where, bounds)
        aside = await self._sum(table.aside, new, where, bounds) if table.parents else (0, 0, 0)
        digests = [(row[1] ^ (row[2] << 64)) for row in (before, after, aside)]
        same = (
            before[0] == after[0] + aside[0] and before[1] == after[1] ^ aside[1] and before[2] == after[2] + aside[2]
        )
        result = (after[0], aside[0], digests[1] ^ digests[2])
        return (result if same else (before[0], -1, digests[0])), result

    async def _sum(
        self, table: str, expressions: Sequence[str], where: str, parameters: Mapping[str, Any]
    ) -> tuple[int, int, int]:
        row = await self.tx.fetch_one(
            f"SELECT {checksum(list(expressions))} FROM {table} AS s WHERE {where}", parameters
        )
        assert row is not None
        return int(row["n"]), int(row["x"]), int(row["s"])

    async def _converted_sums(self, table: Adopted, bounds: Mapping[str, Any]) -> tuple[Any, Any]:
        expected = await self._converted(table, bounds)
        names = ", ".join(f"s.`{name}`" for name in source_columns(self.found, table))
        if table.name == QUERIES and "QueryType" not in source_columns(self.found, table):
            names += ", s.QueryType"
        where = within("s", table.key, low="low0" in bounds)
        found = [
            await self.tx.fetch_all(f"SELECT {names} FROM {name} AS s WHERE {where}", bounds)
            for name in (NEW + table.name, table.aside)
        ]
        before, after = ([_digest(rows) for rows in both] for both in (expected, found))
        counts = tuple(len(rows) for rows in found)
        return (
            (*(len(rows) for rows in expected), before[0] ^ before[1]),
            (*counts, after[0] ^ after[1]),
        )


def _bounds(name: str, key: Sequence[int] | None) -> dict[str, Any]:
    return {f"{name}{place}": value for place, value in enumerate(key or ())}


def _parameter(row: Row) -> Row:
    try:
        value = parameter(row["ParameterValue"], row["ParameterType"])
    except Unreadable:
        value = row["ParameterValue"]
    return {**row, "ParameterValue": dumps(value), "ParameterType": JSON}


def _query(row: Row) -> Row:
    try:
        value = asked(row["MetaDataName"], row["MetaDataValue"], row["MetaDataType"])
    except Unreadable:
        # a text that no file has: the condition must not vanish, or the query would match more than it did
        value = f"unreadable: {row['MetaDataValue']}"
    return {"QueryType": "Input", **row, "MetaDataValue": dumps(value), "MetaDataType": JSON}


def _digest(rows: Sequence[Row]) -> int:
    total = 0
    for row in rows:
        text = json.dumps([row[name] for name in sorted(row)], ensure_ascii=False)
        total ^= int.from_bytes(hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest())
    return total
