"""Reload: configuration and certificates are read again as a whole or not at all, and no connection notices."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import yaml
from cryptography import x509
from yarl import URL

from jsonrpc_tm.app import create_service
from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.core import errors
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.http import reload
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.rpc.service import Service
from jsonrpc_tm.settings import CORE_SETTINGS

from ..cli.processes import ROOT, command, environment
from ..http.fakes import ECHO, Wire, make_service

ALICE, BOB = "/O=tests/CN=alice", "/O=tests/CN=bob"


def configuration(*users: str, **more: Any) -> dict[str, Any]:
    """Return a configuration whose registry has *users*, all of a group of managers."""
    return {
        "server": {"port": 0, "tls": {"mode": "off"}, **more.pop("server", {})},
        "storage": {"url": "sqlite:///tm.db"},
        "registry": {
            "users": {name: {"dns": [f"/O=tests/CN={name}"], "groups": ["managers"]} for name in users},
            "groups": {"managers": {"properties": ["ProductionManagement"]}},
        },
        **more,
    }


def write(folder: Path, content: dict[str, Any] | str) -> Path:
    """Write the configuration as an editor does, in one step."""
    draft = folder / "draft"
    draft.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return draft.replace(folder / "config.yaml")


def made(folder: Path, content: dict[str, Any]) -> tuple[Service, reload.Reloader]:
    service = create_service(write(folder, content))
    return service, reload.Reloader(service, None)


RELOADED = {
    # made anew
    *("authentication", "authorization.default", "authorization.methods", "logging.level"),
    *("registry.groups", "registry.hosts", "registry.users"),
    *(f"server.tls.{name}" for name in ("certificate", "client_ca", "crl", "key", "warn_days")),
    *("limits.anonymous_calls", "limits.calls_per_minute", "limits.failures_per_minute"),
    # read when they are needed
    *("authorization.statuses", "files.pattern", "limits.anonymous_body", "limits.idle_connections"),
    *("limits.memory", "limits.disk"),
    *("server.balancers", "server.forwarded_header", "bulk.keep"),
    *("events.keep", "events.heartbeat", "limits.event_streams"),
    *("transformations.max_reset_count", "transformations.strict_statuses"),
}


def test_b2_what_can_be_reloaded_says_so() -> None:
    assert {setting.name for setting in CORE_SETTINGS if setting.reload} == RELOADED
    page = (ROOT / "docs" / "settings.md").read_text()
    assert {line.split("`")[1] for line in page.splitlines() if line.endswith(" ↻ |")} == RELOADED


async def test_b2_what_takes_effect_at_a_reload(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    service, reloader = made(tmp_path, configuration("alice"))
    authenticator = service.authenticators[0]
    assert service.users.by_dn(BOB) is None
    level = logging.getLogger().level
    try:
        write(
            tmp_path,
            configuration(
                "alice",
                "bob",
                authorization={"methods": {"ping": ["FileCatalogManagement"]}, "statuses": {"Cleaning": ["X"]}},
                files={"pattern": "/vo/.*"},
                authentication=[{"x509": {"balancers": ["10.0.0.1"]}}],
                logging={"level": "DEBUG"},
                transformations={"extendable_types": ["Other"]},
                server={"max_batch": 7},
            ),
        )
        await reloader.reload_aside()
        assert logging.getLogger().level == logging.DEBUG
    finally:
        logging.getLogger().setLevel(level)
    assert service.users.by_dn(BOB) is not None
    assert service.rules["ping"] == ("FileCatalogManagement",)
    manager = Identity("alice", "managers", ("ProductionManagement",))
    async with service:
        make = service.call(service.context(manager), "addTransformation", ["t", "d", "l", "T", "P", "A", ""])
        assert await make == 1
        clean = ["t", "Status", "Cleaning"]
        with pytest.raises(errors.Forbidden):
            await service.call(service.context(manager), "setTransformationParameter", clean)
        with pytest.raises(errors.InvalidParams):
            await service.call(service.context(manager), "addFilesToTransformation", ["t", ["/other/x"]])
    assert service.authenticators[0] is not authenticator
    # the rest waits, and is said to
    assert service.settings["server.max_batch"] == 1000
    (line,) = [record.message for record in caplog.records if "next start" in record.message]
    assert line.endswith(": server.max_batch, transformations.extendable_types")
    health = await reloader.configuration_health(service)
    assert (health.status, health.text) == ("pass", "")
    assert health.facts["next_start"] == ["server.max_batch", "transformations.extendable_types"]


@pytest.mark.parametrize(
    "bad",
    [
        "server: [",
        yaml.safe_dump(configuration("alice", "bob", server={"prot": 1})),
        yaml.safe_dump(configuration("alice", "bob", authorization={"methods": {"pong": "all"}})),
        yaml.safe_dump(configuration("alice", "bob", registry={"users": {"bob": {"groups": ["x"]}}})),
        yaml.safe_dump(configuration("alice", "bob", authentication=[{"x509": {"balancer": []}}])),
    ],
)
async def test_b2_a_bad_file_is_refused_as_a_whole(bad: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    service, reloader = made(tmp_path, configuration("alice"))
    before = dict(service.settings), service.users, service.rules, service.authenticators
    write(tmp_path, bad)
    reloader.look()
    assert (dict(service.settings), service.users, service.rules, service.authenticators) == before
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "reloading was refused" in line.message
    assert line.exc_info is None or not line.exc_info
    health = await reloader.configuration_health(service)
    assert health.status == "warn"
    assert "config.yaml" not in health.text
    # said once, until the file changes again
    reloader.look()
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    write(tmp_path, configuration("alice", "bob"))
    reloader.look()
    assert service.users.by_dn(BOB) is not None
    assert (await reloader.configuration_health(service)).status == "pass"


def test_b2_nothing_is_watched_with_0(tmp_path: Path) -> None:
    service, reloader = made(tmp_path, configuration("alice", server={"watch_config": 0}))
    write(tmp_path, configuration("alice", "bob", server={"watch_config": 0}))
    reloader.look()
    assert service.users.by_dn(BOB) is None
    reloader.reload()
    assert service.users.by_dn(BOB) is not None


async def test_b2_limits_change_and_what_was_counted_stays() -> None:
    service = make_service(**{"limits.calls_per_minute": 2, "limits.failures_per_minute": 0})
    reloader = reload.Reloader(service, None)

    async def statuses(number: int) -> list[int]:
        return [(await wire.post(ECHO)).status for _ in range(number)]

    with bind("127.0.0.1", 0) as bound:
        async with service, listening(service, bound, None, reloader) as url, aiohttp.ClientSession() as session:
            wire = Wire(url, session)
            assert await statuses(3) == [200, 200, 429]
            service.settings["limits.calls_per_minute"] = 0  # type: ignore[index]
            reloader.reload()
            assert await statuses(3) == [200, 200, 200]
            service.settings["limits.calls_per_minute"] = 2  # type: ignore[index]
            reloader.reload()
            assert 429 in await statuses(3)


class Certificates:
    """An authority and a server's certificate, in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clients, self.servers = trustme.CA(), trustme.CA()
        self.clients.cert_pem.write_to_path(folder / "clients.pem")
        self.servers.cert_pem.write_to_path(folder / "servers.pem")
        self.renew()

    def renew(self) -> None:
        server = self.servers.issue_cert("127.0.0.1")
        server.private_key_pem.write_to_path(self.folder / "key.pem")
        (self.folder / "key.pem").chmod(0o600)
        server.cert_chain_pems[0].write_to_path(self.folder / "cert.pem")

    @property
    def serial(self) -> int:
        return x509.load_pem_x509_certificate((self.folder / "cert.pem").read_bytes()).serial_number

    def client(self, name: str, ca: trustme.CA | None = None) -> ssl.SSLContext:
        certificate, key = devcerts.sign(ca or self.clients, devcerts.subject(name, f"/O=tests/CN={name}"))
        file = self.folder / f"{name}.pem"
        file.write_bytes(devcerts.pem(certificate) + devcerts.pem(key))
        context = ssl.create_default_context(cafile=self.folder / "servers.pem")
        context.load_cert_chain(file)
        return context


