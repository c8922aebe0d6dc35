"""Readiness: each check with its reason, cheap, bounded in time, silent about secrets, and no first at the end."""

import asyncio
import json
import signal
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from jsonrpc_tm.api import Health, HealthCheck, hookimpl
from jsonrpc_tm.core.errors import BadCredentials, CatalogError, ConfigurationError
from jsonrpc_tm.http import health
from jsonrpc_tm.http.reload import Reloader
from jsonrpc_tm.storage.base import Schema
from jsonrpc_tm.tools.harness import Harness
from jsonrpc_tm.tools.testing.configuration import configure

from ..docs.blocks import blocks
from ..http.fakes import Nothing, Wire, make_service, serving
from ..http.test_serve import serving as serving_program

PASS = {"status": "pass"}
GOOD = {
    "database": PASS,
    "schema": PASS,
    "catalog": PASS,
    "certificate": {"status": "pass", "text": "TLS is off"},
    "configuration": PASS,
}


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEEP", 0)


async def ready(wire: Wire) -> tuple[int, Any]:
    response = await wire.session.get(wire.base + "/health/ready")
    return response.status, await response.json()


class Broken(Nothing):
    """A storage or catalog whose answers are set."""

    schema_found = Schema({}, {}, (), (), ())
    error: Exception | None = None
    hangs = False
    asked = 0

    async def ready(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        await super().ready()

    async def schema(self) -> Schema:
        if self.error:
            raise self.error
        return self.schema_found

    async def fields(self) -> dict[str, Any]:
        if self.error:
            raise self.error
        return {}


async def test_e11_ready_tells_each_check_and_why() -> None:
    service = make_service()
    storage, catalog = Broken(), Broken()
    service.storage, service.catalog = storage, catalog  # type: ignore[assignment]
    async with serving(service) as wire:
        # a good schema is not looked at again for a minute: the bad one first
        storage.schema_found = Schema({}, {}, ("a step",), (), ())
        status, document = await ready(wire)
        assert (status, document["status"]) == (503, "not ready")
        assert document["checks"]["schema"]["text"].startswith("the tables are not as this program wants them")
        storage.error = ConfigurationError("the database /secret is newer than this program")
        status, document = await ready(wire)
        assert (status, document["checks"]["schema"]["status"]) == (503, "fail")
        storage.error, storage.schema_found = None, Broken.schema_found
        assert await ready(wire) == (200, {"status": "ready", "checks": GOOD})
        storage.down = True
        status, document = await ready(wire)
        assert (status, document["status"], document["checks"]["database"]["status"]) == (503, "not ready", "fail")
        assert "secret" not in json.dumps(document)
        storage.down = False
        # most methods do without a catalog
        catalog.error = CatalogError("http://secret is gone")
        status, document = await ready(wire)
        assert (status, document["checks"]["catalog"]["status"]) == (200, "warn")
        assert "secret" not in json.dumps(document)


@pytest.mark.mariadb
async def test_e11_ready_on_mariadb(mysql_url: str) -> None:
    settings, plugins = configure({"storage.url": mysql_url, "storage.migrate": True, "server.tls.mode": "off"}, [])
    service = Harness(settings, plugins=plugins).service
    async with service:
        status, document = await health.Readiness(service, Reloader(service, None)).answer()
        assert (status, document["checks"]) == (200, GOOD)


def test_e11_the_page_shows_what_is_answered() -> None:
    (shown,) = blocks("docs/operations.md", "json")
    assert set(json.loads(shown)["checks"]) == set(GOOD)


async def test_e11_a_database_that_hangs_costs_no_more_than_the_deadline() -> None:
    service = make_service(**{"server.ready_timeout": 0.05})
    service.storage = storage = Broken()  # type: ignore[assignment]
    storage.hangs = True
    async with serving(service) as wire, asyncio.timeout(30):
        status, document = await ready(wire)
        assert (status, document["checks"]["database"]["text"]) == (503, "no answer within 0.05 seconds")
        response = await wire.session.get(wire.base + "/health/live")
        assert (response.status, await response.json()) == (200, {"status": "alive"})


async def test_e11_many_who_ask_are_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEEP", 60)
    service = make_service()
    service.storage = storage = Broken()  # type: ignore[assignment]
    async with serving(service) as wire:
        answers = await asyncio.gather(*(ready(wire) for _ in range(20)))
        answers.append(await ready(wire))
        assert {status for status, _ in answers} == {200}
        assert storage.asked == 1


async def test_e11_health_needs_no_identity_and_knows_no_limits() -> None:
    class Nobody:
        name = "nobody"

        async def authenticate(self, credentials: Any) -> Any:
            raise BadCredentials("no")

    limits = {"limits.calls_per_minute": 1, "limits.failures_per_minute": 1}
    async with serving(make_service(authenticators=[Nobody()], **limits)) as wire:
        assert (await wire.post({})).status == 401
        assert (await wire.post({})).status == 429
        for path in ("/health/live", "/health/ready") * 3:
            response = await wire.session.get(wire.base + path)
            assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
            head = await wire.session.head(wire.base + path)
            assert (head.status, await head.read()) == (200, b"")
            assert head.headers["Content-Length"] == response.headers["Content-Length"]


class Quota:
    """A plugin whose checks find what they are told to find."""

    def __init__(self, *checks: HealthCheck) -> None:
        self.checks = checks

    @hookimpl
    def register_health_check(self) -> Sequence[HealthCheck]:
        return self.checks


async def _full(service: Any) -> Health:
    return Health("fail", "the quota is used up", {"percent": 100})


async def _bug(service: Any) -> Health:
    raise SystemExit("secret")


async def _no_health(service: Any) -> Health:
    return True  # type: ignore[return-value]


async def _no_status(service: Any) -> Health:
    return Health("ok")


def built(*checks: HealthCheck) -> Any:
    settings, plugins = configure(
        {"storage.url": "sqlite://:memory:", "server.port": 0, "server.tls.mode": "off"}, [Quota(*checks)]
    )
    return Harness(settings, plugins=plugins).service


async def test_e11_a_plugin_adds_checks() -> None:
    wrong = [HealthCheck(check.__name__, check) for check in (_bug, _no_health, _no_status)]
    service = built(HealthCheck("quota", _full), HealthCheck("spare", _full, vital=False), *wrong)
    async with serving(service) as wire:
        status, document = await ready(wire)
        assert status == 503
        found = document["checks"]
        assert found["quota"] == {"status": "fail", "text": "the quota is used up", "percent": 100}
        assert found["spare"]["status"] == "warn"
        for check in wrong:
            told = {"status": "fail", "text": "the check itself failed; the server's log says more"}
            assert found[check.name] == told
        # the core's own, on a real database and catalog
        assert {name: found[name] for name in GOOD} == GOOD


async def test_e11_a_name_is_for_one_check() -> None:
    with pytest.raises(ConfigurationError, match="there is a health check 'schema' already"):
        async with serving(built(HealthCheck("schema", _full))):
            pass


async def test_e11_ready_says_no_before_the_server_stops() -> None:
    async with (
        serving_program(**{"server.drain": 0.5, "server.workers": 2}) as server,
        aiohttp.ClientSession() as session,
    ):
        url = server.url.replace("/rpc", "/health/ready")
        assert (await session.get(url)).status == 200
        server.signal(signal.SIGTERM)
        while (response := await session.get(url)).status == 200:
            pass
        assert (response.status, await response.json()) == (503, {"status": "stopping"})
        # on a new connection too
        assert await server.call("echo", "still here") == "still here"
        code, log = await server.end()
        assert code == 0, log
