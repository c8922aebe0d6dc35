"""A server that a test drives."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.errors import ConfigurationError, InvalidParams
from jsonrpc_tm.core.identity import Credentials, Identity
from jsonrpc_tm.settings import Settings
from jsonrpc_tm.tools.harness import Harness, ManualClock, check_settings, empty, filled_tables
from jsonrpc_tm.tools.testing.configuration import configure
from jsonrpc_tm.tools.testing.local import LocalClient

MANAGER = Identity("manager", "prod", ("ProductionManagement",))
MEMORY = "sqlite://:memory:"
CATALOG = {"fields": {"a": "int"}, "directories": {"/": {}}, "files": {"/f": {"a": 1}}}


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.mariadb)])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("mysql_url")) if request.param == "mysql" else MEMORY


def harness(url: str, *, methods: bool = True, authenticators: Any = ()) -> Harness:
    settings, plugins = configure({"storage.url": url, "storage.migrate": True})
    return Harness(settings, plugins=plugins, methods=methods, authenticators=authenticators)


@pytest.fixture
async def manager(url: str) -> AsyncIterator[LocalClient]:
    driven = harness(url)
    async with driven.service, LocalClient(driven.service, MANAGER) as client:
        yield client


async def fill(client: LocalClient) -> None:
    query = {"a": {">": 0}}
    assert await client.call("addTransformation", "t", "d", "l", "MCSimulation", "P", "Manual", "") == 1
    await client.call("createTransformationMetaQuery", "t", query, "Input")
    await client.call("setTransformationParameter", "t", "colour", "red")
    await client.call("addFilesToTransformation", "t", ["/f", "/g"])
    await client.call("addTaskForTransformation", "t", ["/f"])
    assert await client.call("extendTransformation", "t", 2) == [2, 3]


async def test_reset_empties_everything_and_starts_identifiers_at_1(manager: LocalClient) -> None:
    for _ in range(2):
        await manager.call("harness.reset", "2024-10-15T12:00:00Z", CATALOG)
        assert await manager.call("getTransformations") == []
        await fill(manager)
        [file, _] = await manager.call("getTransformationFiles")
        assert (file["FileID"], file["InsertedTime"]) == (1, "2024-10-15T12:00:00Z")


async def test_the_clock_stands_still_until_it_is_set(manager: LocalClient) -> None:
    await manager.call("harness.setClock", now="2031-01-02 03:04:05")
    assert (await manager.call("ping"))["time"] == (await manager.call("ping"))["time"] == "2031-01-02T03:04:05Z"
    for wrong in ("", None, "now", 5):
        with pytest.raises(InvalidParams):
            await manager.call("harness.setClock", wrong)


async def test_the_catalog_is_put_in_place_of_the_servers_own(manager: LocalClient) -> None:
    now = "2024-10-15T12:00:00Z"
    await manager.call("harness.reset", now, CATALOG)
    assert await manager.call("addFile", ["/f"]) == {"Successful": {"/f": False}, "Failed": {}}
    await manager.call("harness.reset", now)
    answer = await manager.call("addFile", ["/f"])
    assert list(answer["Failed"]) == ["/f"]


async def test_a_wrong_catalog_is_refused_and_nothing_emptied(manager: LocalClient) -> None:
    await fill(manager)
    for wrong in ({"fields": 5}, {"fields": {"a": "text"}}, {"files": ["/f"]}, {"directories": {"/": 1}}, {"more": {}}):
        with pytest.raises(InvalidParams):
            await manager.call("harness.reset", "2024-10-15", wrong)
    assert len(await manager.call("getTransformations")) == 1


async def test_a_database_with_rows_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tm.db"
    driven = harness(url)
    async with driven.service, LocalClient(driven.service, MANAGER) as client:
        await fill(client)
        assert "Transformations" in await filled_tables(driven.service.storage)
    with pytest.raises(ConfigurationError, match=r"has rows in .*Transformations"):
        async with harness(url).service:
            pass
    # refused before anything was touched
    service = driven.service
    async with service.storage:
        assert "Transformations" in await filled_tables(service.storage)
        await empty(service.storage)
        assert await filled_tables(service.storage) == []


async def test_without_methods_nothing_can_be_reset_from_outside() -> None:
    driven = harness(MEMORY, methods=False)
    assert "harness.reset" not in driven.service.registry
    assert "harness.setClock" not in driven.service.registry


async def test_the_configured_catalog_is_open_whatever_answers() -> None:
    class Watched(DictCatalog):
        opened = closed = 0

        async def __aenter__(self) -> "Watched":
            self.opened += 1
            return self

        async def __aexit__(self, *exc: object) -> None:
            self.closed += 1

    own = Watched({"files": {"/own": {}}})
    settings, plugins = configure({"storage.url": MEMORY})
    driven = Harness(settings, plugins=plugins, catalog=own, authenticators=())
    async with driven.service:
        for catalog, found in ((CATALOG, ["/f"]), (None, ["/own"])):
            await driven.reset("2024-10-15", catalog)
            assert await driven.service.catalog.find({}) == found
            assert (own.opened, own.closed) == (1, 0)
    assert (own.opened, own.closed) == (1, 1)


def test_the_built_in_catalog_can_be_fed_as_long_as_it_answers() -> None:
    settings, plugins = configure({"storage.url": MEMORY})
    catalog = Harness(settings, plugins=plugins, authenticators=()).catalog
    assert catalog.feed is not None
    catalog.current = DictCatalog(CATALOG)
    assert catalog.feed is None


async def test_credentials_are_judged_by_the_real_time() -> None:
    class Authenticator:
        name = "seen"
        now: datetime

        async def authenticate(self, credentials: Credentials) -> None:
            self.now = credentials.now

    seen: Any = Authenticator()
    driven = harness(MEMORY, authenticators=[seen])
    driven.clock.set("2001-01-01T00:00:00Z")
    await driven.service.authenticators[0].authenticate(Credentials({}, None, None, driven.clock()))
    assert seen.now.year > 2001
    assert driven.service.authenticators[0].name == "seen"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_addresses_are_served(host: str) -> None:
    check_settings(Settings.defaults(server__host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_others_are_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="loopback"):
        check_settings(Settings.defaults(server__host=host))


def test_several_workers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"server\.workers"):
        check_settings(Settings.defaults(server__workers=2))


def test_the_clock_takes_offsets_and_cuts_fractions() -> None:
    clock = ManualClock()
    clock.set("2024-10-15T14:00:00.9+02:00")
    assert clock() == datetime(2024, 10, 15, 12, tzinfo=UTC)
    clock.set("2024-10-15 12:00:01")
    assert clock() == datetime(2024, 10, 15, 12, 0, 1, tzinfo=UTC)
