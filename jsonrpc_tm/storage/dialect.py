"""Every difference between the engines' SQL, as named pieces of SQL text. No other module asks which engine runs.

Facts measured on SQLite 3.40 and MariaDB 10.11. Parameters are named (``:name``) on both.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import orjson

from ..core import model

PackedKind = Literal["int", "float", "text"]
"""Kind of a packed value."""


class Dialect(ABC):
    """What both engines spell the same; the two below fill in the rest."""

    name: ClassVar[str]
    for_update: ClassVar[str]
    straight_join: ClassVar[str]
    by_key: ClassVar[str]
    """What follows a table that is joined by its primary key and locked: no other row may be locked on the way."""
    tables: ClassVar[str]
    """Query: the tables of the database, as ``name``."""
    numbered: ClassVar[str]
    """Query: those that gave out identifiers, as ``name``."""
    cluster_lock: ClassVar[str]
    """Statement that takes the names ``:names`` (packed), see ``storage.base.exclude_other_nodes``; empty on
    a single server."""
    columns: ClassVar[str]
    """Query: its columns, as ``table_name`` and ``column_name``."""

    def ddl(self, statement: str) -> str:
        """Return a statement of the schema as this engine wants it."""
        return statement

    def pack(self, values: Iterable[Any]) -> str:
        """Return *values* as the JSON text that ``array`` and ``records`` take."""
        return orjson.dumps(values if isinstance(values, list | tuple) else list(values)).decode()

    @abstractmethod
    def array(self, parameter: str, kind: PackedKind = "text") -> str:
        """Return a derived table with the columns ``position`` (from 0) and ``value`` of a packed list.

        Write ``FROM {array} AS wanted {straight_join} T ON …`` so that the engine looks each value up in T.
        """

    @abstractmethod
    def records(self, parameter: str, **columns: PackedKind) -> str:
        """Return a derived table of a packed list of lists: ``position`` (from 0) and the named columns, in order."""

    @abstractmethod
    def insert_new(self, table: str, columns: Sequence[str], select: str, key: Sequence[str]) -> str:
        """Return an INSERT of *select*'s rows that leaves alone the rows whose *key* is there already.

        Not for tables whose engine gives out identifiers: rows left alone may use some up. See ``insert_new_rows``.
        """

    @abstractmethod
    def insert_new_rows(self, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
        """Return an INSERT for ``executemany``, parameters named like the columns; present keys are left alone.

        Identifiers come in the order of the rows. A row left alone may use one up, so ask first which are new.
        """

    @abstractmethod
    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], update: Sequence[str]) -> str:
        """Return an INSERT with parameters named like the columns; where *key* is there, *update* is set instead."""

    @abstractmethod
    def update_join(
        self, table: str, source: str, on: str, assignments: Mapping[str, str], target_first: bool = False
    ) -> str:
        """Return an UPDATE of the rows ``target`` of *table* that match a row ``source`` of *source*.

        :param source: a table or a derived table; each target row must match at most one of its rows.
        :param on: condition over ``target`` and ``source``.
        :param assignments: expression by column. It may use ``source``; of ``target`` only columns not assigned
            before it, because MySQL assigns from left to right.
        :param target_first: the targets are found without the source, and no index finds them by it.
        """

    @abstractmethod
    def delete_join(self, table: str, source: str, on: str, key: Sequence[str] = ()) -> str:
        """Return a DELETE of the rows ``target`` of *table* that match a row ``source`` of *source*.

        :param key: the table's primary key; may be left out for the tables of ``model.TABLES``.
        """

    @abstractmethod
    def beyond(self, columns: Sequence[str], values: Sequence[str]) -> str:
        """Return the condition that *columns* sort after *values* (SQL expressions), in a form an index serves."""

    @abstractmethod
    def day(self, column: str) -> str:
        """Return the day of a date column as text, ``YYYY-MM-DD``."""

    @abstractmethod
    def concat(self, *parts: str) -> str:
        """Return the concatenation of text expressions."""

    @abstractmethod
    def characters(self, expression: str) -> str:
        """Return the length of a text in characters."""

    def short(self, text: str) -> str:
        """Return what stands for a text in a list, of which the engine makes an index for itself."""
        return text

    @abstractmethod
    def like(self, column: str, pattern: str) -> str:
        """Return the condition that a text is like a pattern (SQL expressions) of ``pattern``; exact case."""

    def pattern(self, text: str) -> str:
        """Return a pattern (``%``, ``_``, backslash escapes, and stands before some character) as ``like`` takes it."""
        return text

    @abstractmethod
    def empty(self, tables: Iterable[str], numbered: Iterable[str]) -> list[str]:
        """Return statements that empty *tables*, whatever refers to what, and begin identifiers at 1 again.

        :param numbered: those of them whose engine gives out identifiers, see ``numbered``.
        """


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({_names(columns)}) VALUES ({_names(f':{c}' for c in columns)})"


_LIKE = re.compile(r"\\.|.", re.DOTALL)
_GLOB = {"%": "*", "_": "?"}
_GLOB_ITSELF = {sign: f"[{sign}]" for sign in "*?["}


class SQLite(Dialect):
    """SQLite 3.37 and later. The whole file is locked by a writer: row locks say nothing."""

    name = "sqlite"
    for_update = ""
    cluster_lock = ""
    straight_join = "CROSS JOIN"
    by_key = ""
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
        extracted = _names(f"json_extract(value, '$[{i}]') AS {column}" for i, column in enumerate(columns))
        return f"(SELECT key AS position, {extracted} FROM json_each(:{parameter}))"

    def insert_new(self, table: str, columns: Sequence[str], select: str, key: Sequence[str]) -> str:
        """Return ``ON CONFLICT DO NOTHING``; the WHERE keeps the parser from reading ON as a join's."""
        names = _names(columns)
        return (
            f"INSERT INTO {table} ({names}) SELECT * FROM ({select}) AS source WHERE true"
            f" ON CONFLICT ({_names(key)}) DO NOTHING"
        )

    def insert_new_rows(self, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
        """Return ``ON CONFLICT DO NOTHING``."""
        return f"{_insert(table, columns)} ON CONFLICT ({_names(key)}) DO NOTHING"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], update: Sequence[str]) -> str:
        """Return ``ON CONFLICT DO UPDATE``."""
        assigned = _names(f"{c} = excluded.{c}" for c in update)
        return f"{_insert(table, columns)} ON CONFLICT ({_names(key)}) DO UPDATE SET {assigned}"

    def update_join(
        self, table: str, source: str, on: str, assignments: Mapping[str, str], target_first: bool = False
    ) -> str:
        """Return ``UPDATE … FROM``.

        The LIMIT, which limits nothing, has the source made first: else the planner may read all of it again for every
        row of the table.
        """
        assigned = _names(f"{column} = {expression}" for column, expression in assignments.items())
        return f"UPDATE {table} AS target SET {assigned} FROM (SELECT * FROM {source} LIMIT -1) AS source WHERE {on}"

    def delete_join(self, table: str, source: str, on: str, key: Sequence[str] = ()) -> str:
        """Return a DELETE by key: a correlated EXISTS would read the source once for every row of the table."""
        names = key or model.TABLES[table].key
        selected = _names(f"target.{name}" for name in names)
        return (
            f"DELETE FROM {table} WHERE ({_names(names)}) IN"
            f" (SELECT {selected} FROM {source} AS source CROSS JOIN {table} AS target ON {on})"
        )

    def beyond(self, columns: Sequence[str], values: Sequence[str]) -> str:
        """Return a comparison of row values."""
        return f"({_names(columns)}) > ({_names(values)})"

    def day(self, column: str) -> str:
        """Dates are text here."""
        return f"substr({column}, 1, 10)"

    def concat(self, *parts: str) -> str:
        """Return the parts with ``||``."""
        return "(" + " || ".join(parts) + ")"

    def characters(self, expression: str) -> str:
        """Return ``length``, which counts characters of text."""
        return f"length({expression})"

    def like(self, column: str, pattern: str) -> str:
        """Return GLOB: here LIKE takes upper and lower case for the same, and no index serves it."""
        return f"{column} GLOB {pattern}"

    def pattern(self, text: str) -> str:
        """Return the pattern in GLOB's signs, of which those that stand for themselves are in brackets."""
        return _LIKE.sub(lambda found: _GLOB.get(found[0]) or _GLOB_ITSELF.get(found[0][-1], found[0][-1]), text)

    def empty(self, tables: Iterable[str], numbered: Iterable[str]) -> list[str]:
        """Return DELETEs; foreign keys are looked at when the transaction ends."""
        deletes = [f"DELETE FROM {table}" for table in tables]
        return ["PRAGMA defer_foreign_keys = ON", *deletes, "DELETE FROM sqlite_sequence"]


