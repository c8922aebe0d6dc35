"""Sockets that the server does not bind itself, Unix sockets, and what systemd is told."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.http import listener
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.settings import Settings

from ..http.fakes import ECHO, make_service
from ..http.test_serve import Program

LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@contextlib.asynccontextmanager
async def handed_over(handed: socket.socket, env: dict[str, str], **settings: Any) -> AsyncIterator[Program]:
    """Start a server program as systemd does: the socket is its file 3, and its own process id is told."""
    arguments = [f"--{name}={json.dumps(value)}" for name, value in settings.items()]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LAUNCH, str(handed.fileno()), "-m", "tests.http.program", *arguments),
        pass_fds=[handed.fileno()],
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    server = Program(process)
    try:
        server.url = (await server.line()).removeprefix("listening on ")
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def told(manager: socket.socket) -> str:
    return (await asyncio.get_running_loop().sock_recv(manager, 1024)).decode()


async def test_b11_a_socket_that_systemd_hands_over_is_served_and_systemd_is_told(tmp_path: Path) -> None:
    with listener.bind("127.0.0.1", 0) as handed, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        port = handed.getsockname()[1]
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        async with asyncio.timeout(60), handed_over(handed, env, **{"server.workers": 2, "server.port": 1}) as server:
            assert server.url == f"http://127.0.0.1:{port}/rpc"
            assert await told(manager) == "READY=1"
            assert await server.call("echo", "hello") == "hello"
            server.signal(signal.SIGHUP)
            assert (await told(manager)).startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert await told(manager) == "READY=1"
            server.signal(signal.SIGTERM)
            # of the parent alone
            assert await told(manager) == "STOPPING=1"
            assert (await server.end())[0] == 0
        # the next one finds it as it was
        socket.create_connection(("127.0.0.1", port)).close()


def test_b11_what_was_not_meant_for_this_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert listener.inherited() is None
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.parametrize(
    ("number", "message"),
    [("2", "2 sockets were handed over, one is served"), ("1", "does not listen"), ("x", "x sockets")],
)
def test_b11_what_cannot_be_served_is_refused(number: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", number)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        monkeypatch.setattr(listener, "_FIRST", os.dup(datagrams.fileno()))
        with pytest.raises(ConfigurationError, match=message):
            listener.inherited()


def test_b11_an_open_address_that_was_handed_over_needs_tls_too() -> None:
    settings = Settings.defaults(server__tls__mode="off")
    with listener.bind("0.0.0.0", 0) as bound:
        assert listener.url(bound, settings, False) == f"http://0.0.0.0:{bound.getsockname()[1]}/rpc"
        with pytest.raises(ConfigurationError, match=r"server.tls.mode: off on 0\.0\.0\.0"):
            listener.context(settings, bound)


async def unix_call(path: Path) -> Any:
    connector = aiohttp.UnixConnector(str(path))
    async with aiohttp.ClientSession(connector=connector) as session, session.post("http://tm/rpc", json=ECHO) as got:
        return (await got.json())["result"]


async def test_b11_a_unix_socket(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tm.sock"
    # left behind by a server that was killed
    with socket.socket(socket.AF_UNIX) as before:
        before.bind(str(path))
    settings = Settings.defaults(server__socket=str(path), server__socket_mode="0600", server__tls__mode="off")
    service = make_service()
    with listener.opened(settings) as bound:
        # no caution about TLS: nobody else reads what is sent
        assert listener.context(settings, bound) is None
        assert listener.context(settings) is None
        assert caplog.text == ""
        async with service, listening(service, bound) as url:
            assert url == f"unix:{path}"
            assert await unix_call(path) == "hello"
            assert path.stat().st_mode & 0o777 == 0o600
            with pytest.raises(ConfigurationError, match="taken by another program"), listener.opened(settings):
                pass
            assert await unix_call(path) == "hello"
    assert not path.exists()


def test_b11_a_unix_socket_where_none_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    reasons = {"file": "there is a file of this name", "no/where": "No such file", "x" * 200: "too long"}
    for name, message in reasons.items():
        settings = Settings.defaults(server__socket=str(tmp_path / name))
        refused = pytest.raises(ConfigurationError, match=f"server.socket: cannot listen on .*{message}")
        with refused, listener.opened(settings):
            pass
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(ConfigurationError, match=r'server.socket_mode: Not the mode of a file: .* "0660"'):
        Settings.defaults(server__socket_mode="rw")
    with pytest.raises(ConfigurationError, match="calls do not go over Unix sockets"):
        listener.local_url(Settings.defaults(server__socket="tm.sock"))


def test_b11_the_next_servers_unix_socket_is_not_taken_away(tmp_path: Path) -> None:
    settings = Settings.defaults(server__socket=str(tmp_path / "tm.sock"))
    with contextlib.ExitStack() as old, contextlib.ExitStack() as new:
        bound = old.enter_context(listener.opened(settings))
        bound.close()
        new.enter_context(listener.opened(settings))
        old.close()
        assert (tmp_path / "tm.sock").exists()
