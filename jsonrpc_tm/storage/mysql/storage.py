"""MariaDB and MySQL: transactions on a pool of connections, and certainty about their outcome."""

import asyncio
import contextlib
import logging
import random
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ...core.errors import ConfigurationError, StorageUnavailable
from ...plugin.marker import hookimpl
from .. import migrate
from ..base import Parameters, Schema, StorageProvider
from ..dialect import MYSQL, Dialect
from ..runner import Runner
from ..urls import redacted
from .driver import driver
from .pool import Pool, Session, target, tls_context
from .scratch import scratch
from .verbs import (
    COLUMN_EXISTS,
    DUPLICATE,
    HOST_FAULTS,
    KEY_EXISTS,
    LOST,
    TABLE_EXISTS,
    MySQLTransaction,
    NotCommitted,
    classify,
    code,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")

LOCK = "CONCAT('jsonrpc_tm ', MD5(DATABASE()))"
"""Name of the lock that who changes the schema holds; a name of a lock has 64 characters at most."""
ROOMY_PACKET = 64 * 2**20
"""Bytes; a call may be that large (``server.max_body``)."""
_MARKERS_KEPT = 600
"""Seconds; no transaction asks for its outcome that long."""
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

    dialect: Dialect = MYSQL

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
        self._migrate = migrate_on_open
        self._migrations = tuple(migrations)
        self._pruning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "MySQLStorage":
        if self._pruning is not None:
            raise RuntimeError(f"{self.url} is open already")
        async with self.session() as session:
            await self._prepare(session, self._migrate)
            if (packet := int(session.variables["max_allowed_packet"])) < ROOMY_PACKET:
                logger.warning("the database's max_allowed_packet is %d: larger values are refused", packet)
        self._pruning = asyncio.create_task(self._prune(), name="prune commit markers")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._pruning is not None:
            self._pruning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pruning
            self._pruning = None
        await self.pool.close()

    async def run(
        self, name: str, body: Callable[..., Awaitable[T]], *args: Any, read: bool = False, **kwargs: Any
    ) -> T:
        """Run *body* as one transaction; see ``Storage.run``."""
        if self._pruning is None:
            raise StorageUnavailable("The database is closed")
        return await self.runner.run(name, lambda: self._attempt(name, lambda tx: body(tx, *args, **kwargs), read))

    async def _attempt(self, name: str, body: Callable[[MySQLTransaction], Awaitable[T]], read: bool) -> T:
        session = await self.pool.acquire(snapshot=read)
        reusable = False
        try:
            tx = MySQLTransaction(session, name, self.runner.statement, self.pool.statement_timeout)
            marker = secrets.token_hex(16)
            try:
                await self._begin(session, read)
                result = await body(tx)
                if tx.wrote and not read:
                    await tx.execute(_MARK, {"marker": marker, "abandoned": 0})
            except Exception as error:
                reusable = await self._roll_back(session, error)
                raise
            if not await self._commit(session):
                await self._settle(name, marker if tx.wrote and not read else None, session)
            reusable = True
            return result
        except Exception as error:
            if code(error) in HOST_FAULTS:
                self.pool.blame(session.host)
            raise
        finally:
            self.pool.release(session, reusable=reusable)

    async def _begin(self, session: Session, read: bool) -> None:
        async with self._in_time(session):
            if session.snapshot != read:
                level = "REPEATABLE READ" if read else "READ COMMITTED"
                await session.query(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
                session.snapshot = read
            await session.query("START TRANSACTION READ ONLY" if read else "START TRANSACTION")

    async def _roll_back(self, session: Session, error: Exception) -> bool:
        """Undo what the session did; return whether it can be used again."""
        if code(error) in HOST_FAULTS or session.connection.closed:
            return False
        try:
            async with self._in_time(session):
                await session.query("ROLLBACK")
        except (driver.Error, OSError):
            return False
        return True

    async def _commit(self, session: Session) -> bool:
        """Commit; return False when the outcome is not known."""
        try:
            async with self._in_time(session):
                await session.query("COMMIT")
        except (driver.Error, OSError) as error:
            logger.info("COMMIT failed at %s: %s", session.host, error)
            return False
        return True

    async def _settle(self, name: str, marker: str | None, session: Session) -> None:
        """Find out what became of a transaction whose COMMIT failed; return when it happened.

        On a cluster even a deadlock reported for COMMIT may hide a node that left while it committed: only the marker
        tells.

        :param marker: None when it wrote nothing, so that there is nothing to lose.
        :raises NotCommitted: it did not happen, and cannot any more.
        :raises StorageUnavailable: nobody can tell in time.
        """
        # the server must roll back what it still holds, or the marker could not be looked up
        session.close()
        if marker is None:
            return
        deadline = time.monotonic() + self.runner.timeout
        while True:
            try:
                committed = await self._look_up(marker)
            except (driver.Error, OSError) as error:
                logger.debug("the marker of %s cannot be looked up: %s", name, error)
                if time.monotonic() > deadline:
                    logger.error("the outcome of %s is unknown: %s", name, error)
                    raise StorageUnavailable(
                        "The database was lost while it committed; nobody can tell the outcome", outcome="unknown"
                    ) from error
                await asyncio.sleep(random.uniform(0.05, 0.5))
                continue
            if not committed:
                raise NotCommitted(name)
            return

    async def _look_up(self, marker: str) -> bool:
        """Return whether the transaction with this marker happened; if not, see to it that it never will.

        The row is inserted, not only looked for: that waits for a COMMIT which is still on its way, and keeps one that
        arrives later from succeeding.
        """
        session = await self.pool.connect()
        try:
            tx = MySQLTransaction(session, "look up a marker", self.runner.statement, self.pool.timeout * 2)
            await self._begin(session, read=False)
            try:
                await tx.execute(_MARK, {"marker": marker, "abandoned": 1})
            except driver.IntegrityError as error:
                if code(error) != DUPLICATE:
                    raise
                found = await tx.fetch_value(
                    "SELECT Abandoned FROM CommitMarkers WHERE Marker = :marker", {"marker": marker}
                )
                if found is None:
                    raise driver.OperationalError(LOST, "the marker is there and is not") from None
                return not found
            async with self._in_time(session):
                await session.query("COMMIT")
            return False
        finally:
            session.close()

    @contextlib.asynccontextmanager
    async def _in_time(self, session: Session) -> AsyncIterator[None]:
        """Give the statements inside ``statement_timeout`` seconds."""
        try:
            async with asyncio.timeout(self.pool.statement_timeout):
                yield
        except TimeoutError:
            session.close()
            raise driver.OperationalError(LOST, f"{session.host} does not answer") from None

    async def _prune(self) -> None:
        """Delete old markers now and then; every process does, a little at a time."""
        while True:
            await asyncio.sleep(random.uniform(0.5, 1.5) * _PRUNE_SECONDS)
            with contextlib.suppress(StorageUnavailable, driver.Error):
                while await self.run("prune markers", _prune) == _PRUNE_ROWS:
                    pass

    async def ready(self) -> None:
        """Return when the database answers; see ``Storage.ready``. Unlike ``run`` it does not wait for better times."""
        # the first may find a connection that broke while nobody used it; the second makes a new one
        for last in (False, True):
            try:
                await self._attempt("ready", _probe, read=True)
                break
            except (driver.Error, OSError) as error:
                if last:
                    raise StorageUnavailable("The database does not answer") from error

    async def schema(self) -> Schema:
        """Return the state of the schema; see ``Storage.schema``."""
        async with self.session() as session:
            return await self._describe(self.plain(session))

    async def upgrade(self) -> list[str]:
        """Migrate the database; see ``Storage.upgrade``. The database itself must exist."""
        async with self.session() as session:
            return await self._prepare(session, True)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Yield a session outside the pool, without a transaction. The storage need not be open."""
        try:
            session = await self.runner.run("connect", self.pool.connect)
        except StorageUnavailable as error:
            cause = error.__cause__
            # the driver's errors are pairs of a number and a sentence
            reason = cause.args[-1] if isinstance(cause, driver.Error) and cause.args else cause
            raise ConfigurationError(f"the database {self.url} cannot be opened: {reason}") from error
        try:
            yield session
        finally:
            with contextlib.suppress(driver.Error, OSError):
                await session.connection.ensure_closed()
            session.close()

    def plain(self, session: Session) -> MySQLTransaction:
        """Return the verbs without a transaction and without a limit of time, for changes of the schema."""
        return MySQLTransaction(session, "schema", lambda *_: None, None)

    async def _describe(self, tx: MySQLTransaction) -> Schema:
        found = await migrate.plan(tx, self._migrations)
        dump = []
        for row in sorted(await tx.fetch_all(self.dialect.tables), key=lambda row: str(row["name"])):
            made = await tx.fetch_one(f"SHOW CREATE TABLE `{row['name']}`")
            dump.append(re.sub(r" AUTO_INCREMENT=\d+", "", list(made.values())[1]) if made else "")
        return Schema(
            found.present,
            found.wanted,
            [str(step) for step in found.pending],
            [] if found.pending else await migrate.differences(tx),
            dump,
        )

    async def _prepare(self, session: Session, upgrade: bool) -> list[str]:
        """See to it that the schema is right; return the steps done."""
        tx = self.plain(session)
        found = await migrate.plan(tx, self._migrations)
        if not found.pending:
            return []
        if not upgrade:
            raise migrate.refuse(found)
        if session.flavour == "MariaDB":
            await session.query("SET SESSION max_statement_time = 0")
        # of two hosts one migrates, the other waits and finds it done; the lock ends with the session
        if not await tx.fetch_value(f"SELECT GET_LOCK({LOCK}, 3600)"):
            raise ConfigurationError(f"another process has been migrating {self.url} for an hour")
        found = await migrate.plan(tx, self._migrations)
        for step in found.pending:
            try:
                await migrate.apply(_Resuming(tx), step)
            except driver.Error as error:
                raise ConfigurationError(
                    f"{step} cannot be applied to {self.url}: {error.args[-1]}; mend it, then `db upgrade` goes on"
                ) from error
            logger.info("migrated %s: %s", self.url, step)
        return [str(step) for step in found.pending]


class _Resuming:
    """The verbs for a migration step, of which an earlier, interrupted run may have done some statements."""

    def __init__(self, tx: MySQLTransaction) -> None:
        self._tx = tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def execute(self, sql: str, parameters: Parameters = {}) -> int:
        """Run a statement; what it makes may be there already (each statement of a schema commits itself)."""
        try:
            return await self._tx.execute(sql, parameters)
        except driver.Error as error:
            if code(error) not in (TABLE_EXISTS, COLUMN_EXISTS, KEY_EXISTS):
                raise
            logger.info("was there already: %s", sql.partition("\n")[0])
            return 0


_MARK = "INSERT INTO CommitMarkers (Marker, CreatedAt, Abandoned) VALUES (:marker, UTC_TIMESTAMP(), :abandoned)"
_PRUNE_ROWS = 5000


async def _prune(tx: MySQLTransaction) -> int:
    return await tx.execute(
        "DELETE FROM CommitMarkers WHERE CreatedAt < UTC_TIMESTAMP() - INTERVAL :kept SECOND LIMIT :rows",
        {"kept": _MARKERS_KEPT, "rows": _PRUNE_ROWS},
    )


async def _probe(tx: MySQLTransaction) -> None:
    await tx.fetch_value("SELECT COUNT(*) FROM SchemaVersions")


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
            size=options.get("pool_size", 10),
            timeout=options.get("timeout", 10.0),
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
            retry_time=max(30.0, 3 * pool.timeout),
            slow=options.get("slow_statement", 1.0),
        )

    def scratch(self, url: str, label: str, options: Mapping[str, Any]) -> contextlib.AbstractAsyncContextManager[str]:
        """Return a context manager that gives the URL of a new database; see ``StorageProvider.scratch``."""
        return scratch(self.open(url, migrate=False, migrations=(), options=options), url, label)


@hookimpl
def register_storage() -> Iterable[StorageProvider]:
    """Provide ``mysql://``."""
    yield MySQLProvider()
