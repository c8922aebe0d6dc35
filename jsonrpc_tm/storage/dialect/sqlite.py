"""The SQL of SQLite. Facts measured on 3.40."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from ...core import model
from .base import Dialect, PackedKind, insert, listed

_LIKE = re.compile(r"\\.|.", re.DOTALL)
_AMONG = re.compile(r"((?:(?!source\.).)*) = source\.value\Z", re.DOTALL)
_GLOB = {"%": "*", "_": "?"}
_GLOB_ITSELF = {sign: f"[{sign}]" for sign in "*?["}


@cache
def _records(parameter: str, *columns: str) -> str:
    extracted = listed(f"json_extract(value, '$[{i}]') AS {column}" for i, column in enumerate(columns))
    return f"(SELECT key AS position, {extracted} FROM json_each(:{parameter}))"


class SQLite(Dialect):
    """SQLite 3.37 and later. The whole file is locked by a writer: row locks say nothing."""

    name = "sqlite"
    for_update = ""
    for_update_now = ""
    skip_locked = ""
    for_share = ""
    connection = "0"
    serial = "Revision"
    last_revision = "SELECT seq FROM sqlite_sequence WHERE name = 'Events'"
    claim = ""
    cluster_lock = ""
    straight_join = "CROSS JOIN"
    by_key = ""
    # an event 5 µs instead of 10; ten rows the same, a hundred 340 µs instead of 240
    few = 8
    keys = 0  # an IN of a packed list is as fast, and the statement stays the same
    # reading a list of rows instead of ids costs 2 us a row, a statement 30 us
    apart = 15
    by_status = by_file = ""
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'"
    numbered = "SELECT name FROM sqlite_sequence"
    columns = (
        "SELECT t.name AS table_name, c.name AS column_name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c"
        " WHERE t.type = 'table'"
    )

    def array(self, parameter: str, kind: PackedKind = "text") -> str:
        """Return ``json_each``; its key is the position."""
        return f"(SELECT key AS position, value FROM json_each(:{parameter}))"

    def records(self, parameter: str, **columns: PackedKind) -> str:
        """Return ``json_each`` with one ``json_extract`` a column."""
        return _records(parameter, *columns)

    def insert_new(self, table: str, columns: Sequence[str], select: str, key: Sequence[str]) -> str:
        """Return ``ON CONFLICT DO NOTHING``; the WHERE keeps the parser from reading ON as a join's."""
        names = listed(columns)
        return (
            f"INSERT INTO {table} ({names}) SELECT * FROM ({select}) AS source WHERE true"
            f" ON CONFLICT ({listed(key)}) DO NOTHING"
        )

    def insert_new_rows(self, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
        """Return ``ON CONFLICT DO NOTHING``."""
        return f"{insert(table, columns)} ON CONFLICT ({listed(key)}) DO NOTHING"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], update: Sequence[str]) -> str:
        """Return ``ON CONFLICT DO UPDATE``."""
        assigned = listed(f"{c} = excluded.{c}" for c in update)
        return f"{insert(table, columns)} ON CONFLICT ({listed(key)}) DO UPDATE SET {assigned}"

    def adding(self, table: str, key: Sequence[str], number: str) -> str:
        """Return ``ON CONFLICT DO UPDATE``."""
        return f" ON CONFLICT ({listed(key)}) DO UPDATE SET {number} = {number} + excluded.{number}"

    def joined(self, table: str, source: str, target_first: bool = False, by_key: bool = False) -> str:
        """Return a ``CROSS JOIN``, whose order is kept."""
        return f"(SELECT * FROM {source} LIMIT -1) AS source CROSS JOIN {table} AS target"

    def update_join(
        self,
        table: str,
        source: str,
        on: str,
        assignments: Mapping[str, str],
        target_first: bool = False,
        by_key: bool = False,
    ) -> str:
        """Return ``UPDATE … FROM``, or ``UPDATE … WHERE … IN`` where nothing but the values of a list are wanted of the
        source: that takes 10 µs instead of 15 for one row, and 2.3 ms instead of 3.1 for a thousand.

        The LIMIT, which limits nothing, has the source made first: else the planner may read all of it again for every
        row of the table.
        """
        assigned = listed(f"{column} = {expression}" for column, expression in assignments.items())
        if (among := _AMONG.match(on)) and "source." not in assigned:
            return f"UPDATE {table} AS target SET {assigned} WHERE {among[1]} IN (SELECT value FROM {source})"
        first = f" FROM (SELECT * FROM {source} LIMIT -1) AS source" if source else ""
        return f"UPDATE {table} AS target SET {assigned}{first} WHERE {on}"

    def delete_join(self, table: str, source: str, on: str, key: Sequence[str] = ()) -> str:
        """Return a DELETE by key: a correlated EXISTS would read the source once for every row of the table."""
        names = key or model.TABLES[table].key
        selected = listed(f"target.{name}" for name in names)
        return (
            f"DELETE FROM {table} WHERE ({listed(names)}) IN"
            f" (SELECT {selected} FROM {source} AS source CROSS JOIN {table} AS target ON {on})"
        )

    def delete_unreferred(self, table: str, parameter: str) -> str:
        """Return a DELETE: nobody else writes."""
        (key,) = model.TABLES[table].key
        return f"DELETE FROM {table} WHERE {key} IN (SELECT value FROM json_each(:{parameter}))"

    def steps(self, column: str, source: str, where: str, fixed: Sequence[str]) -> str:
        """By recursion: GROUP BY reads all rows."""
        least = f"SELECT MIN({column}) FROM {source} WHERE {where} AND {column}"
        return (
            f"WITH RECURSIVE step (value) AS ({least} IS NOT NULL UNION ALL"
            f" SELECT ({least} > step.value) FROM step WHERE step.value IS NOT NULL)"
            " SELECT value FROM step WHERE value IS NOT NULL"
        )

    def packed(self, column: str) -> str:
        """Return ``json_group_array``."""
        return f"NULLIF(json_group_array({column}), '[]')"

    def beyond(self, columns: Sequence[str], values: Sequence[str]) -> str:
        """Return a comparison of row values."""
        return f"({listed(columns)}) > ({listed(values)})"

    def day(self, column: str) -> str:
        """Dates are text here."""
        return f"substr({column}, 1, 10)"

    def concat(self, *parts: str) -> str:
        """Return the parts with ``||``."""
        return "(" + " || ".join(parts) + ")"

    def json_object(self, members: Mapping[str, tuple[str, model.ColumnKind]]) -> str:
        """Return ``json_object``."""
        parts = listed(f"'{name}', {sql}" for name, (sql, _) in members.items())
        return f"json_object({parts})"

    def json_array(self, members: Sequence[tuple[str, model.ColumnKind]]) -> str:
        """Return ``json_array``: 100,000 rows of ten values are read in half the time so."""
        return f"json_array({listed(sql for sql, _ in members)})"

    def characters(self, expression: str) -> str:
        """Return ``length``, which counts characters of text."""
        return f"length({expression})"

    def like(self, column: str, pattern: str, bind: Callable[[str], str]) -> str:
        """Return GLOB: here LIKE takes upper and lower case for the same, and no index serves it.

        The signs of GLOB that stand for themselves are in brackets.
        """
        glob = _LIKE.sub(lambda found: _GLOB.get(found[0]) or _GLOB_ITSELF.get(found[0][-1], found[0][-1]), pattern)
        return f"{column} GLOB {bind(glob)}"

    def empty(self, tables: Iterable[str], numbered: Iterable[str]) -> list[str]:
        """Return DELETEs; foreign keys are looked at when the transaction ends."""
        deletes = [f"DELETE FROM {table}" for table in tables]
        return ["PRAGMA defer_foreign_keys = ON", *deletes, "DELETE FROM sqlite_sequence"]


SQLITE = SQLite()
