"""The verbs on one session of MariaDB or MySQL, and what the driver's errors mean."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from ...core.errors import InvalidParams
from ..base import Parameters, Row
from ..dialect import Dialect
from ..runner import Failure
from .driver import driver
from .pool import Session, refused

DUPLICATE = 1062
TABLE_EXISTS = 1050
COLUMN_EXISTS = 1060
KEY_EXISTS = 1061
LOST = 2013
# a deadlock (on Galera: another node's transaction was first), a lock not granted in time, a snapshot too old, a table
# changed by a migration, a statement killed by an administrator
_AGAIN = {1213, 1205, 1020, 1412, 1317}
# this host cannot serve now: connection refused or lost, too many connections, shutting down, read only, idle for too
# long, not in the cluster's primary component
HOST_FAULTS = {
    2002,
    2003,
    2006,
    LOST,
    2055,
    1040,
    1047,
    1053,
    1203,
    1290,
    1836,
    1927,
    4031,
    1158,
    1159,
    1160,
    1161,
    1184,
}
_TOO_LONG = {1969, 3024}
# a row that another transaction made, or took away, since this one looked
_RACES = {DUPLICATE, 1451, 1452}


def code(error: BaseException) -> int:
    """Return the number of a driver's error; a connection that broke off without one counts as lost."""
    if isinstance(error, driver.Error) and error.args and isinstance(error.args[0], int) and error.args[0]:
        number: int = error.args[0]
        return number
    return LOST if isinstance(error, driver.InterfaceError | driver.InternalError | OSError) else 0


class NotCommitted(Exception):
    """COMMIT failed and the transaction is known not to have happened."""


def classify(error: Exception) -> Failure | None:
    """Return what an exception of the driver means; None for one that is a bug of ours."""
    number = code(error)
    if isinstance(error, NotCommitted) or number in _AGAIN:
        return Failure("busy", "The database is busy")
    if number in HOST_FAULTS:
        return Failure("busy", "The database cannot be reached")
    if number in _RACES:
        return Failure("race", "The database is busy")
    if number in _TOO_LONG:
        return Failure("gone", "The database took too long")
    if refused(error):
        return Failure("gone", "The database refuses this server")
    return None


_PARAMETER = re.compile(r"%|:([A-Za-z_][A-Za-z0-9_]*)|'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`")


@lru_cache(maxsize=4096)
def translate(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return *sql* in the driver's form (``:name`` → ``%(name)s``, ``%`` → ``%%``), and the parameters' names.

    :raises ValueError: a literal contains a colon, which other engines' drivers may take for a parameter.
    """
    names: dict[str, None] = {}

    def replaced(match: re.Match[str]) -> str:
        if match[1]:
            names[match[1]] = None
            return f"%({match[1]})s"
        if ":" in match[0]:
            raise ValueError(f"bind {match[0]} as a parameter: a literal must not contain a colon")
        return match[0].replace("%", "%%")

    return _PARAMETER.sub(replaced, sql), tuple(names)


_INSERT = re.compile(r"(?is)\A(\s*INSERT\b.*?\bVALUES\s*)(\(.*?\))(\s+ON DUPLICATE KEY UPDATE\b.*)?\s*\Z")


class MySQLTransaction:
    """The verbs on one session.

    :param watch: called with name, SQL and seconds of every statement.
    :param timeout: seconds that one statement may take.
    """

    __slots__ = ("_packet", "_session", "_timeout", "_watch", "dialect", "name", "wrote")

    def __init__(
        self, session: Session, name: str, watch: Callable[[str, str, float], None], timeout: float | None
    ) -> None:
        self.dialect: Dialect = session.dialect
        self._session = session
        self._watch = watch
        self._timeout = timeout
        self._packet = int(session.variables["max_allowed_packet"])
        self.name = name
        self.wrote = False

    async def execute(self, sql: str, parameters: Parameters = {}) -> int:
        """Run a statement; return the number of rows it matched."""
        self.wrote = True
        async with self._run(sql, self._bind(sql, parameters)) as cursor:
            rows: int = cursor.rowcount
            return max(rows, 0)

    async def executemany(self, sql: str, parameters: Sequence[Parameters]) -> int:
        """Run a statement once for each set of parameters; an INSERT as few statements with many rows each."""
        self.wrote = True
        template, names = translate(sql)
        parts = _INSERT.match(template)
        rows = 0
        if parts is None:
            for each in parameters:
                rows += await self.execute(sql, each)
            return rows
        head, row, tail = parts[1], parts[2], parts[3] or ""
        pending: list[str] = []
        size = 0
        for each in parameters:
            values = row % self._escaped(names, each)
            if pending and size + 4 * len(values) > self._packet - 4 * (len(head) + len(tail)) - 1024:
                rows += await self._insert_rows(sql, head, pending, tail)
                pending, size = [], 0
            pending.append(values)
            size += 4 * len(values)
        if pending:
            rows += await self._insert_rows(sql, head, pending, tail)
        return rows

    async def _insert_rows(self, sql: str, head: str, rows: Sequence[str], tail: str) -> int:
        async with self._run(sql, (head % ()) + ",".join(rows) + (tail % ())) as cursor:
            count: int = cursor.rowcount
            return count

    async def fetch_all(self, sql: str, parameters: Parameters = {}) -> list[Row]:
        """Return all rows."""
        async with self._run(sql, self._bind(sql, parameters)) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, values, strict=True)) for values in await cursor.fetchall()]

    async def fetch_one(self, sql: str, parameters: Parameters = {}) -> Row | None:
        """Return the first row, None without one."""
        rows = await self.fetch_all(sql, parameters)
        return rows[0] if rows else None

    async def fetch_value(self, sql: str, parameters: Parameters = {}) -> Any:
        """Return the first column of the first row, None without a row."""
        row = await self.fetch_one(sql, parameters)
        return None if row is None else next(iter(row.values()))

    async def insert(self, sql: str, parameters: Parameters = {}) -> int:
        """Run an INSERT of one row; return its identifier."""
        self.wrote = True
        async with self._run(sql, self._bind(sql, parameters)) as cursor:
            identifier: int = cursor.lastrowid
            return identifier

    def _escaped(self, names: Iterable[str], parameters: Parameters) -> dict[str, str]:
        literal = self._session.connection.literal
        return {name: literal(parameters[name]) for name in names}

    def _bind(self, sql: str, parameters: Parameters) -> str:
        template, names = translate(sql)
        return template % self._escaped(names, parameters)

    @contextlib.asynccontextmanager
    async def _run(self, sql: str, bound: str) -> AsyncIterator[Any]:
        """Send a statement and yield its cursor.

        :raises InvalidParams: it is larger than the database takes; the server would drop the connection.
        """
        if len(bound) * 4 > self._packet and len(bound.encode()) + 1 > self._packet:
            raise InvalidParams(f"The data are too large for the database (max_allowed_packet is {self._packet})")
        begin = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout), self._session.connection.cursor() as cursor:
                await cursor.execute(bound)
                yield cursor
        except TimeoutError:
            self._session.close()
            raise driver.OperationalError(3024, f"no answer within {self._timeout} s") from None
        finally:
            self._watch(self.name, sql, time.perf_counter() - begin)