class MySQL(Dialect):
    """MariaDB 10.6 and later."""

    name = "mysql"
    for_update = " FOR UPDATE"
    cluster_lock = ""
    straight_join = "STRAIGHT_JOIN"
    # a small table would be scanned, and every row that is read is locked
    by_key = " FORCE INDEX (PRIMARY)"
    tables = "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
    numbered = (
        "SELECT TABLE_NAME AS name FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = DATABASE() AND EXTRA = 'auto_increment'"
    )
    columns = (
        "SELECT TABLE_NAME AS table_name, COLUMN_NAME AS column_name FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = DATABASE()"
    )
    # NO PAD and binary: texts that differ in case, accents or trailing spaces differ
    collation: ClassVar[str] = "utf8mb4_nopad_bin"

    def _type(self, kind: PackedKind) -> str:
        # JSON_TABLE cuts what is longer than its VARCHAR without a word; LONGTEXT costs no more. Without a character
        # set it takes the database's default, and turns what that lacks into question marks
        text = f"LONGTEXT CHARACTER SET utf8mb4 COLLATE {self.collation}"
        return {"int": "BIGINT", "float": "DOUBLE", "text": text}[kind]

    def array(self, parameter: str, kind: PackedKind = "text") -> str:
        """Return ``JSON_TABLE``; its ordinality begins at 1."""
        return (
            f"(SELECT position - 1 AS position, value FROM JSON_TABLE(:{parameter}, '$[*]' COLUMNS"
            f" (position FOR ORDINALITY, value {self._type(kind)} PATH '$' ERROR ON ERROR)) AS packed)"
        )

    def records(self, parameter: str, **columns: PackedKind) -> str:
        """Return ``JSON_TABLE`` with one path a column."""
        typed = _names(
            f"{column} {self._type(kind)} PATH '$[{i}]' ERROR ON ERROR"
            for i, (column, kind) in enumerate(columns.items())
        )
        return (
            f"(SELECT position - 1 AS position, {_names(columns)} FROM JSON_TABLE(:{parameter}, '$[*]' COLUMNS"
            f" (position FOR ORDINALITY, {typed})) AS packed)"
        )

    def insert_new(self, table: str, columns: Sequence[str], select: str, key: Sequence[str]) -> str:
        """Return an update to the same value: INSERT IGNORE would also hide other errors."""
        names = _names(columns)
        same = f"{table}.{key[0]} = {table}.{key[0]}"
        return f"INSERT INTO {table} ({names}) SELECT * FROM ({select}) AS source ON DUPLICATE KEY UPDATE {same}"

    def insert_new_rows(self, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
        """Return an update to the same value; INSERT … VALUES takes no more identifiers than it has rows."""
        return f"{_insert(table, columns)} ON DUPLICATE KEY UPDATE {key[0]} = {table}.{key[0]}"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], update: Sequence[str]) -> str:
        """Return ``ON DUPLICATE KEY UPDATE``, which looks at every unique key of the table."""
        assigned = _names(f"{c} = VALUES({c})" for c in update)
        return f"{_insert(table, columns)} ON DUPLICATE KEY UPDATE {assigned}"

    def update_join(
        self, table: str, source: str, on: str, assignments: Mapping[str, str], target_first: bool = False
    ) -> str:
        """Return ``UPDATE … JOIN`` with the order in which the two are read."""
        assigned = _names(f"target.{column} = {expression}" for column, expression in assignments.items())
        joined = [f"{source} AS source", f"{table} AS target"]
        if target_first:
            joined.reverse()
        return f"UPDATE {' STRAIGHT_JOIN '.join(joined)} ON {on} SET {assigned}"

    def delete_join(self, table: str, source: str, on: str, key: Sequence[str] = ()) -> str:
        """Return ``DELETE … JOIN``, the source read first."""
        return f"DELETE target FROM {source} AS source STRAIGHT_JOIN {table} AS target ON {on}"

    def beyond(self, columns: Sequence[str], values: Sequence[str]) -> str:
        """Return ranges joined by OR: an index serves those, but not a comparison of row values."""
        ranges = []
        for i, column in enumerate(columns):
            equal = [f"{c} = {v}" for c, v in zip(columns[:i], values, strict=False)]
            ranges.append(" AND ".join([*equal, f"{column} > {values[i]}"]))
        return "(" + " OR ".join(f"({r})" for r in ranges) + ")"

    def day(self, column: str) -> str:
        """Return the first ten characters of the date's text."""
        return f"LEFT(CAST({column} AS CHAR), 10)"

    def concat(self, *parts: str) -> str:
        """Return ``CONCAT``."""
        return f"CONCAT({_names(parts)})"

    def characters(self, expression: str) -> str:
        """Return ``CHAR_LENGTH``; ``LENGTH`` counts bytes."""
        return f"CHAR_LENGTH({expression})"

    def short(self, text: str) -> str:
        """Return a hash: lists of LONGTEXT are read anew for every row."""
        return f"SHA1({text})"

    def like(self, column: str, pattern: str) -> str:
        """Return ``LIKE``; the collation of the columns is exact, and backslash escapes by default."""
        return f"{column} LIKE {pattern}"

    def empty(self, tables: Iterable[str], numbered: Iterable[str]) -> list[str]:
        """Return DELETEs, then ALTERs, which end the transaction. TRUNCATE makes a new file for each table: slow."""
        deletes = [f"DELETE FROM {table}" for table in tables]
        restarts = [f"ALTER TABLE {table} AUTO_INCREMENT = 1" for table in numbered]
        return ["SET foreign_key_checks = 0", *deletes, "SET foreign_key_checks = 1", *restarts]


class Galera(MySQL):
    """A MariaDB Galera cluster, where a row lock is known to its own node only."""

    cluster_lock = (
        f"INSERT INTO ClusterClaims (Name, Turn) SELECT value, 1 FROM {MySQL().array('names')} AS named"
        " ON DUPLICATE KEY UPDATE Turn = ClusterClaims.Turn + 1"
    )


class MySQL8(MySQL):
    """Where MySQL 8.0 differs from MariaDB. Written by reading: there was no server to try it on."""

    collation = "utf8mb4_0900_bin"

    def ddl(self, statement: str) -> str:
        """Name MySQL's own NO PAD binary collation."""
        return statement.replace(MySQL.collation, self.collation)


SQLITE = SQLite()
MYSQL = MySQL()
GALERA = Galera()
MYSQL8 = MySQL8()
