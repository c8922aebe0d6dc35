"""Connections to MariaDB or MySQL: the URL, the hosts, the session settings and a small pool."""

import asyncio
import configparser
import contextlib
import logging
import math
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...core.errors import ConfigurationError, StorageUnavailable
from ..dialect import GALERA, MYSQL, MYSQL8, MySQL
from ..urls import MYSQL_PORT, server_url
from .driver import driver

logger = logging.getLogger(__name__)

MINIMUM_VERSIONS = {"MariaDB": (10, 6), "MySQL": (8, 0)}
# how long a host that failed is asked last
HOST_PENALTY = 10.0
# connections are made anew after this time, so that a host that came back is used again
LIFETIME = 3600.0
# no credentials, no such database, no right on it: waiting does not help
_REFUSED = {1044, 1045, 1049, 1130, 1142, 1227, 1251, 1275, 1698}
_FOUND_ROWS = 2  # capability flag: count rows matched, not rows changed


@dataclass(frozen=True, slots=True)
class Host:
    """Where a server listens; with *socket* the name and port say nothing."""

    name: str
    port: int = MYSQL_PORT
    socket: str | None = None

    def __str__(self) -> str:
        return self.socket or f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and as whom.

    :param hosts: in the order in which they are tried.
    """

    user: str
    password: str = field(repr=False)
    hosts: tuple[Host, ...]
    database: str


def target(url: str, option_file: Path | None = None) -> Target:
    """Return what a storage URL names.

    :param option_file: fills in what the URL leaves out, see ``read_default_file``.
    :raises ConfigurationError: the URL has another form.
    """
    parts = server_url(url)
    if unknown := sorted(parts.options.keys() - {"socket"}):
        raise ConfigurationError(f"storage.url: unknown option {unknown[0]!r}; there is only socket")
    if "socket" in parts.options:
        hosts: tuple[Host, ...] = (Host("localhost", socket=parts.options["socket"]),)
    else:
        hosts = tuple(Host(name, port) for name, port in parts.hosts)
    found = Target(parts.user, parts.password, hosts, parts.database)
    return found if option_file is None else read_default_file(found, option_file)


def read_default_file(target: Target, path: Path) -> Target:
    """Fill in the user and password that the URL leaves out from ``[client]`` of an option file (``my.cnf``).

    :raises ConfigurationError: the file cannot be read.
    """
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        # !include lines are neither sections nor options; they are not followed
        lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("!")]
        parser.read_string("\n".join(lines))
    except (OSError, ValueError, configparser.Error) as error:
        raise ConfigurationError(f"storage.read_default_file: {path} cannot be read: {type(error).__name__}") from None

    def option(name: str) -> str:
        return (parser.get("client", name, fallback=None) or "").strip("'\"")

    return replace(target, user=target.user or option("user"), password=target.password or option("password"))


def tls_context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return the context for TLS to the database: its certificate and name are verified.

    :param ca: certificates of the authorities; None for the system's.
    :raises ConfigurationError: a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, key)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"storage.tls: {error}") from None
    return context


@dataclass(slots=True)
class Session:
    """One connection with its settings made.

    :param variables: what the server said of itself, see ``_VARIABLES``.
    :param snapshot: its isolation level is REPEATABLE READ (else READ COMMITTED).
    """

    connection: Any
    host: Host
    variables: Mapping[str, str]
    born: float
    snapshot: bool = False

    @property
    def flavour(self) -> str:
        """``MariaDB`` or ``MySQL``."""
        return "MariaDB" if "MariaDB" in self.variables["version"] else "MySQL"

    @property
    def dialect(self) -> MySQL:
        """The SQL that the server understands."""
        if self.variables.get("wsrep_on") == "ON":
            return GALERA
        return MYSQL if self.flavour == "MariaDB" else MYSQL8

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement without parameters; return its rows."""
        async with self.connection.cursor() as cursor:
            await cursor.execute(sql)
            return list(await cursor.fetchall())

    def close(self) -> None:
        """Drop the connection; the server rolls back what was open."""
        self.connection.close()


_VARIABLES = ("version", "read_only", "super_read_only", "wsrep_on", "max_allowed_packet")


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


# by type code of the protocol. Dates have none: they stay text. SUM() of integers is a decimal
_CONVERTERS: dict[int, Callable[[str], Any]] = {
    **dict.fromkeys((1, 2, 3, 8, 9, 13), int),
    **dict.fromkeys((4, 5), float),
    **dict.fromkeys((0, 246), _number),
}


class Unfit(Exception):
    """The host answers but cannot serve now: read only, not part of the cluster, …"""


