"""Pytest fixtures: a service in this process, a server with TLS, callers with every kind of right, a clock to be set.

A test suite takes them with ``pytest_plugins = ["jsonrpc_tm.tools.testing.plugin"]`` in its top ``conftest.py``. What
the service is made of can be overridden: ``tm_settings``, ``tm_plugins``, ``tm_catalog``, ``tm_storage_url`` and
``tm_identities`` are fixtures too.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ...auth import devcerts
from ...client import Client
from ...core.identity import Identity
from ...http import listener, server
from ...rpc.service import Service
from ..harness import Harness, ManualClock
from .cast import PEOPLE
from .configuration import configure
from .local import LocalClient

START = "2024-10-15T12:00:00Z"
"""The moment that the clock shows until it is set."""


@pytest.fixture
def tm_settings() -> Mapping[str, Any]:
    """Settings by dotted name that differ from the defaults; those of ``tm_plugins`` too."""
    return {}


@pytest.fixture
def tm_plugins() -> Sequence[Any]:
    """Plugin modules or objects that the service has beside those that ship."""
    return ()


@pytest.fixture
def tm_catalog() -> Mapping[str, Any] | None:
    """The content of the file catalog, as ``DictCatalog`` takes it; None for the configured catalog."""
    return None


@pytest.fixture
def tm_storage_url() -> str:
    """The storage URL of an empty database."""
    return "sqlite://:memory:"


@pytest.fixture
def tm_identities() -> Mapping[str, Identity]:
    """The callers by name: a manager, two members of a group that shares, two users, a visitor, and nobody."""
    return PEOPLE


@pytest_asyncio.fixture
async def tm_harness(
    tmp_path: Path,
    tm_settings: Mapping[str, Any],
    tm_plugins: Sequence[Any],
    tm_catalog: Mapping[str, Any] | None,
    tm_storage_url: str,
    tm_identities: Mapping[str, Identity],
) -> AsyncIterator[Harness]:
    """An open service and the handle on it: ``reset`` empties it, ``set_clock`` sets its clock."""
    overrides = {
        "server.host": "127.0.0.1",
        "server.port": 0,
        "server.tls.folder": str(tmp_path / "dev-certs"),
        "storage.url": tm_storage_url,
        "storage.migrate": True,
        **registry(tm_identities),
        **tm_settings,
    }
    settings, plugins = configure(overrides, tm_plugins)
    harness = Harness(settings, plugins=plugins)
    async with harness.service:
        await harness.reset(START, tm_catalog)
        yield harness


def registry(identities: Mapping[str, Identity]) -> dict[str, Any]:
    """Return the settings of a user registry that knows *identities*."""
    known = [identity for identity in identities.values() if identity.authenticated]
    users = {one.username: {"dns": [one.dn] if one.dn else [], "groups": [one.group]} for one in known}
    groups = {one.group: {"properties": list(one.properties)} for one in known}
    return {"registry.users": users, "registry.groups": groups}


@pytest.fixture
def tm_service(tm_harness: Harness) -> Service:
    """The open service."""
    return tm_harness.service


@pytest.fixture
def tm_clock(tm_harness: Harness) -> ManualClock:
    """The service's clock, which stands still until ``tm_clock.set("2024-10-15T12:00:01Z")``."""
    return tm_harness.clock


@pytest.fixture
def tm_client(tm_service: Service, tm_identities: Mapping[str, Identity]) -> Callable[[str], LocalClient]:
    """A function that returns a client in this process for a caller: ``await tm_client("alice").call("ping")``."""
    return lambda name: LocalClient(tm_service, tm_identities[name])


class RunningServer:
    """A server on a free port of this machine, with TLS and a certificate for each caller.

    :param url: of the endpoint.
    :param folder: the certificates.
    """

    def __init__(self, url: str, folder: devcerts.Folder, identities: Mapping[str, Identity]) -> None:
        self.url = url
        self.folder = folder
        self._identities = identities

    def client(self, name: str) -> Client:
        """Return a client of a caller, to be opened with ``async with``; an anonymous one shows no certificate."""
        username = self._identities[name].username
        if username is None:
            return Client(self.url, ca=self.folder.ca)
        return Client(
            self.url, ca=self.folder.ca, cert=self.folder.certificate(username), key=self.folder.key(username)
        )


@pytest_asyncio.fixture
async def tm_server(tm_harness: Harness, tm_identities: Mapping[str, Identity]) -> AsyncIterator[RunningServer]:
    """The same service behind a real socket with TLS."""
    settings = tm_harness.service.settings
    context = listener.context(settings)
    with listener.bind(settings["server.host"], settings["server.port"]) as bound:
        async with server.listening(tm_harness.service, bound, context) as url:
            yield RunningServer(url, devcerts.Folder(Path(settings["server.tls.folder"])), tm_identities)
