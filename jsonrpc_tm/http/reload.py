"""Reading configuration and certificates again while the server runs: the whole of it, or nothing."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from ..auth.changed_files import RELOAD, fingerprint
from ..core.clock import answered
from ..core.errors import ConfigurationError
from ..core.records import Health
from ..rpc.service import Service
from .entrance import EntranceContext
from .notify import READY, notify, reloading
from .tls import ReloadingContext, server_context

logger = logging.getLogger(__name__)

_DAY = 24 * 3600.0


class Reloader:
    """Puts what is read again in place of what there is. No connection notices.

    :param service: its ``reread`` reads the configuration; None there leaves only the files of TLS.
    :param context: with what connections begin; None without TLS.
    """

    def __init__(self, service: Service, context: EntranceContext | None) -> None:
        self._service = service
        self._context = context if isinstance(context, ReloadingContext) else None
        self._seen = self._fingerprint()
        self._last: datetime | None = None
        self._refused = False
        self._warned = monotonic()
        self._busy = asyncio.Lock()
        self.applied: list[Callable[[], None]] = []
        """Called, on the event loop, when something new is in place."""

    def reload(self) -> None:
        """Read everything again. What is wrong is logged, and then nothing changes."""
        reloading()
        self._prepare()()
        notify(READY)

    async def reload_aside(self) -> None:
        """Do as ``reload``, but read in a thread: calls go on meanwhile."""
        async with self._busy:
            reloading()
            (await asyncio.to_thread(self._prepare))()
            notify(READY)

    def look(self) -> None:
        """Read again what has changed on disk."""
        if self._changed():
            self.reload()
        self._look_at_certificates()

    async def watch(self) -> None:
        """Do as ``look`` every few seconds, for ever."""
        while True:
            await asyncio.sleep(min(RELOAD, self._interval or RELOAD))
            try:
                if await asyncio.to_thread(self._changed):
                    await self.reload_aside()
                self._look_at_certificates()
            except Exception:
                logger.exception("looking for changed files failed; it will be tried again")

    @property
    def _interval(self) -> float:
        interval: float = self._service.settings["server.watch_config"]
        return interval

    def _changed(self) -> bool:
        return bool(self._interval) and self._fingerprint() != self._seen

    def _fingerprint(self) -> object:
        file = None if self._service.reread is None else self._service.settings.file
        return fingerprint([] if file is None else [file])

    def _look_at_certificates(self) -> None:
        if self._context is not None:
            self._context.refresh()
            if monotonic() - self._warned >= _DAY:
                self._warned = monotonic()
                self._context.warn()

    def _prepare(self) -> Callable[[], None]:
        """Return what puts the new things in place, or says that there are none; it cannot fail."""
        # before reading: what changes meanwhile is read once more
        self._seen = self._fingerprint()
        try:
            reread = self._service.reread() if self._service.reread is not None else None
            settings = self._service.settings if reread is None else reread.settings
            context = None if self._context is None else server_context(settings)
        except Exception as error:
            # what plugins raise has no place in the log but there
            logger.error(
                "reloading was refused, and everything stays as it was: %s",
                error,
                exc_info=not isinstance(error, ConfigurationError),
            )
            return self._note_refusal

        def apply() -> None:
            if reread is not None:
                reread.apply()
            if self._context is not None and context is not None:
                self._context.adopt(context)
            for follow in self.applied:
                follow()
            self._last, self._refused = datetime.now(UTC), False
            logger.info("configuration and certificates were read again")

        return apply

    def _note_refusal(self) -> None:
        self._refused = True

    async def configuration_health(self, service: Service) -> Health:
        """Whether what was read last is in use."""
        facts: dict[str, Any] = {} if self._last is None else {"read": answered(self._last)}
        if waiting := getattr(service.settings, "waiting", ()):
            facts["next_start"] = list(waiting)
        if self._refused:
            return Health("warn", "a change was refused, what was there before is in use; the log says why", facts)
        return Health("pass", "", facts)

    async def certificate_health(self, _service: Service) -> Health:
        """Whether the server's certificate is valid, and for how long yet."""
        if self._context is None:
            return Health("pass", "TLS is off")
        now = datetime.now(UTC)
        days = self._context.certificate.days(now)
        facts = {"days": days}
        if days < 0:
            return Health("fail", "the server's certificate has expired", facts)
        if self._context.refused:
            return Health("warn", "changed files were refused, those before are in use; the log says why", facts)
        if self._context.ended_lists:
            lists = self._context.ended_lists
            return Health("warn", f"{lists} authorities have no revocation list that has not ended", facts)
        if self._context.warning() is not None:
            return Health("warn", "the server's certificate ends soon", facts)
        return Health("pass", "", facts)
