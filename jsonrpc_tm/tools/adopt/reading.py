"""The old tables, chunk by chunk, and the values that Python makes of them."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ...core import model
from ...storage.dialect import PackedKind
from .database import Database, SourceColumn
from .rules import by_row, made, needed
from .tables import Adopted, above, within

Doubt = Callable[[str, str], None]
"""Called with the code of a finding and the row it is about."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows of an old table.

    :param source: what follows FROM; the old row is ``s``, the values that Python made are ``v``.
    :param where: the condition.
    :param rows: their number; None where nobody counted.
    """

    source: str
    where: str
    parameters: Mapping[str, Any]
    rows: int | None = None


@dataclass(frozen=True)
class Reading:
    """An old table.

    :param source: its name.
    :param columns: by the name that they get.
    :param chunk: rows of a chunk.
    """

    database: Database
    table: Adopted
    source: str
    columns: Mapping[str, SourceColumn]
    chunk: int

    @property
    def by_row(self) -> tuple[str, ...]:
        """The columns whose values Python makes."""
        return by_row(self.table, self.columns)

    async def chunks(self, last: str | None) -> AsyncIterator[dict[str, Any]]:
        """Yield the bounds of each chunk: keys above ``low…`` (absent in the first) up to ``high…``."""
        tx, key = self.database.tx, self.table.key
        low: list[int] | None = json.loads(last) if last else None
        names = ", ".join(f"s.{column}" for column in key)
        # several rows may share the key: all of them are in one chunk
        distinct = "" if self.table.unique == key else "DISTINCT "
        size = max(self.chunk // 50, 1) if self.table.bulky and self.by_row else self.chunk
        while True:
            where = "1 = 1" if low is None else above("s", key)
            sql = f"SELECT {distinct}{names} FROM `{self.source}` AS s WHERE {where} ORDER BY {names}"
            given = _bounds("low", low)
            row = await tx.fetch_one(f"{sql} LIMIT 1 OFFSET {size - 1}", given)
            if row is None:
                down = ", ".join(f"s.{column} DESC" for column in key)
                sql = f"SELECT {names} FROM `{self.source}` AS s WHERE {where} ORDER BY {down} LIMIT 1"
                row = await tx.fetch_one(sql, given)
                if row is None:
                    return
            high = list(row.values())
            yield given | _bounds("high", high)
            low = high

    async def parts(self, bounds: Mapping[str, Any], doubt: Doubt = lambda *_: None) -> AsyncIterator[Portion]:
        """Yield the rows of a chunk: as they are, or with the values that Python makes of them."""
        where = within("s", self.table.key, low="low0" in bounds)
        by_row = self.by_row
        if not by_row:
            yield Portion(f"`{self.source}` AS s", where, bounds)
            return
        key = [name for name in self.table.unique if name in self.columns]
        columns = dict.fromkeys([*key, *by_row, *needed(by_row)])
        names = ", ".join(f"s.`{self.columns[name].name}` AS `{name}`" for name in columns)
        rows = await self.database.tx.fetch_all(f"SELECT {names} FROM `{self.source}` AS s WHERE {where}", bounds)
        records = [self._record(key, by_row, row, doubt) for row in rows]
        kinds: dict[str, PackedKind] = {name: _kind(self.table, name) for name in (*key, *by_row)}
        made = self.database.tx.dialect.records("packed", **kinds)
        same = " AND ".join(self._same(name) for name in key)
        for packed in self._packed(records):
            text = b"[" + b",".join(packed) + b"]"
            yield Portion(
                f"{made} AS v STRAIGHT_JOIN `{self.source}` AS s ON {same}",
                "1 = 1",
                {"packed": text.decode()},
                len(packed),
            )

    def _record(self, key: Sequence[str], by_row: Sequence[str], row: Mapping[str, Any], doubt: Doubt) -> bytes:
        def doubted(code: str) -> None:
            doubt(code, " ".join(str(row[name]) for name in key))

        values = [made(name, row, doubted) for name in by_row]
        return orjson.dumps([*[row[name] for name in key], *values])

    def _packed(self, records: Sequence[bytes]) -> list[list[bytes]]:
        """Return the records in lists that fit a packet as a literal, whatever has to be escaped in them."""
        lists: list[list[bytes]] = [[]]
        size, most = 0, int(self.database.session.variables["max_allowed_packet"]) // 4
        for record in records:
            if lists[-1] and size + len(record) > most:
                lists.append([])
                size = 0
            lists[-1].append(record)
            size += len(record) + 1
        return lists if records else []

    def _same(self, name: str) -> str:
        value = f"s.`{self.columns[name].name}`"
        if _kind(self.table, name) == "int":
            return f"{value} = v.{name}"
        # as exact as the new table, whatever the old one took for equal
        return f"CONVERT({value} USING utf8mb4) COLLATE {self.database.session.dialect.collation} = v.{name}"


def _kind(table: Adopted, name: str) -> PackedKind:
    return "int" if model.TABLES[table.name].columns[name].kind == "int" else "text"


def _bounds(name: str, key: Sequence[int] | None) -> dict[str, Any]:
    return {f"{name}{place}": value for place, value in enumerate(key or ())}
