"""SQLite: the embedded default. WAL, ``synchronous=FULL``, one writer, a few readers."""

import asyncio
import logging
import os
import queue
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from ...core.errors import ConfigurationError, StorageUnavailable
from ...plugin.marker import hookimpl
from .. import migrate
from ..base import Batch, Schema, Select, StorageProvider
from ..circuit import Failure
from ..lanes import Lanes
from ..runner import Runner
from ..streams import CLOSED, STREAMS, Source, Streams
from ..urls import sqlite_path
from .files import keep_private
from .stream import HeldSource, SqliteSource
from .threads import Interrupted, Job, Reader, SqliteTransaction, Watch, Writer, drive

logger = logging.getLogger(__name__)
T = TypeVar("T")
H = TypeVar("H")

OLDEST = (3, 37, 0)
"""The first SQLite with STRICT tables."""
BUSY_SECONDS = 1.0
"""How long SQLite itself waits for another process's lock before the runner takes over."""
READERS = 4
LARGEST_LOG = 64 * 2**20
_FULL = "Your share of the connections to the database that read is busy"
_GONE = {
    sqlite3.SQLITE_FULL: "The disk of the database is full",
    sqlite3.SQLITE_READONLY: "The database cannot be written: it is read-only, or was moved",
    sqlite3.SQLITE_IOERR: "The database cannot be read or written",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged",
    sqlite3.SQLITE_NOTADB: "The database file is damaged, or none of SQLite's",
    sqlite3.SQLITE_CANTOPEN: "The server may not open or make the database file, or lacks file handles",
    sqlite3.SQLITE_PERM: "The server may not open the database file",
    sqlite3.SQLITE_NOMEM: "The database ran out of memory",
    sqlite3.SQLITE_INTERRUPT: "The database took too long",
}


def classify(error: Exception) -> Failure | None:
    """Return what an exception of SQLite means; None for one that is a bug of ours."""
    if isinstance(error, Interrupted):
        return Failure("busy", "The database failed while it wrote for another call")
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Failure("busy", "The database is busy")
    return Failure("gone", _GONE[code]) if code in _GONE else None


