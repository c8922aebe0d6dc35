"""SQLite's threads: one that writes, many waiting writes sharing one commit, and a few that read.

The hop to a thread is the cost, not SQLite: a whole transaction goes in one hop, and its body, whose verbs never
suspend, is driven to its end there.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from ...core.errors import StorageUnavailable
from .. import keys
from ..base import Batch, CallKey, Parameters, Row
from ..dialect import SQLITE, Dialect

logger = logging.getLogger(__name__)
T = TypeVar("T")

GROUP_SECONDS = 0.02
"""How long a group of writes takes in new members before it commits."""
GROUP_SIZE = 1000
STEPS_BETWEEN_LOOKS = 1_000_000
"""Steps of SQLite's machine, some tens of milliseconds, between looks at the clock."""


class Interrupted(Exception):
    """The group of a transaction was lost through no fault of its own: run it again."""


class Watch:
    """Times the statements of one connection, and ends one that takes too long, or whose reader has gone.

    :param report: called with transaction, SQL and seconds of every statement.
    :param limit: seconds that one statement may take.
    """

    def __init__(self, report: Callable[[str, str, float], None], limit: float) -> None:
        self._report = report
        self._limit = limit
        self._begin = 0.0
        self.reader: asyncio.Future[Any] | None = None
        """Who waits for what is read; None while something is written, which goes on to its end."""

    def begin(self) -> None:
        """A statement begins."""
        self._begin = time.perf_counter()

    def end(self, name: str, sql: str) -> None:
        """It ended."""
        self._report(name, sql, time.perf_counter() - self._begin)

    def late(self) -> bool:
        """Whether the statement should end now; SQLite asks from time to time."""
        gone = self.reader is not None and self.reader.cancelled()
        return gone or time.perf_counter() - self._begin > self._limit

    def stop(self) -> None:
        """Let whatever statement runs end now; any thread may say so."""
        self._limit = -1.0


class SqliteTransaction:
    """The verbs on one connection. None of them ever suspends."""

    dialect: Dialect = SQLITE
    __slots__ = ("_connection", "_watch", "name")

    def __init__(self, connection: sqlite3.Connection, name: str, watch: Watch) -> None:
        self._connection = connection
        self._watch = watch
        self.name = name

    async def execute(self, sql: str, parameters: Parameters = {}) -> int:
        """Run a statement; return the number of rows it matched."""
        return max(self._run(sql, parameters)[0].rowcount, 0)

    async def executemany(self, sql: str, parameters: Sequence[Parameters]) -> int:
        """Run a statement once for each set of parameters; return the number of rows matched in all."""
        self._watch.begin()
        try:
            return max(self._connection.executemany(sql, parameters).rowcount, 0)
        finally:
            self._watch.end(self.name, sql)

    async def fetch_all(self, sql: str, parameters: Parameters = {}) -> list[Row]:
        """Return all rows."""
        cursor, rows = self._run(sql, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in rows]

    async def fetch_rows(self, sql: str, parameters: Parameters = {}) -> Batch:
        """Return all rows as tuples."""
        return self.rows(sql, parameters)

    async def fetch_one(self, sql: str, parameters: Parameters = {}) -> Row | None:
        """Return the first row, None without one."""
        cursor, rows = self._run(sql, parameters, most=1)
        if not rows:
            return None
        return {column[0]: value for column, value in zip(cursor.description, rows[0], strict=True)}

    async def fetch_value(self, sql: str, parameters: Parameters = {}) -> Any:
        """Return the first column of the first row, None without a row."""
        rows = self._run(sql, parameters, most=1)[1]
        return rows[0][0] if rows else None

    async def fetch_column(self, sql: str, parameters: Parameters = {}) -> list[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in self.rows(sql, parameters)]

    async def insert(self, sql: str, parameters: Parameters = {}) -> int:
        """Run an INSERT of one row; return its identifier."""
        return self._run(sql, parameters)[0].lastrowid or 0

    async def insert_texts(
        self, table: str, column: str, texts: Sequence[str], others: Parameters, identifier: str
    ) -> list[int]:
        """Insert rows by one statement, whose identifiers are those beyond all others: nobody else writes.

        10,000 names take 8 ms of processor time so, 40 with ``executemany`` and looking each of them up again.
        """
        last = await self.fetch_value(f"SELECT MAX({identifier}) FROM {table}")
        given = ", ".join(["value", *(f":{name}" for name in others)])
        await self.execute(
            f"INSERT INTO {table} ({', '.join([column, *others])}) SELECT {given}"
            f" FROM {self.dialect.array('texts')} AS new ORDER BY position",
            {**others, "texts": self.dialect.pack(texts)},
        )
        sql = f"SELECT {identifier} FROM {table} WHERE {identifier} > :last ORDER BY {identifier}"
        return await self.fetch_column(sql, {"last": last or 0})

    async def soon(self, sql: str, parameters: Parameters | Sequence[Parameters] = {}) -> None:
        """Run a statement, now: there are no round trips here."""
        if isinstance(parameters, Mapping):
            self._run(sql, parameters)
        else:
            await self.executemany(sql, parameters)

    last = soon

    async def aside(self, size: int, function: Callable[..., T], *args: Any) -> T:
        """Call it here: this is a thread of its own."""
        return function(*args)

    async def claim(self, key: CallKey) -> str | None:
        """Claim a key. Nobody else writes meanwhile: none is ever in use."""
        row = await self.fetch_one(keys.FIND, {"name": key.name})
        if (result := keys.kept(row, key)) is None:
            await keys.take(self, key, there=row is not None)
        return result

    def rows(self, sql: str, parameters: Parameters) -> Batch:
        """Return all rows as tuples."""
        return self._run(sql, parameters)[1]

    def _run(self, sql: str, parameters: Parameters, most: int | None = None) -> tuple[sqlite3.Cursor, Batch]:
        """Run a statement; return what it says of itself, and rows."""
        self._watch.begin()
        cursor = self._connection.execute(sql, parameters)
        try:
            rows: Batch = []
            if cursor.description:
                rows = cursor.fetchall() if most is None else cursor.fetchmany(most)
            return cursor, rows
        finally:
            # a statement left half read would keep its lock
            cursor.close()
            self._watch.end(self.name, sql)


