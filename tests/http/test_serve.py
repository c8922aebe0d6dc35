"""Whole server processes: start, refusals to start, signals, workers that die."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.http.listener import bind, context


class Program:
    """A running server program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pid = process.pid
        self.url = ""

    @property
    def port(self) -> int:
        return int(self.url.removesuffix("/rpc").rsplit(":", 1)[1])

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()

    async def call(self, method: str, *params: Any) -> Any:
        """Call over a connection of its own."""
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        async with aiohttp.ClientSession() as session, session.post(self.url, json=body) as response:
            return (await response.json())["result"]

    async def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was logged."""
        assert self.process.stderr is not None
        log = (await self.process.stderr.read()).decode()
        return await self.process.wait(), log

    def signal(self, number: int) -> None:
        """Send a signal; SIGINT as a terminal does, to all its processes."""
        if number == signal.SIGINT:
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid, number)


@contextlib.asynccontextmanager
async def program(*, stdout: int = asyncio.subprocess.PIPE, **settings: Any) -> AsyncIterator[Program]:
    """Start a server program; kill it at the end if it still runs."""
    arguments = [f"--{name}={json.dumps(value)}" for name, value in settings.items()]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.http.program",
        *arguments,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Program(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


@contextlib.asynccontextmanager
async def serving(scheme: str = "http://127.0.0.1:", **settings: Any) -> AsyncIterator[Program]:
    async with program(**settings) as server:
        line = await server.line()
        assert line.startswith(f"listening on {scheme}"), (line, await server.end())
        server.url = line.removeprefix("listening on ")
        yield server


async def pids(server: Program, count: int) -> set[int]:
    """Return the ids of the processes that answer, once there are *count*."""
    found: set[int] = set()
    while len(found) < count:
        found |= set(await asyncio.gather(*(server.call("pid") for _ in range(8))))
    return found


async def test_that_it_listens_is_said_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    # workers write to the same pipe meanwhile, and nothing keeps a line together where Python's buffers are off
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    pieces, stdout = os.pipe2(os.O_DIRECT)
    try:
        async with program(stdout=stdout):
            piece = await asyncio.to_thread(os.read, pieces, 4096)
            assert piece.startswith(b"listening on http://127.0.0.1:")
            assert piece.endswith(b"/rpc\n")
    finally:
        os.close(pieces)
        os.close(stdout)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("workers", "loop"), [(1, "asyncio"), (2, "asyncio"), (2, "uvloop")])
async def test_a_signal_stops_after_the_running_calls(number: int, workers: int, loop: str) -> None:
    async with serving(**{"server.workers": workers, "server.event_loop": loop}) as server:
        assert await server.call("loop") == loop
        assert await server.call("echo", "hello") == "hello"
        assert await server.call("turn") < 0.001, "a thread at work makes others wait"
        running = asyncio.create_task(server.call("sleep", 0.5))
        assert await server.line() == "sleeping"
        server.signal(number)
        assert await running == "slept"
        code, log = await server.end()
        assert code == 0, log
        assert "Traceback" not in log
        assert "waiting for 1 running call(s)" in log
        assert "sleep ok" in log, "the line of the last call is lost"


async def test_workers_leave_counting_the_signals_to_their_parent() -> None:
    """Whoever sends a signal to the process group sends it to each, and the parent passes it on."""
    async with serving(**{"server.workers": 2}) as server:
        running = asyncio.create_task(server.call("sleep", 0.5))
        assert await server.line() == "sleeping"
        os.killpg(server.pid, signal.SIGTERM)
        assert await running == "slept"
        code, log = await server.end()
        assert (code, "a second signal" in log) == (0, False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_signal_ends_the_wait_for_a_database(number: int, workers: int) -> None:
    async with program(**{"server.workers": workers, "waits": True}) as server:
        for _ in range(workers):
            assert await server.line() == "opening"
        server.signal(number)
        code, log = await server.end()
        assert code == 0, log
        assert "Traceback" not in log
        assert log.count("stopping before the service was open") == workers


@pytest.mark.parametrize("kind", ["endless", "stubborn"])
@pytest.mark.parametrize("workers", [1, 2])
async def test_background_work_is_ended_and_not_waited_for(workers: int, kind: str) -> None:
    async with program(**{"server.workers": workers, "server.shutdown_grace": 1000, kind: True}) as server:
        lines = [await server.line() for _ in range(workers + 1)]
        assert [line[:9] for line in sorted(lines)] == ["listening", *["working"] * workers]
        server.signal(signal.SIGTERM)
        code, log = await server.end()
        assert code == 0, log
        assert "Traceback" not in log
        assert log.count("did not end within 1 s of being cancelled") == (workers if kind == "stubborn" else 0)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_signal_ends_at_once(workers: int) -> None:
    async with serving(**{"server.workers": workers, "server.shutdown_grace": 1000}) as server:
        running = asyncio.create_task(server.call("sleep", 1000))
        assert await server.line() == "sleeping"
        server.signal(signal.SIGTERM)
        assert server.process.stderr is not None
        while b"waiting for" not in await server.process.stderr.readline():
            pass
        # nobody is kept waiting in the queue of a server that stops
        with contextlib.suppress(ConnectionError):
            while True:
                socket.create_connection(("127.0.0.1", server.port)).close()
                await asyncio.sleep(0)
        server.signal(signal.SIGTERM)
        with pytest.raises(aiohttp.ClientError):
            await running
        code, log = await server.end()
        assert code != 0
        assert ("a second signal" if workers == 1 else "killing worker") in log


async def test_workers_share_the_port_and_one_that_dies_is_replaced() -> None:
    async with serving(**{"server.workers": 2}) as server:
        before = await pids(server, 2)
        assert server.pid not in before
        with pytest.raises(aiohttp.ClientError):
            await server.call("die")
        after = await pids(server, 2)
        while not after - before:
            after = await pids(server, 2)
        # the other one lives on
        assert after & before
        server.signal(signal.SIGTERM)
        code, log = await server.end()
        assert code == 0
        assert "killed by signal 9: starting another" in log


async def test_workers_end_when_their_parent_is_killed() -> None:
    async with serving(**{"server.workers": 2}) as server:
        await pids(server, 2)
        server.signal(signal.SIGKILL)
        # they share stderr, which ends with the last of them
        _, log = await server.end()
        assert log.count("the parent process is gone") == 2
        bind("127.0.0.1", server.port).close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_cannot_start_says_why_in_a_sentence(workers: int) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        for settings, sentence in [
            ({"server.port": port}, f"server.port: port {port} of 127.0.0.1 is taken by another program"),
            ({"broken": True}, "storage.url: there is nothing there"),
        ]:
            async with program(**settings, **{"server.workers": workers}) as server:
                code, log = await server.end()
                assert code == 2
                assert log.strip().splitlines()[-1] == sentence
                assert "Traceback" not in log


async def test_a_database_in_memory_is_for_one_process() -> None:
    async with program(**{"server.workers": 2, "storage.url": "sqlite://:memory:"}) as server:
        code, log = await server.end()
        assert code == 2
        assert log.startswith("server.workers: each process would have a database of its own in memory")


def test_addresses_that_cannot_be_bound() -> None:
    with pytest.raises(ConfigurationError, match=r"server.host: '.*' is no address and no known name"):
        bind("no such host", 0)
    with pytest.raises(ConfigurationError, match=r"server.host: 192.0.2.1 is not an address of this machine"):
        bind("192.0.2.1", 0)


def test_a_port_can_be_taken_again_after_a_stop() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), first.accept()[0]:
            pass
    bind("127.0.0.1", port).close()


def test_without_tls_only_loopback(caplog: pytest.LogCaptureFixture) -> None:
    off = {"server.socket": None, "server.tls.mode": "off", "server.tls.force_off": False}
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        assert context({**off, "server.host": host}) is None  # type: ignore[arg-type]
    assert "TLS is off" in caplog.text
    for host in ("0.0.0.0", "::", "192.168.0.1", "example.org"):
        with pytest.raises(ConfigurationError, match=r"server.tls.mode: off"):
            context({**off, "server.host": host})  # type: ignore[arg-type]
        assert context({**off, "server.host": host, "server.tls.force_off": True}) is None  # type: ignore[arg-type]
    assert "everybody on the network" in caplog.text
