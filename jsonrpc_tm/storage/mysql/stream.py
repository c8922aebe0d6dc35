"""The rows of a long query, read as they come: the server sends no faster than they are taken."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..base import Batch, Select
from ..runner import Runner
from .answers import Answers
from .driver import driver
from .errors import HOST_FAULTS, TOO_LONG, code
from .pool import Pool
from .session import Session
from .verbs import MySQLTransaction

H = TypeVar("H")


class MySQLSource:
    """The source of one stream (``streams.Source``).

    :param pool: that of the streams, where a session is free.
    """

    def __init__(self, pool: Pool, runner: Runner, name: str) -> None:
        self.sql = ""
        self._pool = pool
        self._runner = runner
        self._name = name
        self._session: Session | None = None
        self._answers: Answers | None = None

    async def start(
        self, open: Callable[[MySQLTransaction], Awaitable[tuple[H, Select]]], size: int
    ) -> tuple[H, Batch]:
        """Begin the transaction; see ``streams.Source``."""
        self._session = session = await self._pool.acquire()
        limit = self._pool.statement_timeout
        try:
            tx = MySQLTransaction(session, self._name, self._runner.statement, limit, read=True)
            head, query = await open(tx)
            self.sql = query.sql
            statement = tx.bind(query.sql, query.parameters)
            await tx.begin()
            async with asyncio.timeout(limit):
                self._answers = await session.ask(statement.bound)
                await self._answers.begun()
                return head, await self.fetch(size)
        except TimeoutError:
            raise driver.OperationalError(TOO_LONG, f"no rows within {limit} s") from None
        except Exception as error:
            if code(error) in HOST_FAULTS:
                self._pool.blame(session.host)
            raise

    async def fetch(self, size: int) -> Batch:
        """Return the next rows; see ``streams.Source``."""
        assert self._answers is not None
        return await self._answers.some(size)

    async def close(self, *, whole: bool) -> None:
        """Give the session back; one with rows on the way is ended: nothing else stops a server that finds them."""
        if self._session is None:
            return
        session, self._session = self._session, None
        # the driver closes a connection on which somebody stops waiting
        if session.connection.closed or not (whole or self._answers is None):
            self._pool.abandon(session)
            return
        with contextlib.suppress(driver.Error, OSError):
            await session.leave()
        self._pool.release(session, reusable=True)
