"""One connection with its settings made: what a server must be, and what a session is told."""

import math
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import ConfigurationError
from ..dialect import GALERA, MYSQL, MYSQL8, MySQL
from ..streams import STALL_SECONDS
from .answers import Answers
from .driver import driver
from .target import Host

MINIMUM_VERSIONS = {"MariaDB": (10, 6), "MySQL": (8, 0)}
_IN_TRANSACTION = driver.connection.SERVER_STATUS.SERVER_STATUS_IN_TRANS
VARIABLES = ("version", "read_only", "super_read_only", "wsrep_on", "max_allowed_packet", "hostname", "port")
"""What a server is asked of itself."""


@dataclass(slots=True)
class Session:
    """One connection with its settings made.

    :param variables: what the server said of itself, see ``VARIABLES``.
    :param unread: the answer to its last statement has not been read yet, see ``leave``.
    :param caller: who has it, see ``Lanes``.
    """

    connection: Any
    host: Host
    variables: Mapping[str, str]
    born: float
    unread: bool = False
    caller: str = ""
    answers: Answers = field(init=False)

    def __post_init__(self) -> None:
        self.answers = Answers(self.connection)

    @property
    def flavour(self) -> str:
        """``MariaDB`` or ``MySQL``."""
        return "MariaDB" if "MariaDB" in self.variables["version"] else "MySQL"

    @property
    def clustered(self) -> bool:
        """Whether the server is a node of a Galera cluster."""
        return self.variables.get("wsrep_on") == "ON"

    @property
    def read_only(self) -> bool:
        """Whether the server took no changes when the connection was made."""
        # newer servers have words for several kinds of it
        return any(self.variables.get(name, "OFF") not in ("OFF", "0") for name in ("read_only", "super_read_only"))

    @property
    def in_transaction(self) -> bool:
        """Whether the server has a transaction open, as it said last."""
        return bool(self.connection.server_status & _IN_TRANSACTION)

    @property
    def number(self) -> tuple[str | None, str | None, int]:
        """What the connection is among all others: the server's name and port, and its own number there."""
        return self.variables.get("hostname"), self.variables.get("port"), self.connection.thread_id()

    @property
    def dialect(self) -> MySQL:
        """The SQL that the server understands."""
        if self.clustered:
            return GALERA
        return MYSQL if self.flavour == "MariaDB" else MYSQL8

    async def ask(self, packet: str) -> Answers:
        """Send one statement or several; return what gives their answers.

        :raises driver.Error: the connection was lost since the last one.
        """
        if self.unread:
            self.unread = False
            await self.answers.next()
        await self.answers.send(packet)
        return self.answers

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement without parameters; return its rows."""
        return (await (await self.ask(sql)).next()).rows

    async def leave(self) -> None:
        """End a transaction that only read, without waiting for the answer: there is nothing in it to know."""
        # with an answer unread, no statement has been sent since, and there is nothing to end
        if not self.connection.closed and not self.unread:
            await self.answers.send("COMMIT")
            self.unread = True

    def close(self) -> None:
        """Drop the connection; the server rolls back what was open."""
        self.connection.close()


def check_version(session: Session) -> None:
    """Refuse servers that lack what the SQL needs (JSON_TABLE, NO PAD collations).

    :raises ConfigurationError: the server is too old.
    """
    version = session.variables["version"]
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    minimum = MINIMUM_VERSIONS[session.flavour]
    if numbers < minimum:
        needed = ".".join(map(str, minimum))
        raise ConfigurationError(f"the database at {session.host} is {version}; {session.flavour} {needed} is needed")


def session_settings(session: Session, timeout: float, statement_timeout: float, *, writes: bool = True) -> list[str]:
    """Return the statements that make a session ready: what servers may be configured to do differently.

    :param writes: it is for transactions that write; else for those that only read, all of one moment.
    """
    variables = {
        # refuse what does not fit a column, instead of cutting it
        "sql_mode": "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'",
        # the driver asks for every warning's text; notes are none
        "sql_notes": 0,
        "time_zone": "'+00:00'",
        "collation_connection": session.dialect.collation,
        "innodb_lock_wait_timeout": math.ceil(timeout),
        "group_concat_max_len": 2**30,
        # a stream whose reader is slow is ended by us, with a better reason
        "net_write_timeout": math.ceil(2 * STALL_SECONDS),
    }
    if session.flavour == "MariaDB":
        variables["max_statement_time"] = statement_timeout
        # a transaction whose server vanished must not hold its locks for wait_timeout (8 hours)
        variables["idle_transaction_timeout"] = math.ceil(max(timeout, 10) * 3)
    if session.clustered:
        # a transaction begins only when the node has applied what was committed before on any node
        variables["wsrep_sync_wait"] = 1
    settings = ", ".join(f"SESSION {name} = {value}" for name, value in variables.items())
    level = "READ COMMITTED" if writes else "REPEATABLE READ"
    return [f"SET {settings}", f"SET SESSION TRANSACTION ISOLATION LEVEL {level}"]


def notice_silence(connection: socket.socket) -> None:
    """Let the system end a connection whose other side has vanished without a word, within half a minute.

    Without this a call would wait for its answer as long as a statement may take.
    """
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4), ("TCP_USER_TIMEOUT", 30_000)):
        if hasattr(socket, name):  # not every system has them all
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
