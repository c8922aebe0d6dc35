"""The pieces of SQL that engines spell differently, by name.

Facts measured on SQLite 3.40 and MariaDB 10.11. Parameters are named (``:name``) on both.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import orjson

from ...core.model import ColumnKind

PackedKind = Literal["int", "float", "text", "word"]
"""Kind of a packed value. A word is a text for a column of 255 characters at most, which would refuse a longer one:
what it is compared with, or stored into."""


class Dialect(ABC):
    """What both engines spell the same; each of them fills in the rest."""

    name: ClassVar[str]
    for_update: ClassVar[str]
    for_update_now: ClassVar[str]
    """The same without waiting: an error where another transaction holds the row."""
    skip_locked: ClassVar[str]
    """What locks the rows of a query but those that others have locked, which it leaves out."""
    for_share: ClassVar[str]
    """What holds a row that others may hold too, but nobody change. Who has it must not ask for more."""
    connection: ClassVar[str]
    """A number that no other connection has at the same time."""
    serial: ClassVar[str]
    """The column of Events that has a number as soon as a row is written; ``Revision`` where this is it."""
    last_revision: ClassVar[str]
    """Query: the last revision of Events, also when the row has been deleted."""
    straight_join: ClassVar[str]
    by_key: ClassVar[str]
    """What follows a table that is joined by its primary key and locked: no other row may be locked on the way."""
    few: ClassVar[int]
    """So many rows at the most are inserted one by one, and not packed."""
    keys: ClassVar[int]
    """So many keys at the most stand in an UPDATE by themselves, and are not packed."""
    apart: ClassVar[int]
    """Rows that get the same may be written by a statement of their own where each statement has so many."""
    by_status: ClassVar[str]
    """What follows TransformationTasks where tasks with a status are read in the order of their numbers, so that no
    others are read, and locked, on the way."""
    by_file: ClassVar[str]
    """What follows TransformationFiles where it is asked, file by file, who else has the file."""
    tables: ClassVar[str]
    """Query: the tables of the database, as ``name``."""
    numbered: ClassVar[str]
    """Query: those that gave out identifiers, as ``name``."""
    claim: ClassVar[str]
    """Statement that takes the name ``:name``, see ``storage.base.one_at_a_time``; empty where writers are alone."""
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
    def adding(self, table: str, key: Sequence[str], number: str) -> str:
        """Return the end of an INSERT that, where *key* is there, adds *number* to the row's own."""

    def add_up(self, table: str, columns: Sequence[str], select: str, key: Sequence[str], number: str) -> str:
        """Return an INSERT of *select*'s rows; where *key* is there, *number* is added to the row's own."""
        tail = self.adding(table, key, number)
        # the WHERE keeps SQLite's parser from reading ON as a join's
        return f"INSERT INTO {table} ({listed(columns)}) SELECT * FROM ({select}) AS source WHERE true{tail}"

    @abstractmethod
    def joined(self, table: str, source: str, target_first: bool = False, by_key: bool = False) -> str:
        """Return the FROM of a join as ``update_join`` makes it, up to its ON."""

    @abstractmethod
    def update_join(
        self,
        table: str,
        source: str,
        on: str,
        assignments: Mapping[str, str],
        target_first: bool = False,
        by_key: bool = False,
    ) -> str:
        """Return an UPDATE of the rows ``target`` of *table* that match a row ``source`` of *source*.

        :param source: a table or a derived table; each target row must match at most one of its rows. Empty for none.
        :param on: condition over ``target`` and ``source``.
        :param assignments: expression by column. It may use ``source``; of ``target`` only columns not assigned
            before it, because MySQL assigns from left to right.
        :param target_first: the targets are found without the source, and no index finds them by it.
        :param by_key: *on* has the whole primary key of *table*: no other row is read, and locked, on the way.
        """

    @abstractmethod
    def delete_join(self, table: str, source: str, on: str, key: Sequence[str] = ()) -> str:
        """Return a DELETE of the rows ``target`` of *table* that match a row ``source`` of *source*.

        :param key: the table's primary key; may be left out for the tables of ``model.TABLES``.
        """

    @abstractmethod
    def delete_unreferred(self, table: str, parameter: str) -> str:
        """Return a DELETE of rows by a packed list of keys (integers) that leaves alone what others begin to refer to.

        Nobody whom this transaction sees refers to them.
        """

    @abstractmethod
    def steps(self, column: str, source: str, where: str, fixed: Sequence[str]) -> str:
        """Return a query of the different values of a column as ``value``, read from one to the next in an index.

        The index has *fixed*, then the column; what it costs depends on the values, not on the rows.

        :param source: table and alias.
        :param where: holds for one value of each of the columns *fixed*.
        """

    @abstractmethod
    def packed(self, column: str) -> str:
        """Return a column of integers as the packed list that ``array`` takes, an aggregate; null without rows."""

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
    def json_object(self, members: Mapping[str, tuple[str, ColumnKind]]) -> str:
        """Return the JSON text of an object, without spaces, as an SQL expression.

        :param members: by name, which is a plain word: an SQL expression, and what it is: a whole number, a text, or a
            date, which has no sign that JSON escapes. Each may be null. Together they fit in a packet, six times.
        """

    @abstractmethod
    def json_array(self, members: Sequence[tuple[str, ColumnKind]]) -> str:
        """Return the JSON text of an array as an SQL expression: a driver reads it faster than its members.

        :param members: without their names, see ``json_object``.
        """

    @abstractmethod
    def characters(self, expression: str) -> str:
        """Return the length of a text in characters."""

    def short(self, text: str) -> str:
        """Return what stands for a text in a list, of which the engine makes an index for itself."""
        return text

    @abstractmethod
    def like(self, column: str, pattern: str, bind: Callable[[str], str]) -> str:
        """Return the condition that a text is like a pattern; exact case.

        :param pattern: ``%``, ``_``; a backslash stands before some character, which it escapes.
        :param bind: makes a parameter of a text, and returns it as it stands in a statement.
        """

    @abstractmethod
    def empty(self, tables: Iterable[str], numbered: Iterable[str]) -> list[str]:
        """Return statements that empty *tables*, whatever refers to what, and begin identifiers at 1 again.

        :param numbered: those of them whose engine gives out identifiers, see ``numbered``.
        """


def listed(names: Iterable[str]) -> str:
    """Return names with commas between them."""
    return ", ".join(names)


def insert(table: str, columns: Sequence[str]) -> str:
    """Return an INSERT of one row, parameters named like the columns."""
    return f"INSERT INTO {table} ({listed(columns)}) VALUES ({listed(f':{c}' for c in columns)})"
