"""The floor of a database: ``sqlite3`` or PyMySQL doing the same statements without a server."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pymysql
import pymysql.cursors

from jsonrpc_tm.storage.dialect import MYSQL, SQLITE
from jsonrpc_tm.storage.migrate import full_schema
from jsonrpc_tm.storage.urls import server_url

NOW = "2026-01-01 00:00:00"
PART = 1000
"""Rows of a statement."""


class Database:
    """A connection, as durable as the server's; statements are written as for ``sqlite3``.

    :param url: as in ``storage.url``; the path of SQLite is absolute.
    :param blank: make the tables first.
    """

    def __init__(self, url: str, blank: bool = False) -> None:
        self.sqlite = url.startswith("sqlite:")
        if self.sqlite:
            connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            self._cursor: Any = connection.cursor()
        else:
            server = server_url(url)
            host, port = server.hosts[0]
            connection = pymysql.connect(
                host=host,
                port=port,
                user=server.user,
                password=server.password,
                database=server.database,
                autocommit=True,
                local_infile=True,
            )
            self._cursor = connection.cursor()
        self.connection = connection
        if blank:
            for statement in full_schema(SQLITE if self.sqlite else MYSQL).statements:
                self._cursor.execute(statement)
        # the server's tables refer to each other, too, but these rows have no parents
        self._cursor.execute("PRAGMA foreign_keys = OFF" if self.sqlite else "SET foreign_key_checks = 0")

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """Run a statement and return its rows."""
        self._cursor.execute(sql if self.sqlite else sql.replace("?", "%s"), parameters)
        return self._cursor.fetchall()

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row."""
        self._cursor.executemany(sql if self.sqlite else sql.replace("?", "%s"), rows)

    def insert(self, into: str, rows: Sequence[Sequence[Any]], more: str = "") -> None:
        """Insert rows; PyMySQL sends many in a statement, as all values are parameters.

        :param into: table and columns.
        :param more: what follows the values.
        """
        self.many(f"INSERT INTO {into} VALUES ({', '.join('?' * len(rows[0]))}) {more}", rows)

    def among(self, sql: str, values: Sequence[Any], first: Sequence[Any] = ()) -> list[Sequence[Any]]:
        """Run a statement that ends in ``IN {}`` for some values at a time, and return all rows.

        :param first: parameters before the values.
        """
        found: list[Sequence[Any]] = []
        for start in range(0, len(values), PART):
            part = values[start : start + PART]
            found += self.run(sql.format(f"({', '.join('?' * len(part))})"), [*first, *part])
        return found

    def row(self, sql: str) -> dict[str, Any]:
        """Return the only row of a SELECT, by column."""
        row = self.run(sql)[0]
        return {column[0]: value for column, value in zip(self._cursor.description, row, strict=True)}

    def count(self, rows: Sequence[tuple[int, str, str, int]]) -> None:
        """Add to counters: transformation, kind, status, number."""
        adding = (
            "CONFLICT DO UPDATE SET N = N + excluded.N" if self.sqlite else "DUPLICATE KEY UPDATE N = N + VALUES(N)"
        )
        self.insert("StatusDeltas", [(*names, 0, 0, number) for *names, number in rows], f"ON {adding}")

    def tell(self, text: str) -> None:
        """Write an event, as every change does."""
        self.run("INSERT INTO Events (Time, Type, Data, Author, RequestID) VALUES (?, 't', ?, '', '')", (NOW, text))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is run inside at once."""
        self.run("BEGIN IMMEDIATE" if self.sqlite else "BEGIN")
        yield
        self.run("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