class Job:
    """One transaction on its way through a thread."""

    __slots__ = ("body", "error", "future", "name", "read", "result", "since")

    def __init__(
        self, name: str, body: Callable[[Any], Awaitable[Any]], future: asyncio.Future[Any], read: bool
    ) -> None:
        self.name = name
        self.body = body
        self.future = future
        self.read = read
        self.since = time.perf_counter()
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Tell the outcome; in the event loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        elif isinstance(self.error, Exception):
            self.future.set_exception(self.error)
        else:
            self.future.set_exception(RuntimeError(f"transaction {self.name} raised {type(self.error).__name__}"))


def drive(name: str, body: Awaitable[Any]) -> Any:
    """Run a body to its end, here and now.

    :raises RuntimeError: it waits for something that is not a verb of its transaction.
    """
    if not isinstance(body, Coroutine):
        raise TypeError(f"the body of transaction {name} is not an async function")
    try:
        body.send(None)
    except StopIteration as stop:
        return stop.value
    body.close()
    raise RuntimeError(f"the body of transaction {name} waits for something that is not a verb of its transaction")


def meant(name: str, error: BaseException) -> BaseException:
    """Return what an error of a transaction that only reads means: a write is a bug, not an outage."""
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
        return RuntimeError(f"transaction {name} was announced as only reading, and writes")
    return error


class Worker(threading.Thread, ABC):
    """A thread with a connection of its own.

    :param check: called before each transaction; raises when the database must not be used.
    """

    def __init__(
        self,
        name: str,
        connection: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop,
        check: Callable[[], None],
        watch: Watch,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.connection = connection
        self._loop = loop
        self._check = check
        self._watch = watch
        connection.set_progress_handler(watch.late, STEPS_BETWEEN_LOOKS)

    def run(self) -> None:
        """Work until there will be no more, then close the connection."""
        try:
            self._work()
        finally:
            self.connection.close()

    @abstractmethod
    def _work(self) -> None:
        """Do what there is to do, to the end."""

    def _drive(self, job: Job) -> None:
        self._watch.reader = job.future if job.read else None
        try:
            job.result = drive(job.name, job.body(SqliteTransaction(self.connection, job.name, self._watch)))
        except BaseException as error:
            job.error = meant(job.name, error) if job.read else error

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        """Have something called in the event loop."""
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            logger.warning("the event loop ended before transactions could answer")


def _settle(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.settle()


class Writer(Worker):
    """Runs writing transactions. Those that wait together share one commit, each in a savepoint of its own.

    :param jobs: what waits; None is the end.
    :param confirm: called after each commit; raises when nobody can tell whether it will last.
    """

    def __init__(self, *args: Any, jobs: "queue.SimpleQueue[Job | None]", confirm: Callable[[], None]) -> None:
        super().__init__(*args)
        self._jobs = jobs
        self._confirm = confirm

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._write(job)

    def _write(self, job: Job) -> None:
        group = [job]
        stop = self._gather(group)
        try:
            self._check()
            self.connection.execute("BEGIN IMMEDIATE")
            begin = time.perf_counter()
            done = 0
            while done < len(group):
                self._step(group[done])
                done += 1
                if done == len(group) < GROUP_SIZE and not stop and time.perf_counter() - begin < GROUP_SECONDS:
                    stop = self._gather(group)
            self._commit()
        except Exception as error:
            end(self.connection, "ROLLBACK")
            for member in group:
                # a member that failed by itself keeps its own reason
                member.error = member.error or error
        self._call(_settle, group)
        if stop:
            self._jobs.put(None)

    def _gather(self, group: list[Job]) -> bool:
        """Add the jobs that wait now; return whether the end of the queue was among them."""
        while len(group) < GROUP_SIZE:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return False
            if job is None:
                return True
            group.append(job)
        return False

    def _step(self, job: Job) -> None:
        if job.future.cancelled():
            return
        execute = self.connection.execute
        execute("SAVEPOINT job")
        if job.read:
            # only where readers and the writer share the one connection of a database in memory
            execute("PRAGMA query_only = ON")
        self._drive(job)
        if job.read:
            execute("PRAGMA query_only = OFF")
        if not self.connection.in_transaction:
            # disk full, I/O error: SQLite has rolled back the whole group
            raise Interrupted(f"{job.name} lost its group")
        if job.error is not None:
            execute("ROLLBACK TO job")
        execute("RELEASE job")

    def _commit(self) -> None:
        try:
            self.connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR:
                raise StorageUnavailable(
                    "The database failed while it committed; nobody can tell the outcome", outcome="unknown"
                ) from error
            raise
        try:
            self._confirm()
        except StorageUnavailable as error:
            raise StorageUnavailable(error.message, outcome="unknown") from error


def end(connection: sqlite3.Connection, statement: str) -> None:
    """Run COMMIT or ROLLBACK where a transaction is open; an error is logged."""
    if connection.in_transaction:
        try:
            connection.execute(statement)
        except sqlite3.Error:
            logger.exception("%s failed", statement)