class SqliteStorage:
    """A database in a file, or in memory.

    :param path: the file; None for a database in memory, where reads and writes share one connection.
    :param migrate_on_open: bring the schema up to date when opening.
    :param migrations: plugins' migrations.
    :param timeout: seconds that a transaction is tried.
    :param slow: seconds above which transactions and statements are logged; 0 logs none.
    :param statement_timeout: seconds that one statement may take.
    :param readers: connections that only read; with none, the writer reads too.
    :param share: the share of these that one caller may hold, see ``Lanes``.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        migrate_on_open: bool = True,
        migrations: Iterable[migrate.PluginMigration] = (),
        timeout: float = 10.0,
        slow: float = 1.0,
        statement_timeout: float = 300.0,
        readers: int = READERS,
        share: float = 0.5,
    ) -> None:
        self.path = path
        self.url = f"sqlite:///{path}" if path else "sqlite://:memory:"
        self.runner = Runner(classify, timeout, slow)
        self._migrate = migrate_on_open
        self._migrations = tuple(migrations)
        self._statement_timeout = statement_timeout
        self._readers = readers if path else 0
        self._inode: tuple[int, int] | None = None
        self._writes: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads: list[Writer | Reader] = []
        self._open = False
        self._lanes = Lanes(self._readers, share=share, wait=statement_timeout, full=_FULL)
        self._streams = Streams(self.runner, self._source, wait=timeout, limit=statement_timeout, share=share)
        self._stream_threads: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> "SqliteStorage":
        if self._open:
            raise RuntimeError(f"{self.url} is open already")
        writer = await self._prepare(self._migrate)
        try:
            readers = [self._connect("ro") for _ in range(self._readers)]
        except BaseException:
            writer.close()
            raise
        if self.path:
            status = os.stat(self.path)
            self._inode = status.st_dev, status.st_ino
        loop = asyncio.get_running_loop()
        self._threads = [
            Reader("sqlite-reader", reader, self._reads, loop, self._check, self._watch()) for reader in readers
        ]
        self._threads.append(Writer("sqlite-writer", writer, self._writes, loop, self._check, self._watch()))
        for thread in self._threads:
            thread.start()
        self._stream_threads = ThreadPoolExecutor(STREAMS, "sqlite-stream")
        self._streams.open()
        self._open = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._open = False
        await self._streams.close()
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        """Let what waits be done, then end the threads."""
        if self._stream_threads is not None:
            self._stream_threads.shutdown()
        # the writer last: only a connection that may write can fold the log into the file
        for kind, jobs in ((Reader, self._reads), (Writer, self._writes)):
            threads = [thread for thread in self._threads if isinstance(thread, kind)]
            for _ in threads:
                jobs.put(None)
            for thread in threads:
                thread.join()
        self._threads = []

    def _watch(self) -> Watch:
        return Watch(self.runner.statement, self._statement_timeout)

    @property
    def trouble(self) -> str | None:
        """What is the matter; see ``Storage.trouble``."""
        if not self._open:
            return CLOSED
        if not all(thread.is_alive() for thread in self._threads):
            return "A thread of the database has ended"
        try:
            self._check()
        except StorageUnavailable as error:
            return error.message
        return None

    async def run(
        self,
        name: str,
        body: Callable[..., Awaitable[T]],
        *args: Any,
        read: bool = False,
        caller: str = "",
        **kwargs: Any,
    ) -> T:
        """Run *body* as one transaction; see ``Storage.run``.

        One that writes can be called back until a thread begins with it.
        """
        bound = partial(body, **kwargs) if kwargs else body
        return await self.runner.run(name, lambda: self._attempt(name, lambda tx: bound(tx, *args), read, caller))

    async def _attempt(
        self, name: str, body: Callable[[SqliteTransaction], Awaitable[T]], read: bool, caller: str = ""
    ) -> T:
        leave: Callable[[], None] | None = None
        if read and self._readers:
            await self._lanes.enter(caller)
            leave = partial(self._lanes.leave, caller)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._open:
            if leave is not None:
                leave()
            raise StorageUnavailable(CLOSED)
        jobs = self._writes if leave is None else self._reads
        jobs.put(Job(name, body, future, read, leave))
        return await future

    def stream(
        self,
        name: str,
        open: Callable[[SqliteTransaction], Awaitable[tuple[H, Select]]],
        size: int = 2000,
        caller: str = "",
    ) -> AbstractAsyncContextManager[tuple[H, AsyncIterator[Batch]]]:
        """Read the rows of a query in batches; see ``Storage.stream``.

        A database in memory has one connection, and gives all rows at once: they are there already.
        """
        return self._streams.stream(name, open, size, caller)

    def _source(self, name: str) -> Source:
        if self.path is None:
            return HeldSource(lambda body: self._attempt(name, body, True))
        assert self._stream_threads is not None
        return SqliteSource(self._connect_stream, self._watch(), self._stream_threads, name)

    def _connect_stream(self) -> sqlite3.Connection:
        self._check()
        return self._connect("ro")

    async def ready(self) -> None:
        """Return when the database answers; see ``Storage.ready``."""
        if self.trouble is not None:
            raise StorageUnavailable(self.trouble)
        await self.run("ready", migrate.probe, read=True)

    async def schema(self) -> Schema:
        """Return the state of the schema; see ``Storage.schema``."""
        if self.path and not self.path.exists():
            raise ConfigurationError(f"there is no database {self.path}: run `jsonrpc-tm db upgrade`")
        if self._open:
            return await self.run("schema", self._describe, read=True)
        connection = await self._retry(lambda: self._connect("ro"))
        try:
            return await asyncio.to_thread(
                lambda: drive("schema", self._describe(SqliteTransaction(connection, "schema", self._watch())))
            )
        finally:
            connection.close()

    async def upgrade(self) -> list[str]:
        """Migrate the database; see ``Storage.upgrade``."""
        done: list[str] = []
        (await self._prepare(True, done)).close()
        return done

    async def _describe(self, tx: SqliteTransaction) -> Schema:
        found = await migrate.plan(tx, self._migrations)
        rows = await tx.fetch_all(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_' ORDER BY rowid"
        )
        return Schema(
            found.present,
            found.wanted,
            [str(step) for step in found.pending],
            [] if found.pending else await migrate.differences(tx),
            [row["sql"] for row in rows],
        )

    async def _prepare(self, upgrade: bool, done: list[str] | None = None) -> sqlite3.Connection:
        """Return the writer's connection to a database whose schema is right."""
        return await self._retry(lambda: self._open_writer(upgrade, [] if done is None else done))

    async def _retry(self, function: Callable[[], T]) -> T:
        try:
            return await self.runner.run("open", lambda: asyncio.to_thread(function))
        except (sqlite3.Error, StorageUnavailable) as error:
            raise ConfigurationError(f"the database {self.path} cannot be opened: {error}") from error

    def _open_writer(self, upgrade: bool, done: list[str]) -> sqlite3.Connection:
        if self.path and not upgrade and not self.path.exists():
            raise ConfigurationError(f"there is no database {self.path}: run `jsonrpc-tm db upgrade`")
        connection = self._connect("rwc")
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if self.path and mode != "wal":
                raise ConfigurationError(f"the file system of {self.path} has no write-ahead log (journal {mode!r})")
            connection.execute("PRAGMA synchronous = FULL")
            # after a large transaction the log is cut back to this
            connection.execute(f"PRAGMA journal_size_limit = {LARGEST_LOG}")
            self._migrate_now(connection, upgrade, done)
            # off while migrating, for steps that rebuild a table
            connection.execute("PRAGMA foreign_keys = ON")
            for pragma, wanted in (("synchronous", 2), ("foreign_keys", 1)):
                found = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
                if found != wanted:
                    raise ConfigurationError(f"SQLite refuses {pragma}={wanted}: it is {found}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate_now(self, connection: sqlite3.Connection, upgrade: bool, done: list[str]) -> None:
        """Do all pending steps in one transaction: of two processes one does them, the other finds them done."""
        tx = SqliteTransaction(connection, "migrate", self._watch())
        connection.execute("BEGIN IMMEDIATE" if upgrade else "BEGIN")
        try:
            found = drive("migrate", migrate.plan(tx, self._migrations))
            if found.pending and not upgrade:
                raise migrate.refuse(found)
            for step in found.pending:
                drive("migrate", migrate.apply(tx, step))
            if found.pending and (broken := connection.execute("PRAGMA foreign_key_check").fetchone()):
                raise ConfigurationError(f"after migrating, a row of {broken[0]} refers to one that is not there")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        done += [str(step) for step in found.pending]
        for name in done:
            logger.info("migrated %s: %s", self.url, name)

    def _connect(self, mode: str) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or later is needed")
        if self.path and not self.path.parent.is_dir():
            raise ConfigurationError(f"the folder of the database, {self.path.parent}, does not exist")
        if self.path and mode == "rwc":
            keep_private(self.path)
        name = f"file:{quote(str(self.path))}?mode={mode}" if self.path else ":memory:"
        connection = sqlite3.connect(
            name,
            uri=bool(self.path),
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA cache_size = -32768")
            if mode == "ro":
                connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error:  # the file is no database
            connection.close()
            raise
        return connection

    def _check(self) -> None:
        """Refuse to go on when the file was removed or replaced: what is written then is lost with its last reader."""
        if self._inode is None or self.path is None:
            return
        try:
            status = os.stat(self.path)
        except OSError:
            raise StorageUnavailable("The database file is gone") from None
        if (status.st_dev, status.st_ino) != self._inode:
            raise StorageUnavailable("The database file was replaced")


class SqliteProvider:
    """URLs that begin with ``sqlite://``."""

    scheme = "sqlite"

    def open(
        self, url: str, *, migrate: bool | None, migrations: Iterable[Any], options: Mapping[str, Any]
    ) -> SqliteStorage:
        """Return the storage of *url*; the schema is brought up to date unless *migrate* is false."""
        path = sqlite_path(url, options.get("folder", Path.cwd()))
        return SqliteStorage(
            path,
            migrate_on_open=migrate is not False,
            migrations=migrations,
            timeout=options.get("timeout", 10.0),
            slow=options.get("slow_statement", 1.0),
            statement_timeout=options.get("statement_timeout", 300.0),
            # one connection of the pool is the writer's
            readers=min(READERS, options.get("pool_size", 20) - 1),
            share=options.get("caller_share", 50) / 100,
        )

    @asynccontextmanager
    async def scratch(self, url: str, label: str, options: Mapping[str, Any]) -> AsyncIterator[str]:
        """Give the URL of a file beside that of *url*; for a database in memory, *url* itself."""
        path = sqlite_path(url, options.get("folder", Path.cwd()))
        if path is None:
            yield url
            return
        beside = path.with_name(f"{path.stem}_{label}{path.suffix}")
        try:
            yield f"sqlite:///{beside}"
        finally:
            for suffix in ("", "-wal", "-shm"):
                beside.with_name(beside.name + suffix).unlink(missing_ok=True)


@hookimpl
def register_storage() -> Iterable[StorageProvider]:
    """Provide ``sqlite://``."""
    yield SqliteProvider()
