"""Runs transactions by name for every engine: retries, timing, statistics, and what failures mean."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ..core.errors import StorageUnavailable, TMError
from .circuit import Circuit, Failure

logger = logging.getLogger(__name__)
T = TypeVar("T")

RACES = 3
"""How often a transaction that lost a race for a unique key is run again before it counts as a bug."""
OPENING = ("open", "connect")
"""What is tried before there is a server: whoever gets its failure tells it."""
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.5


@dataclass(slots=True)
class Statistics:
    """Of all transactions of one name. Times are seconds, waiting included."""

    runs: int = 0
    failures: int = 0
    retries: int = 0
    seconds: float = 0.0
    longest: float = 0.0


@dataclass
class Runner:
    """Runs attempts until one succeeds or time is up.

    :param classify: what an exception means; None for one that is not the engine's business.
    :param timeout: seconds for all attempts together.
    :param slow: seconds above which a transaction or statement is logged; 0 logs none.
    """

    classify: Callable[[Exception], Failure | None]
    timeout: float = 10.0
    slow: float = 1.0
    statistics: dict[str, Statistics] = field(default_factory=dict)
    circuit: Circuit = field(init=False)

    def __post_init__(self) -> None:
        self.circuit = Circuit(self.classify)

    async def run(self, name: str, attempt: Callable[[], Awaitable[T]], *, read: bool = False) -> T:
        """Return what *attempt* returns, trying again as long as the engine asks for it and time allows.

        :param read: it only reads, which may go on when writes do not.
        :raises StorageUnavailable: the database is gone, or still busy when time is up; at once where somebody else
            has found that out already, see ``circuit``.
        """
        self.circuit.check(read=read)
        begin = time.perf_counter()
        statistics = self.statistics.setdefault(name, Statistics())
        tries, told, last = 0, False, ""
        try:
            while True:
                tries += 1
                try:
                    return await attempt()
                except TMError:
                    raise
                except Exception as error:
                    last = f", the last failure being: {said(error)}"
                    told = await self._pause(name, error, tries, begin, told)
                self.circuit.check(read=read)
        except BaseException:
            statistics.failures += 1
            raise
        finally:
            seconds = time.perf_counter() - begin
            statistics.runs += 1
            statistics.retries += tries - 1
            statistics.seconds += seconds
            statistics.longest = max(statistics.longest, seconds)
            if 0 < self.slow < seconds:
                logger.warning("transaction %s took %.3f s in %d attempt(s)%s", name, seconds, tries, last)

    async def _pause(self, name: str, error: Exception, tries: int, begin: float, told: bool) -> bool:
        """Wait before the next attempt, or raise what the caller gets instead of it.

        :param told: whether it was logged that this takes long.
        :return: the same, now.
        """
        failure = self.classify(error)
        if failure is None or (failure.kind == "race" and tries > RACES):
            raise error
        # full jitter: callers that collided must not collide again
        pause = random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**tries))
        spent = time.perf_counter() - begin
        if failure.kind == "gone" or spent + pause > self.timeout:
            if name not in OPENING:
                logger.error("transaction %s failed after %d attempt(s), %.1f s: %s", name, tries, spent, said(error))
            self.circuit.open(failure)
            raise StorageUnavailable(failure.message) from error
        if not told and 0 < self.slow < spent:
            told = True
            logger.info(
                "transaction %s waits, and tries again until %g s are over: %s", name, self.timeout, said(error)
            )
        logger.debug("transaction %s runs again (%s)", name, said(error))
        await asyncio.sleep(pause)
        return told

    def failed(self, name: str, error: Exception) -> Exception:
        """Return what the caller of *name* gets for an error after which there is no other attempt."""
        self.statistics.setdefault(name, Statistics()).failures += 1
        failure = None if isinstance(error, TMError) else self.classify(error)
        if failure is None:
            return error
        logger.error("%s failed halfway: %s", name, said(error))
        return StorageUnavailable(failure.message)

    def statement(self, name: str, sql: str, seconds: float) -> None:
        """Log a statement of transaction *name* that took long."""
        if 0 < self.slow < seconds:
            logger.warning("a statement of %s took %.3f s: %s", name, seconds, " ".join(sql.split())[:1000])


def said(error: Exception) -> object:
    """Return what an engine's exception says: some are pairs of a number and a sentence."""
    return error.args[1] if len(error.args) == 2 and isinstance(error.args[0], int) else error
