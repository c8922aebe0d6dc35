"""What is known of a database that is down: calls are refused at once, instead of each finding out for itself."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from ..core.errors import StorageUnavailable

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
"""How often a database that is down is asked whether it answers again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What an engine's exception means.

    :param kind: ``busy``: run the whole transaction again; ``race``: likewise, but it may also be a bug;
        ``gone``: the database cannot be used.
    :param message: one sentence for the caller.
    :param outage: what is down when a call fails for this in the end: nothing but the call (``""``), everything, or
        everything that writes.
    """

    kind: Literal["busy", "race", "gone"]
    message: str
    outage: Literal["", "all", "writes"] = ""


@dataclass
class Circuit:
    """Remembers an outage until the database answers a probe.

    :param classify: what an exception means; None for one that is not the engine's business.
    """

    classify: Callable[[Exception], Failure | None]
    outage: Failure | None = field(default=None, init=False)
    _probe: Callable[[], Awaitable[None]] | None = field(default=None, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    @property
    def trouble(self) -> str | None:
        """What is the matter, as a sentence; None when nothing is known to be."""
        return None if self.outage is None else self.outage.message

    def arm(self, probe: Callable[[], Awaitable[None]]) -> None:
        """Remember outages from now on.

        :param probe: returns when the database does everything again, and raises when it does not.
        """
        self._probe = probe

    async def disarm(self) -> None:
        """Forget everything; the probes have ended then."""
        self._probe = self.outage = None
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def check(self, *, read: bool) -> None:
        """Refuse what the database is known not to do.

        :raises StorageUnavailable: it is down, or only reads and the caller wants to write.
        """
        if self.outage is not None and not (read and self.outage.outage == "writes"):
            raise StorageUnavailable(self.outage.message)

    def open(self, failure: Failure) -> None:
        """Refuse calls from now on, until a probe succeeds; the first one goes at once."""
        if self._probe is None or not failure.outage:
            return
        if self.outage is None:
            logger.error("calls are refused until the database answers again: %s", failure.message)
            self._task = asyncio.create_task(self._recover(self._probe), name="probe the database")
        self.outage = failure

    async def _recover(self, probe: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await probe()
            except Exception as error:
                found = self.classify(error)
                if found is not None and found.outage:
                    self.outage = found
                logger.debug("the database is not back yet: %s", error)
                await asyncio.sleep(PROBE_SECONDS)
            else:
                break
        logger.warning("the database answers again")
        self.outage = self._task = None
