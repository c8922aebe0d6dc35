"""A TLS server with the DIRAC wire on, and the credentials that DIRAC's users have."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from jsonrpc_tm.api import Service
from jsonrpc_tm.app import build_service, configure
from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.http import listener, server
from tests.auth import pki

BASE = "/O=Peer/CN="
USERS = {"adminuser": ["dirac_prod", "prod_user"], "dave": ["prod_user"], "nogroup": []}
PATH = "/Transformation/TransformationManager"


@dataclass
class Reply:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def value(self) -> Any:
        assert self.json["OK"], self.text
        return self.json["Value"]


class Dirac:
    """The server, and posting forms to it with a PEM file of certificate and key."""

    def __init__(self, url: str, ca: Path, folder: Path, service: Service | None = None) -> None:
        self.base = url.removesuffix("/rpc")
        self.ca = ca
        self.folder = folder
        self.service = service

    async def post(
        self, cert: Path | None, data: Any, *, path: str = PATH, verb: str = "POST", **headers: str
    ) -> Reply:
        context = ssl.create_default_context(cafile=str(self.ca))
        if cert is not None:
            context.load_cert_chain(cert)
        connector = aiohttp.TCPConnector(ssl=context)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(data, dict | str):
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(verb, self.base + path, data=data, headers=sent) as response,
        ):
            return Reply(response.status, await response.text(), response.headers)

    async def call(self, cert: Path | None, method: str, *args: Any, **fields: str) -> Reply:
        return await self.post(cert, {"method": method, "args": json.dumps(args), "clientVO": "peervo", **fields})


@asynccontextmanager
async def serving(folder: Path, **settings: Any) -> AsyncIterator[tuple[str, Path, Service]]:
    """Run a server; give its URL, its authority's folder and the service."""
    names = {user: {"dns": [BASE + user], "groups": groups} for user, groups in USERS.items()}
    overrides = {
        "server.port": 0,
        "server.tls.folder": str(folder),
        "storage.url": "sqlite://:memory:",
        "authentication": [{"x509": {"proxies": True}}],
        "registry.users": names,
        "registry.groups": {
            "dirac_prod": {"properties": ["ProductionManagement", "NormalUser"]},
            "prod_user": {"properties": ["ProductionUser"]},
        },
        "registry.hosts": {
            "trusted": {"dns": [BASE + "trusted"], "properties": ["TrustedHost", "ProductionManagement"]},
            "agent": {"dns": [BASE + "agent"], "properties": ["ProductionManagement"]},
        },
        "dirac_https.enabled": True,
        "dirac_https.configuration_server": True,
    }
    found, plugins = configure(None, {}, overrides | settings)
    context = listener.context(found)
    service = build_service(found, plugins=plugins)
    async with service:
        with listener.bind("127.0.0.1", 0) as bound:
            async with server.listening(service, bound, context) as url:
                yield url, folder, service


@pytest.fixture
async def dirac(tmp_path) -> AsyncIterator[Dirac]:
    async with serving(tmp_path / "tls") as (url, folder, service):
        yield Dirac(url, devcerts.Folder(folder).ca, tmp_path, service)


@pytest.fixture
def credential(dirac):
    """Return a function that writes a certificate, or a proxy with a group, into one file."""
    folder = devcerts.Folder(dirac.folder / "tls")
    ca = trustme.CA.from_pem(folder.ca.read_bytes(), folder.key("ca").read_bytes())

    def credential(name: str, group: str | None = None, *, proxy: bool = False) -> Path:
        found = pki.user(ca, BASE + name)
        if proxy or group is not None:
            found = pki.proxy(found, group=group)
        return found.write(dirac.folder, f"{name}-{group}-{proxy}")

    return credential


@pytest.fixture
def admin(credential) -> Path:
    return credential("adminuser", "dirac_prod")
