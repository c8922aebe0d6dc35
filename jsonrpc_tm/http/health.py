"""``/health/live`` and ``/health/ready``: whether the process answers, and whether it can work, with the reasons.

Anybody may ask: nothing here names people, files, hosts or databases.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic
from typing import Any

from aiohttp import web

from ..core.containment import contained
from ..core.errors import ConfigurationError, StorageUnavailable, TMError
from ..core.records import Health, HealthCheck, Route
from ..rpc.service import Service
from .reload import Reloader

logger = logging.getLogger(__name__)

KEEP = 1.0
"""Seconds that an answer is good for."""
SCHEMA_KEEP = 60.0
"""Seconds that a good schema is not looked at again."""
_PASS = Health("pass")
_UNSTORED = {"Cache-Control": "no-store"}


class Readiness:
    """What the checks say, asked at most once a second however many ask.

    :raises ConfigurationError: two checks have one name.
    """

    def __init__(self, service: Service, reloader: Reloader) -> None:
        self.leaving = False
        """Whether the server is about to stop."""
        own = (
            HealthCheck("database", _database),
            HealthCheck("schema", _SchemaCheck()),
            # most methods do without it
            HealthCheck("catalog", _catalog, vital=False),
            HealthCheck("certificate", reloader.certificate_health),
            HealthCheck("configuration", reloader.configuration_health),
        )
        self._checks: dict[str, HealthCheck] = {}
        for check, origin in (*((check, "the server") for check in own), *service.health_checks):
            if check.name in self._checks:
                raise ConfigurationError(f"{origin}: there is a health check {check.name!r} already")
            self._checks[check.name] = check
        self._service = service
        self._timeout: float = service.settings["server.ready_timeout"]
        self._looking: asyncio.Task[dict[str, Health]] | None = None
        self._looked = -KEEP

    def routes(self) -> Iterator[Route]:
        """Yield the routes, which have no limits and ask nobody who they are."""
        for verb in ("GET", "HEAD"):
            yield Route(verb, "/health/live", _live)
            yield Route(verb, "/health/ready", self._ready)

    async def _ready(self, request: web.Request) -> web.Response:
        status, document = await self.answer()
        return web.json_response(document, status=status, headers=_UNSTORED)

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """Return HTTP status and document."""
        if self.leaving:
            return 503, {"status": "stopping"}
        if self._looking is None or (self._looking.done() and monotonic() - self._looked >= KEEP):
            self._looking = asyncio.create_task(self._look(), name="readiness")
        found = await asyncio.shield(self._looking)
        ready = all(health.status != "fail" for health in found.values())
        document = {
            "status": "ready" if ready else "not ready",
            "checks": {name: _shown(health) for name, health in found.items()},
        }
        return 200 if ready else 503, document

    async def _look(self) -> dict[str, Health]:
        found = await asyncio.gather(*map(self._ask, self._checks.values()))
        self._looked = monotonic()
        return dict(zip(self._checks, found, strict=True))

    async def _ask(self, check: HealthCheck) -> Health:
        health = await self._found(check)
        return replace(health, status="warn") if health.status == "fail" and not check.vital else health

    async def _found(self, check: HealthCheck) -> Health:
        try:
            async with asyncio.timeout(self._timeout):
                health = await contained(check.check(self._service))
            if not isinstance(health, Health) or health.status not in ("pass", "warn", "fail"):
                raise TypeError(f"it found {health!r:.100}, which is no Health of pass, warn or fail")
            return health
        except TimeoutError:
            return Health("fail", f"no answer within {self._timeout:g} seconds")
        except Exception:
            logger.exception("the health check %s failed", check.name)
            return Health("fail", "the check itself failed; the server's log says more")


def _shown(health: Health) -> dict[str, Any]:
    return {"status": health.status, **({"text": health.text} if health.text else {}), **health.facts}


async def _live(request: web.Request) -> web.Response:
    return web.json_response({"status": "alive"}, headers=_UNSTORED)


async def _database(service: Service) -> Health:
    trouble = service.storage.trouble
    try:
        await service.storage.ready()
    except StorageUnavailable:
        return Health("fail", trouble or "the database cannot be used; the server's log says why")
    # it answers, but does not do everything
    return _PASS if trouble is None else Health("warn", trouble)


class _SchemaCheck:
    """Whether the database has the tables that this program wants; a good answer is kept for a minute."""

    def __init__(self) -> None:
        self._good_until = 0.0

    async def __call__(self, service: Service) -> Health:
        if monotonic() < self._good_until:
            return _PASS
        try:
            schema = await service.storage.schema()
        except ConfigurationError:
            return Health("fail", "the database is not this program's; `jsonrpc-tm db check` says more")
        except StorageUnavailable:
            return Health("fail", "the database cannot be used")
        if schema.pending or schema.differences:
            return Health("fail", "the tables are not as this program wants them; `jsonrpc-tm db check` says more")
        self._good_until = monotonic() + SCHEMA_KEEP
        return _PASS


async def _catalog(service: Service) -> Health:
    try:
        await service.catalog.fields()
    except TMError:
        return Health("fail", "the file catalog does not answer; the server's log says why")
    return _PASS
