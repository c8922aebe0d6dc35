"""The rows of a long query, a batch a hop to a thread, on a connection that is opened for it."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from ..base import Batch, Select
from .threads import STEPS_BETWEEN_LOOKS, SqliteTransaction, Watch, drive, end, meant

T = TypeVar("T")
H = TypeVar("H")

CACHE = 2048
"""KiB of pages that the connection of a stream keeps: it reads most of them once."""


class HeldSource:
    """The source of one stream of a database in memory: its rows, read at once.

    :param read: runs a body as a transaction that only reads.
    """

    def __init__(self, read: Callable[[Callable[[SqliteTransaction], Awaitable[Any]]], Awaitable[Any]]) -> None:
        self.sql = ""
        self._read = read
        self._rows: Iterator[tuple[Any, ...]] = iter(())

    async def start(
        self, open: Callable[[SqliteTransaction], Awaitable[tuple[H, Select]]], size: int
    ) -> tuple[H, Batch]:
        """Read everything; see ``streams.Source``."""

        async def body(tx: SqliteTransaction) -> tuple[H, Batch]:
            head, query = await open(tx)
            self.sql = query.sql
            return head, tx.rows(query.sql, query.parameters)

        head: H
        head, rows = await self._read(body)
        self._rows = iter(rows)
        return head, await self.fetch(size)

    async def fetch(self, size: int) -> Batch:
        """Return the next rows; see ``streams.Source``."""
        return list(islice(self._rows, size))

    async def close(self, *, whole: bool) -> None:
        """Forget the rows."""
        self._rows = iter(())


class SqliteSource:
    """The source of one stream (``streams.Source``).

    :param connect: opens a connection that only reads, in a thread.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], watch: Watch, threads: ThreadPoolExecutor, name: str
    ) -> None:
        self.sql = ""
        self._connect = connect
        self._watch = watch
        self._threads = threads
        self._name = name
        self._hop: asyncio.Future[Any] | None = None
        self._connection: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None

    async def start(
        self, open: Callable[[SqliteTransaction], Awaitable[tuple[H, Select]]], size: int
    ) -> tuple[H, Batch]:
        """Begin the transaction; see ``streams.Source``."""
        return await self._run(lambda: self._start(open, size))

    async def fetch(self, size: int) -> Batch:
        """Return the next rows; see ``streams.Source``."""
        return await self._run(lambda: self._fetch(size))

    async def close(self, *, whole: bool) -> None:
        """Let a hop that is at work end, then close the connection."""
        self._watch.stop()
        if self._hop is not None:
            await asyncio.wait([self._hop])
        if self._connection is not None:
            await self._run(self._close)

    async def _run(self, function: Callable[[], T]) -> T:
        self._hop = asyncio.get_running_loop().run_in_executor(self._threads, function)
        # a thread cannot be cancelled: ``close`` waits for it
        return await asyncio.shield(self._hop)

    def _start(self, open: Callable[[SqliteTransaction], Awaitable[tuple[H, Select]]], size: int) -> tuple[H, Batch]:
        self._connection = connection = self._connect()
        connection.execute(f"PRAGMA cache_size = -{CACHE}")
        # large sorts go to a file, not to memory
        connection.execute("PRAGMA temp_store = FILE")
        connection.set_progress_handler(self._watch.late, STEPS_BETWEEN_LOOKS)
        connection.execute("BEGIN")
        try:
            head, query = drive(self._name, open(SqliteTransaction(connection, self._name, self._watch)))
        except sqlite3.OperationalError as error:
            if (meaning := meant(self._name, error)) is not error:
                raise meaning from error
            raise
        self.sql = query.sql
        self._watch.begin()
        self._cursor = connection.execute(query.sql, query.parameters)
        return head, self._fetch(size)

    def _fetch(self, size: int) -> Batch:
        assert self._cursor is not None
        self._watch.begin()
        return self._cursor.fetchmany(size)

    def _close(self) -> None:
        assert self._connection is not None
        if self._cursor is not None:
            self._cursor.close()
        end(self._connection, "ROLLBACK")
        self._connection.close()
