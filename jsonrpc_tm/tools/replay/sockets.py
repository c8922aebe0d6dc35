"""Servers behind an HTTP endpoint: made for scenarios, or there already."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import yarl

from ... import client
from ...auth import devcerts
from ...core.errors import ConfigurationError
from ...core.records import ReplayStep, Wire, WireRequest
from ...http import listener, server
from ..harness import Harness
from .scenario import World, read_identities
from .targets import MEMORY, on_scratch
from .wire import JsonRpc


@dataclass(frozen=True, slots=True)
class Credential:
    """How a caller proves who it is; nothing at all for the anonymous one.

    :param cert: client certificate, PEM.
    :param key: its private key, PEM.
    :param token: bearer token.
    """

    cert: Path | None = None
    key: Path | None = None
    token: str | None = None


class Control(Protocol):
    """How the server is driven; ``Harness`` does it in the same process."""

    async def reset(self, now: str, catalog: Mapping[str, Any] | None) -> None:
        """Empty the storage, set the clock and the catalog."""

    async def set_clock(self, now: str) -> None:
        """Set the clock."""


class Socket:
    """A server behind an HTTP endpoint; each caller has connections of its own.

    :param url: the JSON-RPC endpoint.
    :param credentials: by caller.
    :param ca: authorities of the server's certificate; None for the system's.
    """

    def __init__(
        self,
        url: str,
        world: World,
        credentials: Mapping[str, Credential],
        control: Control,
        *,
        ca: Path | None = None,
        wire: Wire | None = None,
    ) -> None:
        self._url = yarl.URL(url)
        self._world = world
        self._credentials = credentials
        self._control = control
        self._ca = ca
        self._wire = wire or JsonRpc()
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Socket":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def reset(self, now: str) -> None:
        """Empty the storage and put the catalog back."""
        await self._control.reset(now, self._world.catalog)

    async def call(self, step: ReplayStep) -> Mapping[str, Any] | None:
        """Send the step's request over the caller's connection.

        What the wire cannot express goes as JSON-RPC, unjudged: later steps build on it.
        """
        await self._control.set_clock(step.now)
        request = self._wire.request(step)
        if request is None:
            await self._send(step.caller, JsonRpc().request(step))
            return None
        return self._wire.answer(*await self._send(step.caller, request))

    async def _send(self, caller: str, request: WireRequest) -> tuple[int, bytes]:
        url = self._url if request.path is None else self._url.with_path(request.path)
        session = await self._session(caller)
        async with session.post(url, data=request.body, headers=request.headers) as response:
            return response.status, await response.read()

    def judge(self, step: ReplayStep, answer: Mapping[str, Any]) -> list[str]:
        """Compare as the wire says."""
        return self._wire.judge(step, answer)

    async def _session(self, caller: str) -> aiohttp.ClientSession:
        if caller not in self._sessions:
            credential = self._credentials.get(caller, Credential())
            headers = {"Authorization": f"Bearer {credential.token}"} if credential.token else {}
            self._sessions[caller] = await self._stack.enter_async_context(
                aiohttp.ClientSession(headers=headers, connector=_connector(self._url, credential, self._ca))
            )
        return self._sessions[caller]


def _connector(url: yarl.URL, credential: Credential, ca: Path | None) -> aiohttp.TCPConnector:
    if url.scheme != "https":
        return aiohttp.TCPConnector()
    return aiohttp.TCPConnector(ssl=client.tls_context(cert=credential.cert, key=credential.key, ca=ca))


class RemoteControl:
    """Drives a server that was started with ``serve --harness``.

    :param session: reaches it; no credentials are needed.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def reset(self, now: str, catalog: Mapping[str, Any] | None) -> None:
        """Call ``harness.reset``."""
        await self._call("harness.reset", now, catalog)

    async def set_clock(self, now: str) -> None:
        """Call ``harness.setClock``."""
        await self._call("harness.setClock", now)

    async def _call(self, method: str, *params: Any) -> None:
        call = {"jsonrpc": "2.0", "id": 0, "method": method, "params": params}
        async with self._session.post(self._url, json=call) as response:
            answer = JsonRpc().answer(response.status, await response.read())
        if "error" in answer:
            raise ConfigurationError(
                f"{self._url} refuses {method}: {answer['error'].get('message')}; was it started with --harness?"
            )


