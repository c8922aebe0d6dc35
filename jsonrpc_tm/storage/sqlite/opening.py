"""Connections to a file, and a schema that is right."""

import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ...core.errors import ConfigurationError
from .. import migrate
from .threads import SqliteTransaction, Watch, drive

logger = logging.getLogger(__name__)

OLDEST = (3, 37, 0)
"""The first SQLite with STRICT tables."""
BUSY_SECONDS = 1.0
"""How long SQLite itself waits for another process's lock before the runner takes over."""
LARGEST_LOG = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Opening:
    """How a database is opened.

    :param path: the file; None for a database in memory.
    :param url: for messages.
    :param migrations: plugins' migrations.
    :param watch: makes what times the statements of a connection.
    """

    path: Path | None
    url: str
    migrations: Sequence[migrate.PluginMigration]
    watch: Callable[[], Watch]

    def writer(self, upgrade: bool, done: list[str]) -> sqlite3.Connection:
        """Return the writer's connection to a database whose schema is right.

        :param upgrade: do what is pending; else there must be nothing.
        :param done: gets the names of the steps done.
        :raises ConfigurationError: there is no database, or it is not as it must be.
        """
        if self.path and not upgrade and not self.path.exists():
            raise ConfigurationError(f"there is no database {self.path}: run `jsonrpc-tm db upgrade`")
        connection = self.connect("rwc")
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if self.path and mode != "wal":
                raise ConfigurationError(f"the file system of {self.path} has no write-ahead log (journal {mode!r})")
            connection.execute("PRAGMA synchronous = FULL")
            # after a large transaction the log is cut back to this
            connection.execute(f"PRAGMA journal_size_limit = {LARGEST_LOG}")
            self._apply(connection, upgrade, done)
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

    def _apply(self, connection: sqlite3.Connection, upgrade: bool, done: list[str]) -> None:
        """Do all pending steps in one transaction: of two processes one does them, the other finds them done."""
        tx = SqliteTransaction(connection, "migrate", self.watch())
        connection.execute("BEGIN IMMEDIATE" if upgrade else "BEGIN")
        try:
            found = drive("migrate", migrate.plan(tx, self.migrations))
            if found.pending and not upgrade:
                raise migrate.refuse(found)
            for step in found.pending:
                drive("migrate", migrate.apply(tx, step, self.url, sqlite3.Error))
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

    def connect(self, mode: str) -> sqlite3.Connection:
        """Return a new connection.

        :param mode: ``rwc``, or ``ro`` for one that only reads.
        :raises sqlite3.Error: it cannot be opened.
        """
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


def keep_private(path: Path) -> None:
    """Make the file, if it is not there, for its owner alone; SQLite gives the files beside it the same rights."""
    path = path.resolve()  # a link that leads nowhere yet is there
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if os.stat(path).st_mode & stat.S_IROTH:
            logger.warning("everybody on this machine may read the database %s: `chmod o-r` it", path)
    except OSError:
        pass  # SQLite will say why
