"""A small pool of connections to MariaDB or MySQL, on the first of several hosts that serves."""

import asyncio
import contextlib
import logging
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import ConfigurationError
from ..lanes import Lanes
from .driver import driver
from .errors import UNKNOWN_THREAD, ReadOnly, code
from .session import VARIABLES, Session, check_version, notice_silence, session_settings
from .target import Host, Target

logger = logging.getLogger(__name__)

# how long a host that failed is asked last
HOST_PENALTY = 10.0
# connections are made anew after this time, so that a host that came back is used again
LIFETIME = 3600.0
# capability flags: count rows matched, not rows changed; take several statements in one packet. ``verbs`` says why the
# latter is safe, and this driver sets it anyway
_FLAGS = 2 | 2**16


class Unfit(Exception):
    """The host answers but cannot serve now: it is not part of the cluster's primary component."""


@dataclass(slots=True)
class Pool:
    """Up to *size* connections, made when needed, given out last in first out.

    :param timeout: seconds to wait for a connection, and for a lock.
    :param statement_timeout: seconds that one statement may take.
    :param tls: TLS to the database; a server without TLS is then refused.
    :param share: the share of the connections that one caller may hold, see ``Lanes``.
    :param writes: a host that only reads will not do; else it will, where there is no other.
    """

    target: Target
    size: int = 10
    timeout: float = 10.0
    statement_timeout: float = 300.0
    tls: ssl.SSLContext | None = None
    share: float = 0
    writes: bool = True
    _idle: deque[Session] = field(default_factory=deque, init=False)
    _places: Lanes = field(init=False)
    _failed: dict[Host, float] = field(default_factory=dict, init=False)
    _ending: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        share = ", or your share of them," if self.share else ""
        full = f"Every connection to the database that {'writes' if self.writes else 'reads'}{share} is busy"
        self._places = Lanes(self.size, share=self.share, wait=self.timeout, full=full)

    @property
    def full(self) -> bool:
        """Whether every connection is at work."""
        return not self._places.free

    async def acquire(self, caller: str = "") -> Session:
        """Return a session that is alone with its caller until ``release``.

        :param caller: on whose behalf, see ``Lanes``.
        :raises StorageUnavailable: none became free in time.
        :raises driver.Error: no host can be reached.
        """
        await self._places.enter(caller)
        try:
            session = self._take() or await self.connect()
        except BaseException:
            self._places.leave(caller)
            raise
        session.caller = caller
        return session

    def _take(self) -> Session | None:
        now = time.monotonic()
        while self._idle:
            session = self._idle.pop()
            # a host that takes changes again is noticed soon
            lifetime = HOST_PENALTY if session.read_only else LIFETIME
            if session.born + lifetime > now and not session.connection.closed:
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
        self._places.leave(session.caller)

    def abandon(self, session: Session) -> None:
        """Take back a session whose statement nobody waits for any more; the server goes on with it until told."""
        session.close()
        task = asyncio.create_task(self._kill(session), name=f"end a statement at {session.host}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _kill(self, session: Session) -> None:
        """End what the server does for *session*; only then is its place free."""
        try:
            killer = await self._connect(session.host)
            try:
                # behind one address another server may answer now, where the number is somebody else's
                if killer.number[:2] == session.number[:2]:
                    await killer.query(f"KILL {session.number[2]}")
            finally:
                killer.close()
        except (driver.Error, OSError, Unfit, ConfigurationError) as error:
            if code(error) != UNKNOWN_THREAD:
                logger.info("a statement at %s could not be ended: %s", session.host, error)
        finally:
            self._places.leave(session.caller)

    def blame(self, host: Host) -> None:
        """Ask *host* last for a while and drop its idle connections: one of them failed."""
        self._failed[host] = time.monotonic() + HOST_PENALTY
        for session in [session for session in self._idle if session.host == host]:
            self._idle.remove(session)
            session.close()

    async def close(self) -> None:
        """Wait until every session is back, then close them. The pool can be used again afterwards."""
        await self._places.empty()
        while self._idle:
            session = self._idle.pop()
            with contextlib.suppress(driver.Error, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await session.connection.ensure_closed()
            session.close()

    async def connect(self) -> Session:
        """Return a new session on the first host that serves; hosts that failed lately are asked last.

        :raises ReadOnly: none takes changes, which are wanted, and some would read.
        :raises driver.Error: none answers; the error is the last host's.
        """
        now = time.monotonic()
        failure: Exception | None = None
        reading: list[Session] = []
        try:
            for host in sorted(self.target.hosts, key=lambda host: self._failed.get(host, 0) > now):
                try:
                    session = await self._connect(host)
                except (driver.Error, OSError, Unfit) as error:
                    failure = error
                    self.blame(host)
                    if len(self.target.hosts) > 1:
                        logger.warning("database host %s: %s", host, error)
                else:
                    if not session.read_only:
                        self._failed.pop(host, None)
                        return session
                    reading.append(session)
                    self._failed[host] = now + HOST_PENALTY
            if reading and not self.writes:
                return reading.pop(0)
        finally:
            for session in reading:
                session.close()
        if reading:
            raise ReadOnly(everywhere=len(reading) == len(self.target.hosts))
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
            client_flag=_FLAGS,
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
        names = ", ".join(f"'{name}'" for name in VARIABLES)
        session.variables = dict(await session.query(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})"))
        check_version(session)
        if (
            self.tls is not None
            and not dict(await session.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))["Ssl_cipher"]
        ):
            raise ConfigurationError(f"storage.tls: the database at {host} does not offer TLS")
        if session.clustered:
            ready = dict(await session.query("SHOW STATUS LIKE 'wsrep_ready'"))
            if ready.get("wsrep_ready") != "ON":
                raise Unfit("not part of the cluster's primary component")
        for statement in session_settings(session, self.timeout, self.statement_timeout, writes=self.writes):
            await session.query(statement)
        return session