@asynccontextmanager
async def over_http(world: World, url: str = MEMORY, wire: Wire | None = None, **more: Any) -> AsyncIterator[Socket]:
    """Open a server on a scratch database and a free port, with TLS and a certificate for each caller.

    :param more: further settings by dotted name.
    """
    if wire is not None:
        more = {**wire.settings, **more}
    with tempfile.TemporaryDirectory(prefix="jsonrpc-tm-replay-") as folder:
        tls = {"server.host": "127.0.0.1", "server.port": 0, "server.tls.mode": "dev", "server.tls.folder": folder}
        async with AsyncExitStack() as stack:
            settings, plugins = await stack.enter_async_context(on_scratch(world, url, **tls, **more))
            harness = Harness(settings, plugins=plugins)
            context = listener.context(settings)
            await stack.enter_async_context(harness.service)
            bound = stack.enter_context(listener.bind(settings["server.host"], settings["server.port"]))
            endpoint = await stack.enter_async_context(server.listening(harness.service, bound, context))
            certificates = devcerts.Folder(Path(folder))
            yield await stack.enter_async_context(
                Socket(endpoint, world, certified(world, certificates), harness, ca=certificates.ca, wire=wire)
            )


def certified(world: World, folder: devcerts.Folder) -> dict[str, Credential]:
    """Return the certificate of each caller in a folder of development certificates, by user name."""
    return {
        key: Credential(folder.certificate(facts["username"]), folder.key(facts["username"]))
        for key, facts in world.identities.items()
        if facts is not None
    }


@asynccontextmanager
async def attached(
    world: World,
    url: str,
    identities: Path | None = None,
    *,
    ca: Path | None = None,
    dev_certs: Path | None = None,
    wire: Wire | None = None,
) -> AsyncIterator[Socket]:
    """Use a server that was started with ``serve --harness``.

    :param identities: its entries may have ``cert`` and ``key``, or ``token``: how to call as that caller.
    :param ca: authorities of the server's certificate; None for those of *dev_certs*, else the system's.
    :param dev_certs: the server's folder of development certificates, whose authority signs certificates for the
        callers without credentials.
    :raises ConfigurationError: a caller has no credentials.
    """
    entries, folder = (
        (world.identities, world.folder) if identities is None else (read_identities(identities), identities.parent)
    )
    with tempfile.TemporaryDirectory(prefix="jsonrpc-tm-replay-") as temporary:
        signed: dict[str, Credential] = {}
        if dev_certs is not None:
            signed = certified(world, _sign(world, devcerts.Folder(dev_certs), Path(temporary) / "certificates"))
            ca = ca or devcerts.Folder(dev_certs).ca
        credentials = {
            key: _credential(key, entries.get(key) or {}, folder) or signed.get(key) or _missing(key)
            for key, facts in world.identities.items()
            if facts is not None
        }
        async with AsyncExitStack() as stack:
            connector = _connector(yarl.URL(url), Credential(), ca)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            control = RemoteControl(url, session)
            yield await stack.enter_async_context(Socket(url, world, credentials, control, ca=ca, wire=wire))


def _sign(world: World, authority: devcerts.Folder, folder: Path) -> devcerts.Folder:
    """Make certificates for the callers in a folder of their own: *authority* may have others of the same name."""
    users = {facts["username"]: facts["DN"] for facts in world.identities.values() if facts and "DN" in facts}
    folder.mkdir(mode=0o700)
    try:
        for file in (authority.ca, authority.key("ca")):
            shutil.copy(file, folder)
    except OSError as error:
        raise ConfigurationError(f"{authority.path} has no development authority: {error.strerror}") from None
    return devcerts.ensure(folder, users)


def _credential(key: str, entry: Mapping[str, Any], folder: Path) -> Credential | None:
    """Return the credentials in an entry of an identities file, whose paths are relative to *folder*."""
    known = {name: entry[name] for name in ("cert", "key", "token") if entry.get(name) is not None}
    if wrong := [name for name, value in known.items() if not isinstance(value, str)]:
        raise ConfigurationError(f"identities: {wrong[0]} of {key} is not a text")
    if "cert" not in known and "token" not in known:
        return None
    paths = {name: folder / known[name] for name in ("cert", "key") if name in known}
    return Credential(**paths, token=known.get("token"))


def _missing(key: str) -> Credential:
    raise ConfigurationError(
        f"no credentials for {key}: its entry in --identities needs cert and key, or token; or name --dev-certs"
    )
