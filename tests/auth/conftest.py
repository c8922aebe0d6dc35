"""A small HTTPS server that answers with the identity of the caller, as ``server.py`` finds it out."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from jsonrpc_tm.auth import identify
from jsonrpc_tm.auth import jwt as token_plugin
from jsonrpc_tm.auth import users as user_plugin
from jsonrpc_tm.auth import x509 as certificate_plugin
from jsonrpc_tm.core.errors import BadCredentials, Unavailable
from jsonrpc_tm.core.identity import Credentials, Identity
from jsonrpc_tm.http import tls
from jsonrpc_tm.parts import Parts
from jsonrpc_tm.settings import Settings, load

from . import pki

ALICE = "/DC=org/DC=example/CN=alice"
REGISTRY = {
    "registry.users": {
        "alice": {"dns": [ALICE], "subjects": ["alice-sub"], "groups": ["prod", "analysis"]},
        "bob": {"dns": ["/DC=org/DC=example/CN=bob"], "subjects": ["bob-sub"], "groups": ["analysis"]},
        "sleepy": {
            "dns": ["/DC=org/DC=example/CN=sleepy"],
            "subjects": ["sleepy-sub"],
            "groups": ["prod"],
            "suspended": True,
        },
        "loner": {"dns": ["/DC=org/DC=example/CN=loner"], "subjects": ["loner-sub"]},
    },
    "registry.groups": {
        "prod": {"properties": ["ProductionManagement"]},
        "analysis": {"properties": ["ProductionUser"]},
        "admin": {"properties": ["ProductionManagement", "FileCatalogManagement"]},
    },
    "registry.hosts": {
        "agent": {"dns": ["/DC=org/DC=example/CN=host/agent.example.org"], "properties": ["ProductionManagement"]}
    },
}


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Who:
    """What the server found: an identity, or the refusal of the whole request."""

    status: int
    identity: Identity | None = None
    message: str = ""


class Server:
    """One running server and the ways to call it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.users = user_plugin.ConfiguredUsers(**user_plugin.entries(settings))
        factories = {f.name: f for p in (certificate_plugin, token_plugin) for f in p.register_authenticator()}
        nothing: Any = None
        parts = Parts(settings, nothing, self.users, clock)
        self.authenticators = tuple(
            factories[name](options, parts) for entry in settings["authentication"] for name, options in entry.items()
        )
        self.clock = clock
        self.context = tls.server_context(settings)
        self.found: Who | None = None
        self.port = 0

    async def _handle(self, request: web.Request) -> web.Response:
        transport = request.transport
        assert transport is not None
        peer = transport.get_extra_info("peername")
        credentials = Credentials(request.headers, peer[0], transport.get_extra_info("ssl_object"), self.clock())
        try:
            self.found = Who(200, await identify(self.authenticators, credentials))
        except BadCredentials as error:
            self.found = Who(401, message=error.message)
        except Unavailable as error:
            self.found = Who(503, message=error.message)
        return web.Response(status=self.found.status)

    async def __aenter__(self) -> "Server":
        app = web.Application()
        app.router.add_post("/rpc", self._handle)
        self._runner = web.AppRunner(app, access_log=None, max_field_size=65536)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"{'http' if self.context is None else 'https'}://127.0.0.1:{self.port}/rpc"


def client_context(ca: Path, certificate: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


class Site:
    """An authority, files on disk and servers made from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.clock = Clock()
        server = self.ca.issue_cert("127.0.0.1", "localhost")
        server.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        self.ca.cert_pem.write_to_path(folder / "ca.pem")

    def user(self, dn: Any = ALICE, **kwargs: Any) -> pki.Credential:
        return pki.user(self.ca, dn, **kwargs)

    @contextlib.asynccontextmanager
    async def server(self, authentication: list[Any], **overrides: Any) -> AsyncIterator[Server]:
        values = {
            "server.tls.mode": "files",
            "server.tls.certificate": str(self.folder / "server.pem"),
            "server.tls.client_ca": str(self.folder / "ca.pem"),
            "authentication": authentication,
            **REGISTRY,
            **{name.replace("__", "."): value for name, value in overrides.items()},
        }
        async with Server(load(None, {}, values, ()), self.clock) as server:
            yield server

    async def ask(
        self,
        server: Server,
        credential: pki.Credential | None = None,
        headers: Any = None,
        session: aiohttp.ClientSession | None = None,
    ) -> Who:
        """Send a request and return what the server found.

        :raises aiohttp.ClientError: the connection was refused.
        """
        server.found = None
        if session is not None:
            async with session.post(server.url, headers=headers) as answer:
                await answer.read()
        else:
            path = None if credential is None else credential.write(self.folder, "client")
            context = client_context(self.folder / "ca.pem", path)
            async with aiohttp.ClientSession() as own, own.post(server.url, headers=headers, ssl=context) as answer:
                await answer.read()
        assert server.found is not None
        return server.found

    async def refused(self, server: Server, credential: pki.Credential, caplog: pytest.LogCaptureFixture) -> str:
        """Check that the handshake fails, without an HTTP answer, and return the line that the server logs."""
        caplog.clear()
        with caplog.at_level(logging.INFO, "jsonrpc_tm.http.tls"), pytest.raises(aiohttp.ClientError):
            await self.ask(server, credential)
        # the client may notice before the server has logged
        for _ in range(200):
            lines = [record.message for record in caplog.records if "handshake" in record.message]
            if lines:
                break
            await asyncio.sleep(0.01)
        assert server.found is None
        assert len(lines) == 1
        return lines[0]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def jwks(site: Site) -> Site:
    """A site with the keys of an issuer in ``jwks.json``."""
    from .jwts import key_set

    (site.folder / "jwks.json").write_text(key_set())
    return site
