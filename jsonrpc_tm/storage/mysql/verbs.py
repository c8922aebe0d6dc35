"""The verbs on one session of MariaDB or MySQL, and which statements travel together.

A round trip costs more than most statements. So the beginning of a transaction goes with its first statement, what
``soon`` was given with the next one, and what ``last`` was given with COMMIT, as one packet of several statements.

A server that takes several statements at once makes an injection worse: text that breaks out of its place could begin
a statement of its own. None can here. Values are literals (``literals``), in a session whose ``sql_mode`` and character
set are ours. The text around them must not contain a semicolon (``_translate``), whoever wrote it and whatever was
pasted into it; only ``_send`` writes some, between statements that it was given one by one, and it counts the answers.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ...core.breath import Breath
from ...core.errors import InvalidParams
from .. import keys
from ..base import Batch, CallKey, Parameters, Row, chunks
from ..dialect import Dialect
from .answers import Answer
from .driver import driver
from .errors import DEADLOCK, HELD, TOO_LONG, code, refused_by_server
from .literals import literal, literals, portions
from .marks import Mark, key_mark
from .session import Session
from .statements import BEGIN, BEGIN_READING, COMMIT, Statement, inserting, length, translate

logger = logging.getLogger(__name__)

# a comment at the end of a statement must not swallow the next one
_BETWEEN = "\n;"
LONG = 64 * 1024
"""Characters of a statement that is put off after which others have their turn, as they have while one is sent."""
# bytes of a packet that are left free for the statements that begin and end a transaction
_SPARE = 1024
# rows whose work takes about as long as a turn on the event loop may take, see ``core.breath``
_MANY = 2000
T = TypeVar("T")


class MySQLTransaction:
    """The verbs on one session.

    :param watch: called with name, SQL and seconds of every statement.
    :param timeout: seconds that one statement may take.
    :param read: whether the transaction only reads; None for verbs without a transaction, where each statement
        commits itself and may contain others (a trigger's).
    """

    __slots__ = (
        "_done",
        "_last",
        "_opening",
        "_packet",
        "_put",
        "_read",
        "_soon",
        "_timeout",
        "_watch",
        "dialect",
        "mark",
        "name",
        "sent",
        "session",
        "wrote",
    )

    def __init__(
        self,
        session: Session,
        name: str,
        watch: Callable[[str, str, float], None],
        timeout: float | None,
        read: bool | None = None,
    ) -> None:
        self.dialect: Dialect = session.dialect
        self.session = session
        self.name = name
        self.wrote = False
        self.mark: Mark | None = None
        """What tells whether it happened, where it has written such a row."""
        self.sent = False
        """Whether the server has heard of this transaction."""
        self._watch = watch
        self._timeout = timeout
        self._read = read
        self._packet = int(session.variables["max_allowed_packet"])
        self._opening = () if read is None else (BEGIN_READING if read else BEGIN,)
        self._soon: list[Statement] = []
        self._last: list[Statement] = []
        # characters of both
        self._put = 0
        self._done = 0

    async def execute(self, sql: str, parameters: Parameters = {}) -> int:
        """Run a statement; return the number of rows it matched."""
        self.wrote = True
        answer = await self._next(self.bind(sql, parameters))
        if self._read is False and "IGNORE" in sql and not self.session.in_transaction:
            # MariaDB 10.11 hides a deadlock from who ignores errors: it would do the rest outside of the transaction
            raise driver.OperationalError(DEADLOCK, "the transaction was rolled back, and nothing said so")
        return answer.count

    async def executemany(self, sql: str, parameters: Sequence[Parameters]) -> int:
        """Run a statement once for each set of parameters; an INSERT as few statements with many rows each."""
        self.wrote = True
        return sum([(await self._next(statement)).count for statement in self._many(sql, parameters)])

    def _many(self, sql: str, parameters: Sequence[Parameters]) -> Iterator[Statement]:
        template, names = self._translate(sql)
        parts = inserting(template)
        if parts is None:
            yield from (self.bind(sql, each) for each in parameters)
            return
        head, row, tail = parts
        room = self._packet - 4 * (len(head) + len(tail)) - _SPARE
        for some in portions((row % self._escaped(names, each) for each in parameters), room):
            yield Statement(sql, head + ",".join(some) + tail)

    async def fetch_all(self, sql: str, parameters: Parameters = {}) -> list[Row]:
        """Return all rows."""
        answer = await self._next(self.bind(sql, parameters))
        found, breath = [], Breath()
        for some in chunks(answer.rows, 1000):
            found += [dict(zip(answer.names, values, strict=True)) for values in some]
            await breath.taken()
        return found

    async def fetch_rows(self, sql: str, parameters: Parameters = {}) -> Batch:
        """Return all rows as tuples."""
        return (await self._next(self.bind(sql, parameters))).rows

    async def fetch_one(self, sql: str, parameters: Parameters = {}) -> Row | None:
        """Return the first row, None without one."""
        answer = await self._next(self.bind(sql, parameters))
        return dict(zip(answer.names, answer.rows[0], strict=True)) if answer.rows else None

    async def fetch_value(self, sql: str, parameters: Parameters = {}) -> Any:
        """Return the first column of the first row, None without a row."""
        rows = (await self._next(self.bind(sql, parameters))).rows
        return rows[0][0] if rows else None

    async def fetch_column(self, sql: str, parameters: Parameters = {}) -> list[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in (await self._next(self.bind(sql, parameters))).rows]

    async def insert(self, sql: str, parameters: Parameters = {}) -> int:
        """Run an INSERT of one row; return its identifier."""
        self.wrote = True
        return (await self._next(self.bind(sql, parameters))).identifier

    async def insert_texts(
        self, table: str, column: str, texts: Sequence[str], others: Parameters, identifier: str
    ) -> list[int]:
        """Insert rows by as few statements as there is room for, which give the identifiers where the server can."""
        self.wrote = True
        connection = self.session.connection
        head = f"INSERT INTO {table} ({', '.join([column, *others])}) VALUES "
        tail = f" ON DUPLICATE KEY UPDATE {column} = {table}.{column}"
        if returns := self.session.flavour == "MariaDB":
            tail += f" RETURNING {identifier}"
        common = "".join(f",{literal(connection, value)}" for value in others.values())
        rows = (f"({text}{common})" for text in literals(connection, texts))
        ids: list[int] = []
        for some in portions(rows, self._packet - 4 * (len(head) + len(tail)) - _SPARE):
            ids += [row[0] for row in (await self._next(Statement(head + tail, head + ",".join(some) + tail))).rows]
        if returns:
            return ids
        wanted = f"{self.dialect.array('texts')} AS wanted STRAIGHT_JOIN {table} ON {column} = wanted.value"
        look = f"SELECT {identifier} FROM {wanted} ORDER BY wanted.position"
        return await self.fetch_column(look, {"texts": self.dialect.pack(texts)})

    async def soon(self, sql: str, parameters: Parameters | Sequence[Parameters] = {}) -> None:
        """Run a statement together with the next one, or now where none follows or the packet would be too large.

        A node of a cluster takes no packets of several, see ``_send_all``.
        """
        await self._put_off(self._soon, sql, parameters, now=self.session.clustered)

    async def last(self, sql: str, parameters: Parameters | Sequence[Parameters] = {}) -> None:
        """Run a statement together with COMMIT, or now where none follows or the packet would be too large."""
        await self._put_off(self._last, sql, parameters)

    async def _put_off(
        self, queue: list[Statement], sql: str, parameters: Parameters | Sequence[Parameters], now: bool = False
    ) -> None:
        self.wrote = True
        for statement in (
            [self.bind(sql, parameters)] if isinstance(parameters, Mapping) else self._many(sql, parameters)
        ):
            put = self._put + len(statement.bound)
            if now or self._read is not False:
                await self._next(statement)
            elif 4 * put <= self._packet - _SPARE:
                queue.append(statement)
                before, self._put = self._put, put
                if put // LONG > before // LONG:  # they took some milliseconds to write
                    await asyncio.sleep(0)
            else:
                # in their order, which is that of the queues
                waiting = [*self._soon, *(self._last if queue is self._last else ())]
                self._soon.clear()
                queue.clear()
                self._put = length(self._last)
                if waiting:
                    await self._send_all(waiting)
                await self._send(statement)

    def _fits(self, *statements: Statement) -> bool:
        return 4 * length(statements) <= self._packet - _SPARE

    async def _next(self, statement: Statement) -> Answer:
        """Send a statement after those that were to be done soon; return its answer."""
        if not self._soon:
            return await self._send(statement)
        waiting, self._soon = self._soon, []
        self._put -= length(waiting)
        try:
            if self._fits(*waiting, statement):
                return await self._send(*waiting, statement)
            await self._send_all(waiting)
        except driver.Error:
            # a body that goes on after the error must not commit without them
            self._soon = waiting[max(self._done, 0) :]
            self._put += length(self._soon)
            raise
        return await self._send(statement)

    async def aside(self, size: int, function: Callable[..., T], *args: Any) -> T:
        """Call it, for many rows in a thread: the body runs on the event loop, which 10,000 keep for 10 to 40 ms."""
        return await asyncio.to_thread(function, *args) if size > _MANY else function(*args)

    async def claim(self, key: CallKey) -> str | None:
        """Claim a key; its new row is the mark of this transaction."""
        try:
            row = await self.fetch_one(keys.FIND + self.dialect.for_update_now, {"name": key.name})
        except driver.Error as error:
            if code(error) in HELD:
                raise keys.KeyInUse from None
            raise
        if (result := keys.kept(row, key)) is None:
            mark = key_mark(key)
            await keys.take(self, key, there=row is not None, attempt=mark.parameters["attempt"])
            # a row that was there before would tell nothing about a transaction that comes later
            self.mark = mark if row is None else None
        return result

    @property
    def blank(self) -> bool:
        """Whether nothing was asked of the server, and nothing is left to ask."""
        return not (self.sent or self._soon or self._last)

    async def begin(self) -> None:
        """Begin the transaction now, if no statement has."""
        if self._opening:
            await self._send()

    async def commit(self, mark: Statement | None = None) -> bool:
        """Send what was put off, *mark* and COMMIT as one packet; return False when the outcome is not known.

        :param mark: a statement that tells later whether the transaction happened.
        :raises driver.Error: the server refused one of them before it came to COMMIT, so that nothing has happened.
        :raises InvalidParams: see ``_send``.
        """
        statements = [*self._soon, *self._last, *([] if mark is None else [mark]), COMMIT]
        try:
            await self._send_all(statements)
        except (driver.Error, OSError) as error:
            before = self._done < len(statements) - 1
            if before and refused_by_server(error) and not self.session.connection.closed:
                raise
            logger.info("COMMIT failed at %s: %s", self.session.host, error)
            return False
        return True

    def _translate(self, sql: str) -> tuple[str, tuple[str, ...]]:
        if ";" in sql and self._read is not None:
            raise ValueError("a verb takes one statement, and no semicolon: bind texts that contain one")
        return translate(sql)

    def _escaped(self, names: Iterable[str], parameters: Parameters) -> dict[str, str]:
        connection = self.session.connection
        return {name: literal(connection, parameters[name]) for name in names}

    def bind(self, sql: str, parameters: Parameters) -> Statement:
        """Return a statement with its parameters in place.

        :raises ValueError: see ``translate``; or it contains a semicolon.
        """
        template, names = self._translate(sql)
        return Statement(sql, template % self._escaped(names, parameters))

    async def _send_all(self, statements: Sequence[Statement]) -> None:
        """Send statements as one packet where the server can be trusted with it; ``_done`` as in ``_send``.

        A node of a cluster cannot. When a transaction of another node is given precedence between two statements of a
        packet, MariaDB 10.11 forgets to say so: it does the rest of the packet outside of the transaction that it has
        rolled back, and COMMIT succeeds. Measured: 1 acknowledged change in 100 was lost.
        """
        done = 0
        packets = [[statement] for statement in statements] if self.session.clustered else [statements]
        try:
            for packet in packets:
                self._done = 0
                await self._send(*packet)
                done += len(packet)
            self._done = 0
        finally:
            self._done += done

    async def _send(self, *statements: Statement) -> Answer:
        """Send statements as one packet, after those that begin the transaction; return the last one's answer.

        ``_done`` is the number of *statements* that the server has done.

        :raises InvalidParams: it is larger than the database takes; the server would drop the connection.
        :raises driver.Error: one failed, and those after it were not done; or the connection was lost.
        """
        packet = _BETWEEN.join([*self._opening, *(statement.bound for statement in statements)])
        if len(packet) * 4 > self._packet and len(packet.encode()) + 1 > self._packet:
            raise InvalidParams(f"The data are too large for the database (max_allowed_packet is {self._packet})")
        self.sent = True
        self._done = -len(self._opening)
        begin = since = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout) as clock:
                answers = await self.session.ask(packet)
                while True:
                    answer = await answers.next()
                    begin = self._answered(statements, begin)
                    if self._done == len(statements):
                        break
                    # a timer for each of several short ones would cost more than they do
                    if self._timeout is not None and begin - since > self._timeout / 100:
                        since = begin
                        clock.reschedule(asyncio.get_running_loop().time() + self._timeout)
                    if not answer.more:
                        raise driver.InternalError("fewer answers than statements")
                if answer.more:
                    while answer.more:
                        answer = await answers.next()
                    raise driver.NotSupportedError("more answers than statements")
                return answer
        except BaseException as error:
            failed = statements[max(self._done, 0) : self._done + 1]
            self._watch(self.name, failed[0].sql if failed else BEGIN, time.perf_counter() - begin)
            if isinstance(error, TimeoutError):
                self.session.close()
                raise driver.OperationalError(TOO_LONG, f"no answer within {self._timeout} s") from None
            raise

    def _answered(self, statements: Sequence[Statement], begin: float) -> float:
        """Note the answer to one more statement, that began at *begin*; return the time."""
        now = time.perf_counter()
        self._done += 1
        if self._done > 0:
            self._watch(self.name, statements[self._done - 1].sql, now - begin)
        elif self._done == 0:
            self._opening = ()
        return now