class Running:
    """A server process and what clients see of it."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url
        self.lines: list[dict[str, Any]] = []

    async def said(self, words: str, times: int = 1) -> None:
        """Wait until the log has said it *times* more often than was waited for before."""
        assert self.process.stderr is not None
        for _ in range(times):
            while words not in (line := json.loads(await self.process.stderr.readline()))["message"]:
                self.lines.append(line)
            self.lines.append(line)


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *command("serve"),
        cwd=folder,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on "), (line, await process.communicate())
        yield Running(process, line.split()[-1])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


WHOAMI = json.dumps({"jsonrpc": "2.0", "method": "whoami", "params": [], "id": 1}).encode()
TYPE = {"Content-Type": "application/json"}


def caller(body: bytes) -> str:
    """Return who the server says is calling, else the error's type."""
    answer = json.loads(body)
    name: str = answer["result"]["username"] if "result" in answer else answer["error"]["data"]["type"]
    return name


async def ask(context: ssl.SSLContext, url: str) -> tuple[str, int]:
    """Return who a new connection is for, and the serial number of the certificate that it is shown."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port, ssl=context)
    shown = int(writer.get_extra_info("ssl_object").getpeercert()["serialNumber"], 16)
    head = f"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {len(WHOAMI)}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + WHOAMI)
    try:
        answer = await reader.read()
        if not answer:
            raise ConnectionError("the handshake was refused")
        return caller(answer.partition(b"\r\n\r\n")[2]), shown
    finally:
        writer.close()


async def test_b2_sighup_under_load_changes_every_worker_and_no_call_fails(tmp_path: Path) -> None:
    """The registry, a rule, the server's certificate and the authorities change, twice, under keep-alive clients."""
    certificates = Certificates(tmp_path)
    files = {"certificate": "cert.pem", "key": "key.pem", "client_ca": "clients.pem"}
    server = {"workers": 2, "watch_config": 0, "tls": {"mode": "files", **files}}
    quiet = {"logging": {"calls": False}}
    write(tmp_path, configuration("alice", server=server, **quiet))
    answers: list[str] = []
    alice, bob = certificates.client("alice"), certificates.client("bob")
    async with asyncio.timeout(120), contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(served(tmp_path))

        def connected(context: ssl.SSLContext) -> aiohttp.TCPConnector:
            return aiohttp.TCPConnector(ssl=context)

        clients = [aiohttp.ClientSession(connector=connected(alice)) for _ in range(6)]
        sessions = [await stack.enter_async_context(client) for client in clients]
        stop = asyncio.Event()

        async def load(session: aiohttp.ClientSession) -> None:
            while not stop.is_set():
                async with session.post(running.url, data=WHOAMI, headers=TYPE) as response:
                    answers.append(caller(await response.read()))
                await asyncio.sleep(0.005)

        async def ask_anew(context: ssl.SSLContext) -> set[tuple[str, int]]:
            """Return who new connections are for, and the certificate that they are shown."""
            return set(await asyncio.gather(*(ask(context, running.url) for _ in range(8))))

        tasks = [asyncio.create_task(load(session)) for session in sessions]
        stack.callback(lambda: [task.cancel() for task in tasks])
        first = certificates.serial
        assert await ask_anew(bob) == {("Unauthenticated", first)}

        # 1: bob comes into the registry, and the certificate is renewed
        certificates.renew()
        write(tmp_path, configuration("alice", "bob", server=server, **quiet))
        os.kill(running.process.pid, signal.SIGHUP)
        await running.said("configuration and certificates were read again", 3)
        second = certificates.serial
        assert second != first
        assert await ask_anew(bob) == {("bob", second)}

        # 2: a good registry with a bad key: all of it is refused
        (tmp_path / "key.pem").write_bytes(certificates.clients.private_key_pem.bytes())
        write(tmp_path, configuration("alice", server=server, **quiet))
        os.kill(running.process.pid, signal.SIGHUP)
        await running.said("reloading was refused", 3)
        assert await ask_anew(bob) == {("bob", second)}

        # 3: mended; the authority is another one
        certificates.renew()
        certificates.clients = trustme.CA()
        certificates.clients.cert_pem.write_to_path(tmp_path / "clients.pem")
        os.kill(running.process.pid, signal.SIGHUP)
        await running.said("configuration and certificates were read again", 3)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await ask_anew(bob)
        assert await ask_anew(certificates.client("alice")) == {("alice", certificates.serial)}
        assert await ask_anew(certificates.client("bob")) == {("Unauthenticated", certificates.serial)}

        stop.set()
        await asyncio.gather(*tasks)
        assert len(answers) > 50
        # the connections that were open from the beginning, and their certificate of the old authority
        assert set(answers) == {"alice"}

        # workers that are started later know what was reloaded, and not what is wrong on the disk now
        write(tmp_path, "server: [")
        for pid in {line["pid"] for line in running.lines} - {running.process.pid}:
            os.kill(pid, signal.SIGKILL)
        await running.said("starting another", 2)
        assert await ask_anew(certificates.client("bob")) == {("Unauthenticated", certificates.serial)}
        assert await ask_anew(certificates.client("alice")) == {("alice", certificates.serial)}
