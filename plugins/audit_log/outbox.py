"""Lines about changes: each is committed together with its change, then carried to the file.

A server that is killed loses none of them: what it had committed but not yet written to its file, the next one writes.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import orjson

from jsonrpc_tm.api import CallRecord, Migration, Service, Transaction, Work, stored

from .journal import Journal
from .lines import line_of

logger = logging.getLogger(__name__)
MIGRATION = Migration(
    "audit_log",
    1,
    {
        "sqlite": (
            "CREATE TABLE AuditOutbox (OutboxID INTEGER PRIMARY KEY AUTOINCREMENT, Host TEXT NOT NULL,"
            " Written TEXT NOT NULL, Line TEXT NOT NULL) STRICT",
        ),
        "mysql": (
            "CREATE TABLE AuditOutbox (OutboxID BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, Host VARCHAR(255) NOT NULL,"
            " Written DATETIME NOT NULL, Line LONGTEXT NOT NULL)"
            " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
        ),
    },
)
_BATCH = 500
_ORPHANED = timedelta(minutes=5)
"""After so long, lines of a host that is gone are written by another."""
FAREWELL = 10.0
"""Seconds that the last lines have when the server stops; what is left waits in the database."""
_AGAIN = 1.0
"""Seconds until it is tried again."""


class Outbox:
    """The lines that are committed but not yet in the file.

    :param journal: the file.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._host = socket.gethostname()[:255]
        self._something: asyncio.Event | None = None
        self._service: Service | None = None
        self._stuck = False

    async def write(self, work: Work, record: CallRecord) -> None:
        """Write the line of a change, in its transaction."""
        line = orjson.dumps(line_of(record)).decode()
        values = {"host": self._host, "written": work.context.timestamp, "line": line}
        await work.tx.last("INSERT INTO AuditOutbox (Host, Written, Line) VALUES (:host, :written, :line)", values)

    def notice(self) -> None:
        """Carry lines to the file soon: there may be new ones."""
        if self._something is not None:
            self._something.set()

    @contextlib.asynccontextmanager
    async def lifetime(self, service: Service) -> AsyncIterator[None]:
        """Carry lines to the file while the server runs, those that another left behind too."""
        self._service, self._something = service, asyncio.Event()
        self._something.set()
        carrier = asyncio.create_task(self._work(service, self._something))
        try:
            yield
        finally:
            # not cancelled at once: a thread may be writing what the next attempt would write again
            something, self._service, self._something = self._something, None, None
            something.set()
            try:
                async with asyncio.timeout(FAREWELL):
                    await carrier
                    await self._try(service)
            except TimeoutError:
                logger.warning("changes wait in the database: the next start writes them to %s", self.journal.path)

    async def _work(self, service: Service, something: asyncio.Event) -> None:
        while self._service is service:
            await something.wait()
            something.clear()
            if not await self._try(service):
                something.set()
                await asyncio.sleep(_AGAIN)

    async def _try(self, service: Service) -> bool:
        try:
            await self.carry(service)
        except Exception as error:
            if not self._stuck:
                reason = getattr(error, "strerror", None) or str(error)
                logger.error("changes wait in the database to be written to %s: %s", self.journal.path, reason)
            self._stuck = True
            return False
        self._stuck = False
        return True

    async def settle(self) -> None:
        """Carry what there is now."""
        if self._service is not None:
            await self._try(self._service)

    async def carry(self, service: Service) -> None:
        """Move all lines of this host to the file.

        :raises OSError: the file cannot be written; the lines stay.
        :raises TMError: the database is out of reach.
        """
        host, old = self._host, stored(service.clock() - _ORPHANED)

        async def waiting(tx: Transaction) -> list[tuple[int, str]]:
            rows = await tx.fetch_all(
                "SELECT OutboxID, Line FROM AuditOutbox WHERE Host = :host OR Written < :old"
                f" ORDER BY OutboxID LIMIT {_BATCH}",
                {"host": host, "old": old},
            )
            return [(row["OutboxID"], row["Line"]) for row in rows]

        async def done(tx: Transaction, ids: list[int]) -> None:
            await tx.execute(
                f"DELETE FROM AuditOutbox WHERE OutboxID IN (SELECT value FROM {tx.dialect.array('ids', 'int')} AS a)",
                {"ids": tx.dialect.pack(ids)},
            )

        async with _turn(Path(f"{self.journal.path}.outbox")) as turn:
            while found := await service.storage.run("audit_log", waiting, read=True):
                lines = [b'{"change":%d,%s' % (number, line[1:].encode()) for number, line in found]
                doubtful = os.fstat(turn).st_size > 0
                os.write(turn, b"*")
                await asyncio.to_thread(self._append, lines, doubtful)
                await service.storage.run("audit_log", done, [number for number, _ in found])
                os.ftruncate(turn, 0)

    def _append(self, lines: list[bytes], doubtful: bool) -> None:
        """Write lines.

        :param doubtful: somebody wrote some of them and died before they were out of the database.
        """
        if doubtful:
            written = self.journal.read(4 * _BATCH, lambda line: line.get("change") is not None)
            there = set(map(orjson.dumps, written))
            lines = [line for line in lines if line not in there]
        if lines:
            self.journal.append(lines, durable=True)


@contextlib.asynccontextmanager
async def _turn(path: Path) -> AsyncIterator[int]:
    """Wait until no other process of this host carries lines; give the lock file, which is not empty after a crash."""
    number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            await asyncio.sleep(0.05)
        yield number
    finally:
        os.close(number)
