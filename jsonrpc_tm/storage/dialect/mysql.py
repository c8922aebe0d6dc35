"""The SQL of MariaDB, its clusters, and MySQL. Facts measured on MariaDB 10.11."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

from ...core.model import TABLES, ColumnKind
from .base import Dialect, PackedKind, insert, listed

_LAST = chr(sys.maxunicode)
_SIGN = re.compile(r"\\.|.", re.DOTALL)


def _json(sql: str, kind: ColumnKind) -> str:
    if kind == "text":
        # the collation is that of JSON_QUOTE, and not the one of a session
        return f"COALESCE(JSON_QUOTE({sql}), 'null' COLLATE utf8mb4_bin)"
    # a sixth of a row's time is saved where dates are quoted so
    return f"COALESCE(CONCAT('\"', {sql}, '\"'), 'null')" if kind == "date" else f"COALESCE({sql}, 'null')"


def _after(begin: str) -> str:
    """Return the least text after all that begin so, in the order of code points; nothing where there is none."""
    kept = begin.rstrip(_LAST)
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # there are no characters between


class MySQL(Dialect):
    """MariaDB 10.6 and later."""

    name = "mysql"
    for_update = " FOR UPDATE"
    for_update_now = " FOR UPDATE NOWAIT"
    skip_locked = " FOR UPDATE SKIP LOCKED"
    for_share = " LOCK IN SHARE MODE"
    connection = "CONNECTION_ID()"
    serial = "Serial"
    last_revision = "SELECT Revision FROM EventHead WHERE Name = 'events'"
    claim = (
        "INSERT INTO ClusterClaims (Name, Turn) VALUES (:name, 1) ON DUPLICATE KEY UPDATE Turn = ClusterClaims.Turn + 1"
    )
    cluster_lock = ""
    straight_join = "STRAIGHT_JOIN"
    # a small table would be scanned, and every row that is read is locked
    by_key = " FORCE INDEX (PRIMARY)"
    # literals: of what is packed MariaDB makes a table first. Two events took it 127 µs so, and 27 as literals, ten
    # rows 167, and 67; but each row costs Python some 4 µs then
    few = 100
    # an UPDATE of ten files takes 230 µs of the database so, and 360 to 650 joined to a packed list
    keys = 100
    # never: a statement costs a round trip, and locks are taken in one order
    apart = sys.maxsize
    by_status = " FORCE INDEX (TransformationTasks_Status)"
    # expecting few other files, the planner joins them to all that are left and sorts these, for each piece of a list:
    # 100,000 files took 690 ms so, and 200
    by_file = " FORCE INDEX (TransformationFiles_File)"
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
        # JSON_TABLE cuts what is longer than its VARCHAR without saying so: a column of 255 refuses what is cut to 256.
        # An UPDATE of joined tables puts its values into a table first, which is on disk where one of them is a
        # LONGTEXT: 405 µs for ten rows, and 145. Without a character set JSON_TABLE takes the database's default, and
        # turns what that lacks into question marks
        if kind in ("text", "word"):
            size = "LONGTEXT" if kind == "text" else "VARCHAR(256)"
            return f"{size} CHARACTER SET utf8mb4 COLLATE {self.collation}"
        return {"int": "BIGINT", "float": "DOUBLE"}[kind]

    def array(self, parameter: str, kind: PackedKind = "text") -> str:
        """Return ``JSON_TABLE``; its ordinality begins at 1."""
        return (
            f"(SELECT position - 1 AS position, value FROM JSON_TABLE(:{parameter}, '$[*]' COLUMNS"
            f" (position FOR ORDINALITY, value {self._type(kind)} PATH '$' ERROR ON ERROR)) AS packed)"
        )

    def records(self, parameter: str, **columns: PackedKind) -> str:
        """Return ``JSON_TABLE`` with one path a column."""
        typed = listed(
            f"{column} {self._type(kind)} PATH '$[{i}]' ERROR ON ERROR"
            for i, (column, kind) in enumerate(columns.items())
        )
        return (
            f"(SELECT position - 1 AS position, {listed(columns)} FROM JSON_TABLE(:{parameter}, '$[*]' COLUMNS"
            f" (position FOR ORDINALITY, {typed})) AS packed)"
        )

    def insert_new(self, table: str, columns: Sequence[str], select: str, key: Sequence[str]) -> str:
        """Return an update to the same value: INSERT IGNORE would also hide other errors."""
        names = listed(columns)
        same = f"{table}.{key[0]} = {table}.{key[0]}"
        return f"INSERT INTO {table} ({names}) SELECT * FROM ({select}) AS source ON DUPLICATE KEY UPDATE {same}"

    def insert_new_rows(self, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
        """Return an update to the same value; INSERT … VALUES takes no more identifiers than it has rows."""
        return f"{insert(table, columns)} ON DUPLICATE KEY UPDATE {key[0]} = {table}.{key[0]}"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], update: Sequence[str]) -> str:
        """Return ``ON DUPLICATE KEY UPDATE``, which looks at every unique key of the table."""
        assigned = listed(f"{c} = VALUES({c})" for c in update)
        return f"{insert(table, columns)} ON DUPLICATE KEY UPDATE {assigned}"

    def adding(self, table: str, key: Sequence[str], number: str) -> str:
        """Return ``ON DUPLICATE KEY UPDATE``."""
        return f" ON DUPLICATE KEY UPDATE {number} = {table}.{number} + VALUES({number})"

    def joined(self, table: str, source: str, target_first: bool = False, by_key: bool = False) -> str:
        """Return a ``STRAIGHT_JOIN``, whose order is kept."""
        sources = [f"{source} AS source"] if source else []
        tables = [*sources, f"{table} AS target{self.by_key if by_key else ''}"]
        return " STRAIGHT_JOIN ".join(reversed(tables) if target_first else tables)

    def update_join(
        self,
        table: str,
        source: str,
        on: str,
        assignments: Mapping[str, str],
        target_first: bool = False,
        by_key: bool = False,
    ) -> str:
        """Return ``UPDATE … JOIN`` with the order in which the two are read."""
        assigned = listed(f"target.{column} = {expression}" for column, expression in assignments.items())
        return f"UPDATE {self.joined(table, source, target_first, by_key)} SET {assigned} WHERE {on}"

    def delete_join(self, table: str, source: str, on: str, key: Sequence[str] = ()) -> str:
        """Return ``DELETE … JOIN``, the source read first."""
        return f"DELETE target FROM {source} AS source STRAIGHT_JOIN {table} AS target ON {on}"

    def delete_unreferred(self, table: str, parameter: str) -> str:
        """Return ``DELETE IGNORE``: the engine looks for references anyway, and a NOT EXISTS takes as long again."""
        (key,) = TABLES[table].key
        on = f"target.{key} = source.value"
        return self.delete_join(table, self.array(parameter, "int"), on).replace("DELETE", "DELETE IGNORE", 1)

    def steps(self, column: str, source: str, where: str, fixed: Sequence[str]) -> str:
        """From group to group; MIN in a recursion reads all rows behind: 500 ms of 8,000 tasks where this takes 5."""
        return (
            f"SELECT {column} AS value FROM {source} WHERE {where} AND {column} IS NOT NULL"
            f" GROUP BY {', '.join([*fixed, column])}"
        )

    def packed(self, column: str) -> str:
        """Return ``JSON_ARRAYAGG``; MariaDB cuts it at ``group_concat_max_len``, which sessions have large."""
        return f"NULLIF(JSON_ARRAYAGG({column}), '[]')"

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
        return f"CONCAT({listed(parts)})"

    def json_object(self, members: Mapping[str, tuple[str, ColumnKind]]) -> str:
        """Return the parts with CONCAT: JSON_OBJECT takes twice as long, puts spaces between them or sorts them."""
        parts: list[str] = []
        for name, member in members.items():
            before = "," if parts else "{"
            parts += [f"'{before}\"{name}\":'", _json(*member)]
        return self.concat(*parts, "'}'")

    def json_array(self, members: Sequence[tuple[str, ColumnKind]]) -> str:
        """Return the parts with CONCAT: 100,000 rows of ten values are read in a quarter of the time so."""
        parts = [part for member in members for part in ("','", _json(*member))]
        return self.concat("'['", *parts[1:], "']'")

    def characters(self, expression: str) -> str:
        """Return ``CHAR_LENGTH``; ``LENGTH`` counts bytes."""
        return f"CHAR_LENGTH({expression})"

    def short(self, text: str) -> str:
        """Return a hash: lists of LONGTEXT are read anew for every row."""
        return f"SHA1({text})"

    def like(self, column: str, pattern: str, bind: Callable[[str], str]) -> str:
        """Return ``LIKE``; the collation of the columns is exact, and backslash escapes by default.

        The part of an index that MariaDB reads for it ends at U+FFFF after what the pattern begins with, and characters
        come after that: so the part is given here, and the column hidden from LIKE.
        """
        begin = ""
        for sign in _SIGN.finditer(pattern):
            if sign[0] in "%_":
                break
            begin += sign[0][-1]
        if not begin:
            return f"{column} LIKE {bind(pattern)}"
        end = _after(begin)
        below = f" AND {column} < {bind(end)}" if end else ""
        return f"({column} >= {bind(begin)}{below} AND CONCAT({column}, '') LIKE {bind(pattern)})"

    def empty(self, tables: Iterable[str], numbered: Iterable[str]) -> list[str]:
        """Return DELETEs, then ALTERs, which end the transaction. TRUNCATE makes a new file for each table: slow."""
        deletes = [f"DELETE FROM {table}" for table in tables]
        restarts = [f"ALTER TABLE {table} AUTO_INCREMENT = 1" for table in numbered]
        return ["SET foreign_key_checks = 0", *deletes, "SET foreign_key_checks = 1", *restarts]


class Galera(MySQL):
    """A MariaDB Galera cluster, where a row lock is known to its own node only."""

    # those on other nodes are excluded by ``cluster_lock``, which knows no shares
    for_share = MySQL.for_update
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


MYSQL = MySQL()
GALERA = Galera()
MYSQL8 = MySQL8()