@dataclass(slots=True)
class Pool:
    """Up to *size* connections, made when needed, given out last in first out.

    :param timeout: seconds to wait for a connection, and for a lock.
    :param statement_timeout: seconds that one statement may take.
    :param tls: TLS to the database; a server without TLS is then refused.
    """

    target: Target
    size: int = 10
    timeout: float = 10.0
    statement_timeout: float = 300.0
    tls: ssl.SSLContext | None = None
    _idle: deque[Session] = field(default_factory=deque, init=False)
    _places: asyncio.Semaphore = field(init=False)
    _failed: dict[Host, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.size)

    async def acquire(self, *, snapshot: bool = False) -> Session:
        """Return a session that is alone with its caller until ``release``.

        :param snapshot: prefer one whose isolation level fits a transaction that only reads.
        :raises StorageUnavailable: none became free in time.
        :raises driver.Error: no host can be reached.
        """
        try:
            async with asyncio.timeout(self.timeout):
                await self._places.acquire()
        except TimeoutError:
            raise StorageUnavailable("Every connection to the database is busy") from None
        try:
            session = self._take(snapshot)
            return session or await self.connect()
        except BaseException:
            self._places.release()
            raise

    def _take(self, snapshot: bool) -> Session | None:
        oldest = time.monotonic() - LIFETIME
        while self._idle:
            session = self._idle[-1]
            for candidate in reversed(self._idle):
                if candidate.snapshot == snapshot:
                    session = candidate
                    break
            self._idle.remove(session)
            if session.born > oldest and not session.connection.closed:
                return session
            session.close()
        return None

    def release(self, session: Session, *, reusable: bool) -> None:
        """Take a session back.

        :param reusable: its transaction has ended and the connection is in order.
        """
        if reusable and not session.connection.closed:
            self._idle.append(session)
        else:
            session.close()
        self._places.release()

    def blame(self, host: Host) -> None:
        """Ask *host* last for a while and drop its idle connections: one of them failed."""
        self._failed[host] = time.monotonic() + HOST_PENALTY
        for session in [session for session in self._idle if session.host == host]:
            self._idle.remove(session)
            session.close()

    async def close(self) -> None:
        """Wait until every session is back, then close them. The pool can be used again afterwards."""
        for _ in range(self.size):
            await self._places.acquire()
        for _ in range(self.size):
            self._places.release()
        while self._idle:
            session = self._idle.pop()
            with contextlib.suppress(driver.Error, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await session.connection.ensure_closed()
            session.close()

    async def connect(self) -> Session:
        """Return a new session on the first host that answers; hosts that failed lately are asked last.

        :raises driver.Error: none does; the error is the last host's.
        """
        now = time.monotonic()
        failure: Exception | None = None
        for host in sorted(self.target.hosts, key=lambda host: self._failed.get(host, 0) > now):
            try:
                session = await self._connect(host)
            except (driver.Error, OSError, Unfit) as error:
                failure = error
                self.blame(host)
                if len(self.target.hosts) > 1:
                    logger.warning("database host %s: %s", host, error)
            else:
                self._failed.pop(host, None)
                return session
        if isinstance(failure, driver.Error):
            raise failure
        raise driver.OperationalError(2003, str(failure))

    async def _connect(self, host: Host) -> Session:
        connection = driver.Connection(
            host=host.name,
            port=host.port,
            unix_socket=host.socket,
            user=self.target.user,
            # the driver encodes passwords as Latin-1, servers hash their UTF-8
            password=self.target.password.encode().decode("latin-1"),
            db=self.target.database,
            charset="utf8mb4",
            client_flag=_FOUND_ROWS,
            conv=_CONVERTERS,
            autocommit=True,
            ssl=self.tls,
            program_name="jsonrpc-tm",
        )
        try:
            async with asyncio.timeout(self.timeout):
                await connection.ping()  # connects; unlike driver.connect() it leaves us the object when cancelled
                if host.socket is None:
                    notice_silence(connection._writer.get_extra_info("socket"))
                return await self._prepare(connection, host)
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise driver.OperationalError(2003, f"{host} does not answer within {self.timeout} s") from None
            raise

    async def _prepare(self, connection: Any, host: Host) -> Session:
        session = Session(connection, host, {}, time.monotonic())
        names = ", ".join(f"'{name}'" for name in _VARIABLES)
        session.variables = dict(await session.query(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})"))
        check_version(session)
        if (
            self.tls is not None
            and not dict(await session.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))["Ssl_cipher"]
        ):
            raise ConfigurationError(f"storage.tls: the database at {host} does not offer TLS")
        if "ON" in (session.variables.get("read_only"), session.variables.get("super_read_only")):
            raise Unfit("read only")
        if session.variables.get("wsrep_on") == "ON":
            ready = dict(await session.query("SHOW STATUS LIKE 'wsrep_ready'"))
            if ready.get("wsrep_ready") != "ON":
                raise Unfit("not part of the cluster's primary component")
        for statement in session_settings(session, self.timeout, self.statement_timeout):
            await session.query(statement)
        return session


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


def session_settings(session: Session, timeout: float, statement_timeout: float) -> list[str]:
    """Return the statements that make a session ready: what servers may be configured to do differently."""
    variables = {
        # refuse what does not fit a column, instead of cutting it
        "sql_mode": "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'",
        # the driver asks for every warning's text; notes are none
        "sql_notes": 0,
        "time_zone": "'+00:00'",
        "collation_connection": session.dialect.collation,
        "innodb_lock_wait_timeout": math.ceil(timeout),
        "group_concat_max_len": 2**30,
    }
    if session.flavour == "MariaDB":
        variables["max_statement_time"] = statement_timeout
        # a transaction whose server vanished must not hold its locks for wait_timeout (8 hours)
        variables["idle_transaction_timeout"] = math.ceil(max(timeout, 10) * 3)
    if session.variables.get("wsrep_on") == "ON":
        # a transaction begins only when the node has applied what was committed before on any node
        variables["wsrep_sync_wait"] = 1
    settings = ", ".join(f"SESSION {name} = {value}" for name, value in variables.items())
    return [f"SET {settings}", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"]


def notice_silence(connection: socket.socket) -> None:
    """Let the system end a connection whose other side has vanished without a word, within half a minute.

    Without this a call would wait for its answer as long as a statement may take.
    """
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4), ("TCP_USER_TIMEOUT", 30_000)):
        if hasattr(socket, name):  # not every system has them all
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def refused(error: BaseException) -> bool:
    """Whether connecting failed for a reason that waiting does not cure."""
    return isinstance(error, driver.Error) and error.args[:1] != () and error.args[0] in _REFUSED
