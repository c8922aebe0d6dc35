"""Putting a server together: finished parts for factories, one whole service."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from jsonrpc_tm.api import hookimpl
from jsonrpc_tm.app import assemble, build_service, create_service, load_plugins, make_parts, open_catalog
from jsonrpc_tm.auth.users import ConfiguredUsers
from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.core.identity import Credentials, Identity
from jsonrpc_tm.parts import Parts
from jsonrpc_tm.settings import load

USERS = ConfiguredUsers({}, {}, {})
NOW = datetime(2024, 10, 15, 12, tzinfo=UTC)


class Nobody:
    """An authenticator that finds nobody."""

    name = "own"

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        return None


class Own:
    """A plugin with a catalog, an authenticator and a registry of its own."""

    def __init__(self) -> None:
        self.given: list[tuple[str, Mapping[str, Any], Parts]] = []

    @hookimpl
    def register_catalog(self) -> Any:
        plugin = self

        class Provider:
            name = "own"

            def open(self, options: Mapping[str, Any], parts: Parts) -> DictCatalog:
                plugin.given.append(("catalog", options, parts))
                return DictCatalog({})

        yield Provider()

    @hookimpl
    def register_authenticator(self) -> Any:
        plugin = self

        class Factory:
            name = "own"

            def __call__(self, options: Mapping[str, Any], parts: Parts) -> Nobody:
                plugin.given.append(("authenticator", options, parts))
                return Nobody()

        yield Factory()

    @hookimpl
    def register_users(self) -> Any:
        yield USERS


SETTINGS: dict[str, Any] = {
    "storage.url": "sqlite://:memory:",
    "catalog": {"name": "own", "file": "x"},
    "authentication": [{"own": {"strict": True}}],
}


def test_factories_get_finished_parts_before_there_is_a_service() -> None:
    plugin = Own()
    plugins = load_plugins(extra=[plugin], entry_points=False, shipped=False)
    service = build_service(load(None, {}, SETTINGS, ()), plugins=plugins, clock=lambda: NOW)
    [(first, catalog_options, parts), (second, options, same)] = plugin.given
    assert (first, catalog_options) == ("catalog", {"name": "own", "file": "x"})
    assert (second, options) == ("authenticator", {"strict": True})
    assert parts is same
    assert parts.storage is service.storage
    assert parts.settings is service.settings
    assert (parts.users, service.users, parts.clock()) == (USERS, USERS, NOW)
    assert isinstance(service.catalog, DictCatalog)
    assert [one.name for one in service.authenticators] == ["own"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts.users = USERS  # type: ignore[misc]


def test_what_is_given_is_used_and_nothing_is_made_in_its_place() -> None:
    plugin = Own()
    plugins = load_plugins(extra=[plugin], entry_points=False, shipped=False)
    catalog, storage = DictCatalog({}), make_parts(load(None, {}, SETTINGS, ()), plugins).storage
    service = build_service(
        load(None, {}, SETTINGS, ()), plugins=plugins, storage=storage, catalog=catalog, authenticators=()
    )
    assert (service.storage, service.catalog, service.authenticators) == (storage, catalog, ())
    assert plugin.given == []


@pytest.mark.parametrize("failure", [ValueError("broken"), SystemExit(3)])
@pytest.mark.parametrize("part", ["storage", "catalog", "authenticator"])
def test_a_factory_that_fails_is_named(part: str, failure: BaseException) -> None:
    class Failing:
        name = scheme = "failing"

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise failure

        open = scratch = __call__

    class Plugin:
        pass

    setattr(Plugin, f"register_{part}", hookimpl(lambda self: [Failing()]))
    changed = {"storage": ("storage.url", "failing://x"), "catalog": ("catalog", {"name": "failing"})}
    name, value = changed.get(part, ("authentication", [{"failing": {}}]))
    plugins = load_plugins(extra=[Plugin()], entry_points=False, shipped=False)
    settings = load(None, {}, {"storage.url": "sqlite://:memory:", name: value}, ())
    end = "it ends the program, " if isinstance(failure, SystemExit) else ""
    with pytest.raises(ConfigurationError, match=rf"\Aplugin Plugin \(Plugin\): {end}{type(failure).__name__}: "):
        build_service(settings, plugins=plugins)


async def test_the_halves_of_building_can_be_used_by_themselves() -> None:
    entered: list[Any] = []

    class Lifetime:
        def __init__(self, service: Any) -> None:
            self.service = service

        async def __aenter__(self) -> None:
            entered.append(self.service)

        async def __aexit__(self, *exc: object) -> None:
            pass

    plugins = load_plugins(extra=[Own()], entry_points=False, shipped=False)
    parts = make_parts(load(None, {}, SETTINGS, ()), plugins, clock=lambda: NOW)
    service = assemble(
        parts, plugins, catalog=open_catalog(parts, plugins), authenticators=[Nobody()], lifetimes=[Lifetime]
    )
    async with service:
        assert entered == [service]
        assert (await service.call(service.context(), "ping"))["time"] == "2024-10-15T12:00:00Z"


async def test_create_service_reads_the_configuration(tmp_path: Any) -> None:
    (tmp_path / "config.yaml").write_text("server: {max_batch: 7}\n")
    service = create_service(
        tmp_path / "config.yaml", {"JSONRPC_TM__SERVER__PORT": "1"}, {"storage.url": "sqlite://:memory:"}
    )
    assert (service.settings["server.max_batch"], service.settings["server.port"]) == (7, 1)
    assert service.settings.folder == tmp_path
