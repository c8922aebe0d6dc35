"""SQLite: the embedded default. WAL, ``synchronous=FULL``, one writer, a few readers."""

import asyncio
import contextlib
import logging
import math
import queue
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ...core.errors import ConfigurationError, StorageUnavailable
from ...plugin.marker import hookimpl
from .. import migrate
from ..base import Batch, Schema, Select, StorageProvider
from ..circuit import Failure
from ..runner import Runner
from ..streams import CLOSED, STREAMS, Source, Streams
from ..urls import sqlite_path
from .errors import DAMAGED, classify, damaged, findings
from .files import DatabaseFiles
from .opening import Opening
from .reads import Reader, Reads
from .stream import HeldSource, SqliteSource
from .threads import STEPS_BETWEEN_LOOKS, Job, SqliteTransaction, Watch, Writer, drive

logger = logging.getLogger(__name__)
T = TypeVar("T")
H = TypeVar("H")

READERS = 4


def _nothing() -> None:
    """A database in memory has no files to be looked at."""


class SqliteStorage:
    """A database in a file, or in memory.

    :param path: the file; None for a database in memory, where reads and writes share one connection.
    :param migrate_on_open: bring the schema up to date when opening.
    :param migrations: plugins' migrations.
    :param timeout: seconds that a transaction is tried.
    :param slow: seconds above which transactions and statements are logged; 0 logs none.
    :param statement_timeout: seconds that one statement may take.
    :param readers: connections that only read; with none, the writer reads too.
    :param share: the share of these that one caller may hold, see ``Turns``.
    :param start_check: seconds that opening waits while the file is read through for damage; then calls are taken
        beside that. 0: as long as it takes.
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
        start_check: float = 2.0,
    ) -> None:
        self.path = path
        self.url = f"sqlite:///{path}" if path else "sqlite://:memory:"
        self.runner = Runner(self._meaning, timeout, slow)
        self._migrate = migrate_on_open
        self._migrations = tuple(migrations)
        self._opening = Opening(path, self.url, self._migrations, self._watch)
        self._statement_timeout = statement_timeout
        self._readers = readers if path else 0
        self._start_check = start_check
        self._files: DatabaseFiles | None = None
        self._reading_through = self._watch()
        self._writes: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._share = share
        self._reads: Reads  # while it is open
        self._threads: list[Writer | Reader] = []
        self._open = False
        self._streams = Streams(self.runner, self._source, wait=timeout, limit=statement_timeout, share=share)
        self._stream_threads: ThreadPoolExecutor | None = None
        self._whole: asyncio.Future[None] | None = None

    async def __aenter__(self) -> "SqliteStorage":
        if self._open:
            raise RuntimeError(f"{self.url} is open already")
        writer = await self._prepare(self._migrate)
        try:
            readers = [self._opening.connect("ro") for _ in range(self._readers)]
        except BaseException:
            writer.close()
            raise
        self._files = DatabaseFiles(self.path) if self.path else None
        loop = asyncio.get_running_loop()
        self._reads = Reads(self._readers, self._share, self._statement_timeout)
        self._threads = [
            Reader("sqlite-reader", reader, loop, self._check, self._watch(), reads=self._reads) for reader in readers
        ]
        confirm = self._files.look if self._files is not None else _nothing
        writing = "sqlite-writer", writer, loop, self._check, self._watch()
        self._threads.append(Writer(*writing, jobs=self._writes, confirm=confirm))
        for thread in self._threads:
            thread.start()
        self._stream_threads = ThreadPoolExecutor(STREAMS, "sqlite-stream")
        self._streams.open()
        self._open = True
        try:
            await self._wait_for_check()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._open = False
        self._reading_through.stop()
        if self._whole is not None:
            await self._whole
        await self._streams.close()
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        """Let what waits be done, then end the threads."""
        if self._stream_threads is not None:
            self._stream_threads.shutdown()
        # the writer last: only a connection that may write can fold the log into the file
        self._reads.close()
        for thread in self._threads:
            if isinstance(thread, Writer):
                self._writes.put(None)
            thread.join()
        self._threads = []
        if self._files is not None:
            self._files.close()
            self._files = None

    async def _wait_for_check(self) -> None:
        """Read the file through, and wait a while for the result.

        :raises ConfigurationError: it is damaged.
        """
        if self._files is None:
            return
        # however long it takes: reading a large file through may take longer than any statement should
        self._reading_through = Watch(self.runner.statement, math.inf)
        self._whole = asyncio.get_running_loop().run_in_executor(None, self._read_through, self._files)
        await asyncio.wait([self._whole], timeout=self._start_check or None)
        if self._files.damage:
            raise ConfigurationError(f"the database {self.path} is damaged: `jsonrpc-tm db check` says more")

    def _read_through(self, files: DatabaseFiles) -> None:
        """Look for damage of the whole file, in a thread."""
        self._reading_through.begin()
        try:
            with contextlib.closing(self._opening.connect("ro")) as connection:
                connection.set_progress_handler(self._reading_through.late, STEPS_BETWEEN_LOOKS)
                found = findings(connection)
        except (sqlite3.Error, ConfigurationError) as error:
            if self._open:
                logger.warning("%s was not checked for damage; `jsonrpc-tm db check` does: %s", self.path, error)
            return
        if found:
            files.damage = DAMAGED
            logger.error("%s is damaged: %s", self.path, "; ".join(found[:10]))

    def _meaning(self, error: Exception) -> Failure | None:
        """Return what an exception means; a damaged file is used no more."""
        if damaged(error) and self._files is not None:
            self._files.damage = DAMAGED
        return classify(error)

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
        if not self._open:
            raise StorageUnavailable(CLOSED)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        job = Job(name, body, future, read)
        if read and self._readers:
            return await self._reads.run(caller, job)  # type: ignore[no-any-return]
        self._writes.put(job)
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

    def streams_at_once(self, caller: str = "") -> bool:
        """Whether a stream need not wait; see ``Storage.streams_at_once``."""
        return self._streams.at_once(caller)

    def _source(self, name: str) -> Source:
        if self.path is None:
            return HeldSource(lambda body: self._attempt(name, body, True))
        assert self._stream_threads is not None
        return SqliteSource(self._connect_stream, self._watch(), self._stream_threads, name)

    def _connect_stream(self) -> sqlite3.Connection:
        if self._files is not None:
            self._files.look()  # a glance would not do: the name is about to be opened
        return self._opening.connect("ro")

    @property
    def _crowded(self) -> bool:
        """Whether every connection that reads is at work, or about to be."""
        return self._readers > 0 and self._reads.crowded

    async def ready(self) -> None:
        """Return when the database answers; see ``Storage.ready``."""
        if self.trouble is not None:
            raise StorageUnavailable(self.trouble)
        if self._crowded:
            await self.runner.run("ready", lambda: asyncio.to_thread(self._probe), read=True)
        else:
            await self.run("ready", migrate.probe, read=True)

    def _probe(self) -> None:
        """Ask the database on a connection of its own."""
        connection = self._connect_stream()
        try:
            drive("ready", migrate.probe(SqliteTransaction(connection, "ready", self._watch())))
        finally:
            connection.close()

    async def schema(self) -> Schema:
        """Return the state of the schema; see ``Storage.schema``."""
        if self.path and not self.path.exists():
            raise ConfigurationError(f"there is no database {self.path}: run `jsonrpc-tm db upgrade`")
        if self._open and not self._crowded:
            return await self.run("schema", self._describe, read=True)
        connection = await self._retry(lambda: self._opening.connect("ro"))
        try:
            return await asyncio.to_thread(
                lambda: drive("schema", self._describe(SqliteTransaction(connection, "schema", self._watch())))
            )
        finally:
            connection.close()

    async def check(self) -> list[str]:
        """Return sentences on damage; see ``Storage.check``."""
        if self.path is None or not self.path.exists():
            return []
        connection = await self._retry(lambda: self._opening.connect("ro"))
        try:
            return await asyncio.to_thread(findings, connection)
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
        return await self._retry(lambda: self._opening.writer(upgrade, [] if done is None else done))

    async def _retry(self, function: Callable[[], T]) -> T:
        try:
            return await self.runner.run("open", lambda: asyncio.to_thread(function))
        except (sqlite3.Error, StorageUnavailable) as error:
            raise ConfigurationError(f"the database {self.path} cannot be opened: {error}") from error

    def _check(self) -> None:
        """Refuse to go on with files that are not SQLite's any more."""
        if self._files is not None:
            self._files.glance()


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
            start_check=options.get("start_check", 2.0),
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
