"""One attempt of a transaction on a session of the pool, and certainty about its outcome.

COMMIT travels with the statements before it, a mark among them. An error that the server answers before it comes to
COMMIT means that nothing happened. When COMMIT itself fails, or the connection is lost on the way, the mark tells.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...core.errors import StorageUnavailable
from ..runner import Runner
from .driver import driver
from .errors import DUPLICATE, HOST_FAULTS, LOST, TOO_LONG, NotCommitted, code
from .marks import Mark, own_mark
from .pool import Pool
from .verbs import MySQLTransaction

logger = logging.getLogger(__name__)
T = TypeVar("T")

KEPT = 600
"""Seconds that a mark is kept; no transaction asks for its outcome that long."""
PRUNED = 5000
"""Marks that one transaction deletes."""


async def prune(tx: MySQLTransaction) -> int:
    """Delete some old marks; return how many."""
    return await tx.execute(
        "DELETE FROM CommitMarkers WHERE CreatedAt < UTC_TIMESTAMP() - INTERVAL :kept SECOND LIMIT :rows",
        {"kept": KEPT, "rows": PRUNED},
    )


class Attempts:
    """Runs attempts of transactions.

    :param pool: for those that write.
    :param reading: for those that only read.
    :param runner: says for how long an outcome is looked for.
    """

    def __init__(self, pool: Pool, reading: Pool, runner: Runner) -> None:
        self.pool = pool
        self.reading = reading
        self.runner = runner
        # commits whose callers went away
        self._alone: set[asyncio.Task[None]] = set()

    async def run(self, name: str, body: Callable[[MySQLTransaction], Awaitable[T]], read: bool, caller: str = "") -> T:
        """Run *body* as one transaction.

        :raises driver.Error: it failed and has changed nothing.
        :raises NotCommitted: likewise, when it committed.
        :raises StorageUnavailable: no connection became free; or nobody can tell the outcome.
        """
        pool = self.reading if read else self.pool
        session = await pool.acquire(caller)
        tx = MySQLTransaction(session, name, self.runner.statement, pool.statement_timeout, read)
        try:
            result = await body(tx)
        except Exception as error:
            await self._give_up(tx, error, pool)
            raise
        except BaseException:
            # the server takes back what is open when its connection ends
            if tx.sent:
                pool.abandon(session)
            else:
                pool.release(session, reusable=False)
            raise
        if read or tx.blank:
            await self._leave(tx, pool)
        else:
            await self._shielded(tx)
        return result

    async def _leave(self, tx: MySQLTransaction, pool: Pool) -> None:
        """End a transaction that has changed nothing, and release its session."""
        reusable = False
        try:
            if tx.sent:
                await tx.session.leave()
            reusable = True
        finally:
            pool.release(tx.session, reusable=reusable)

    async def _give_up(self, tx: MySQLTransaction, error: Exception, pool: Pool) -> None:
        """Undo what a transaction did that failed, and release its session."""
        if code(error) == TOO_LONG and tx.session.connection.closed:
            pool.abandon(tx.session)
            return
        reusable = False
        try:
            if code(error) in HOST_FAULTS:
                pool.blame(tx.session.host)
            elif tx.sent:
                async with asyncio.timeout(pool.statement_timeout):
                    await tx.session.query("ROLLBACK")
                reusable = True
            else:
                reusable = True
        except (driver.Error, OSError) as another:  # TimeoutError is one
            logger.info("ROLLBACK failed at %s: %s", tx.session.host, another)
        finally:
            pool.release(tx.session, reusable=reusable)

    async def _shielded(self, tx: MySQLTransaction) -> None:
        """Commit, to the end even where the caller is cancelled meanwhile: what is on its way cannot be called back."""
        task = asyncio.create_task(self._commit(tx), name=f"commit {tx.name}")
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            self._alone.add(task)
            task.add_done_callback(self._tell)
            raise

    def _tell(self, task: asyncio.Task[None]) -> None:
        self._alone.discard(task)
        if task.cancelled():
            logger.warning("%s was stopped with its caller; its outcome is unknown", task.get_name())
        elif error := task.exception():
            logger.warning("%s, whose caller went away, has failed: %s", task.get_name(), error)
        else:
            logger.info("%s, whose caller went away, is done", task.get_name())

    async def _commit(self, tx: MySQLTransaction) -> None:
        """Commit and release the session."""
        mark = tx.mark or (own_mark() if tx.wrote else None)
        try:
            made = tx.bind(mark.make, mark.parameters) if mark is not None and mark.make else None
            if not await tx.commit(made):
                await self._settle(tx, mark)
        except Exception as error:
            await self._give_up(tx, error, self.pool)
            raise
        except BaseException:
            self.pool.release(tx.session, reusable=False)
            raise
        self.pool.release(tx.session, reusable=True)

    async def _settle(self, tx: MySQLTransaction, mark: Mark | None) -> None:
        """Find out what became of a transaction that was lost while it committed; return when it happened.

        On a cluster even a deadlock reported for COMMIT may hide a node that left while it committed: only the mark
        tells.

        :param mark: None when it wrote nothing, so that there is nothing to lose.
        :raises NotCommitted: it did not happen, and cannot any more.
        :raises StorageUnavailable: nobody can tell in time.
        """
        # the server must roll back what it still holds, or the mark could not be looked up
        tx.session.close()
        if mark is None:
            return
        deadline = time.monotonic() + self.runner.timeout
        while True:
            try:
                committed = await self.look_up(mark)
            except (driver.Error, OSError) as error:
                logger.debug("the mark of %s cannot be looked up: %s", tx.name, error)
                if time.monotonic() > deadline:
                    logger.error("the outcome of %s is unknown: %s", tx.name, error)
                    raise StorageUnavailable(
                        "The database was lost while it committed; nobody can tell the outcome", outcome="unknown"
                    ) from error
                await asyncio.sleep(random.uniform(0.05, 0.5))
                continue
            if not committed:
                raise NotCommitted("the connection was lost during COMMIT, which did not happen")
            return

    async def look_up(self, mark: Mark) -> bool:
        """Return whether the transaction with this mark happened; if not, see to it that it never will.

        The row is inserted, not only looked for: that waits for a COMMIT which is at work, and keeps one that arrives
        later, with the same row before it, from succeeding.

        :raises driver.Error: it cannot be told now.
        """
        session = await self.pool.connect()
        try:
            tx = MySQLTransaction(session, "look up a mark", self.runner.statement, self.pool.timeout * 2, read=False)
            try:
                await tx.execute(mark.take, mark.parameters)
            except driver.IntegrityError as error:
                if code(error) != DUPLICATE:
                    raise
                found = await tx.fetch_value(mark.look, mark.parameters)
                if found is None:
                    raise driver.OperationalError(LOST, "the mark is there and is not") from None
                return bool(found)
            if not await tx.commit():
                raise driver.OperationalError(LOST, "the mark may be there or not")
            return False
        finally:
            session.close()
