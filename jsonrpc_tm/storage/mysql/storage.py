"""MariaDB and MySQL: the storage and its provider."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ...core.chance import about
from ...core.errors import ConfigurationError, DatabaseUnreachable, StorageUnavailable
from ...plugin.marker import hookimpl
from .. import migrate
from ..base import Batch, Schema, Select, StorageProvider
from ..runner import Runner, said
from ..streams import CLOSED, STREAMS, Streams
from ..urls import redacted
from .commit import PRUNED, Attempts, prune
from .driver import driver
from .errors import classify
from .pool import Pool
from .schema import damage, describe, prepare
from .scratch import scratch
from .session import Session
from .stream import MySQLSource
from .target import target, tls_context
from .verbs import MySQLTransaction

logger = logging.getLogger(__name__)
T = TypeVar("T")
H = TypeVar("H")

ROOMY_PACKET = 64 * 2**20
"""Bytes; a call may be that large (``server.max_body``)."""
_PRUNE_SECONDS = 60.0


class MySQLStorage:
    """A database on a server or cluster.

    :param pool: connections to it.
    :param url: without the password, for messages.
    :param migrate_on_open: bring the schema up to date when opening.
    :param migrations: plugins' migrations.
    :param retry_time: seconds that a transaction is tried, and that its outcome is looked for.
    :param slow: seconds above which transactions and statements are logged.
    """

    def __init__(
        self,
        pool: Pool,
        url: str,
        *,
        migrate_on_open: bool = False,
        migrations: Iterable[migrate.PluginMigration] = (),
        retry_time: float = 30.0,
        slow: float = 1.0,
    ) -> None:
        self.pool = pool
        self.url = url
        self.runner = Runner(classify, retry_time, slow)
        # writes have sessions of their own, and so have streams: a long answer keeps one as long as its reader takes
        self.reading = replace(pool, size=pool.size - pool.size // 2, writes=False)
        self.pool = replace(pool, size=max(1, pool.size // 2), share=0)
        self._stream_pool = replace(self.reading, size=STREAMS, share=0)
        self.attempts = Attempts(self.pool, self.reading, self.runner)
        self._migrate = migrate_on_open
        self._migrations = tuple(migrations)
        self._pruning: asyncio.Task[None] | None = None
        self._streams = Streams(
            self.runner,
            lambda name: MySQLSource(self._stream_pool, self.runner, name),
            wait=pool.timeout,
            limit=pool.statement_timeout,
            share=pool.share,
        )

    async def __aenter__(self) -> "MySQLStorage":
        if self._pruning is not None:
            raise RuntimeError(f"{self.url} is open already")
        async with self.session(self.pool if self._migrate else self.reading) as session:
            await prepare(self.plain(session), self._migrations, self.url, upgrade=self._migrate)
            if (packet := int(session.variables["max_allowed_packet"])) < ROOMY_PACKET:
                logger.warning("the database's max_allowed_packet is %d: larger values are refused", packet)
        self._pruning = asyncio.create_task(self._prune(), name="prune commit markers")
        self._streams.open()
        self.runner.circuit.arm(self._probe)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.runner.circuit.disarm()
        if self._pruning is not None:
            self._pruning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pruning
            self._pruning = None
        await self._streams.close()
        for pool in (self._stream_pool, self.reading, self.pool):
            await pool.close()

    @property
    def trouble(self) -> str | None:
        """What is the matter; see ``Storage.trouble``."""
        return CLOSED if self._pruning is None else self.runner.circuit.trouble

    async def run(
        self,
        name: str,
        body: Callable[..., Awaitable[T]],
        *args: Any,
        read: bool = False,
        caller: str = "",
        **kwargs: Any,
    ) -> T:
        """Run *body* as one transaction; see ``Storage.run``. It can be called back until COMMIT is sent."""
        if self._pruning is None:
            raise StorageUnavailable(CLOSED)
        return await self.runner.run(
            name, lambda: self.attempts.run(name, lambda tx: body(tx, *args, **kwargs), read, caller), read=read
        )

    def stream(
        self,
        name: str,
        open: Callable[[MySQLTransaction], Awaitable[tuple[H, Select]]],
        size: int = 2000,
        caller: str = "",
    ) -> contextlib.AbstractAsyncContextManager[tuple[H, AsyncIterator[Batch]]]:
        """Read the rows of a query in batches; see ``Storage.stream``."""
        return self._streams.stream(name, open, size, caller)

    def streams_at_once(self, caller: str = "") -> bool:
        """Whether a stream need not wait; see ``Storage.streams_at_once``."""
        return self._streams.at_once(caller)

    async def _prune(self) -> None:
        """Delete old markers now and then; every process does, a little at a time."""
        while True:
            await asyncio.sleep(about(_PRUNE_SECONDS))
            with contextlib.suppress(StorageUnavailable, driver.Error):
                while await self.run("prune markers", prune) == PRUNED:
                    pass

    async def ready(self) -> None:
        """Return when the database answers; see ``Storage.ready``. Unlike ``run`` it does not wait for better times."""
        self.runner.circuit.check(read=True)
        # the first may find a connection that broke while nobody used it; the second makes a new one
        for last in (False, True):
            try:
                if self.reading.full:
                    await self._probe(self.reading)
                else:
                    await self.attempts.run("ready", migrate.probe, read=True)
                break
            except (driver.Error, OSError) as error:
                if last:
                    raise StorageUnavailable("The database does not answer") from error

    async def schema(self) -> Schema:
        """Return the state of the schema; see ``Storage.schema``."""
        async with self.session(self.reading) as session:
            return await describe(self.plain(session), self._migrations)

    async def check(self) -> list[str]:
        """Return sentences on damage; see ``Storage.check``."""
        async with self.session(self.reading) as session:
            return await damage(self.plain(session))

    async def upgrade(self) -> list[str]:
        """Migrate the database; see ``Storage.upgrade``. The database itself must exist."""
        async with self.session() as session:
            return await prepare(self.plain(session), self._migrations, self.url, upgrade=True)

    async def _probe(self, pool: Pool | None = None) -> None:
        """Return when a host has the schema, as a connection of its own tells.

        :param pool: says whether it must take changes; None: it must.
        """
        async with asyncio.timeout(self.pool.timeout):
            session = await (pool or self.pool).connect()
            try:
                await migrate.probe(self.plain(session))
            finally:
                session.close()

    @contextlib.asynccontextmanager
    async def session(self, pool: Pool | None = None) -> AsyncIterator[Session]:
        """Yield a session outside the pools, without a transaction. The storage need not be open.

        :param pool: says whether it must take changes; None: it must.
        """
        try:
            session = await self.runner.run("connect", (pool or self.pool).connect)
        except StorageUnavailable as error:
            cause = error.__cause__
            reason = said(cause) if isinstance(cause, Exception) else error
            if cause is not None and isinstance(below := cause.__cause__, OSError) and below.errno:
                reason = os.strerror(below.errno)
            failure = classify(cause) if isinstance(cause, Exception) else None
            kind = DatabaseUnreachable if failure is None or failure.kind == "busy" else ConfigurationError
            hosts = ", ".join(map(str, self.pool.target.hosts))
            raise kind(f"the database {self.pool.target.database} at {hosts} cannot be opened: {reason}") from error
        try:
            yield session
        finally:
            with contextlib.suppress(driver.Error, OSError):
                await session.connection.ensure_closed()
            session.close()

    def plain(self, session: Session) -> MySQLTransaction:
        """Return the verbs without a transaction and without a limit of time, for changes of the schema."""
        return MySQLTransaction(session, "schema", lambda *_: None, None)


class MySQLProvider:
    """URLs that begin with ``mysql://``."""

    scheme = "mysql"

    def open(
        self, url: str, *, migrate: bool | None, migrations: Iterable[Any], options: Mapping[str, Any]
    ) -> MySQLStorage:
        """Return the storage of *url*; the schema is brought up to date only when *migrate* is true."""
        folder: Path = options.get("folder", Path.cwd())

        def path(name: str) -> Path | None:
            value = options.get(name)
            return None if value is None else folder / Path(value).expanduser()

        pool = Pool(
            target(url, path("read_default_file")),
            size=options.get("pool_size", 20),
            timeout=options.get("timeout", 10.0),
            share=options.get("caller_share", 50) / 100,
            statement_timeout=options.get("statement_timeout", 300.0),
            tls=tls_context(path("tls.ca"), path("tls.certificate"), path("tls.key"))
            if options.get("tls.enabled")
            else None,
        )
        return MySQLStorage(
            pool,
            redacted(url),
            migrate_on_open=migrate is True,
            migrations=migrations,
            retry_time=max(30.0, 3 * pool.timeout) if options.get("wait", True) else 0,
            slow=options.get("slow_statement", 1.0),
        )

    def scratch(self, url: str, label: str, options: Mapping[str, Any]) -> contextlib.AbstractAsyncContextManager[str]:
        """Return a context manager that gives the URL of a new database; see ``StorageProvider.scratch``."""
        storage = self.open(url, migrate=False, migrations=(), options=options)
        return scratch(storage.session, storage.pool.target.database, url, label)


@hookimpl
def register_storage() -> Iterable[StorageProvider]:
    """Provide ``mysql://``."""
    yield MySQLProvider()
