"""The demo's server: ``jsonrpc-tm serve`` as a process of its own, with certificates and a registry made for it."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...auth import devcerts

GROUP = "production"
USERS = ("manager", "agent")
READY = "listening on "
START_SECONDS = 60
_ERROR = "Error: "


class ServerFailed(Exception):
    """The server did not start; the message is what it said."""


@dataclass(frozen=True)
class Server:
    """A running server.

    :param url: where it listens.
    :param folder: its configuration, certificates and log.
    """

    url: str
    folder: Path

    def client(self, user: str) -> dict[str, Any]:
        """Return the client's keyword arguments for one of ``USERS``."""
        tls = devcerts.Folder(self.folder / "tls")
        files = {"cert": tls.certificate(user), "key": tls.key(user), "ca": tls.ca}
        return {"url": self.url} | {name: str(path) for name, path in files.items()}


def configure(folder: Path, storage: str, port: int = 0) -> Path:
    """Write certificates and a configuration in which manager and agent share a group; return the configuration.

    :param port: TCP port; 0 for any free one.
    """
    names = {user: f"/DC=org/DC=demo/CN={user}" for user in USERS}
    devcerts.ensure(folder / "tls", names)
    config = folder / "config.yaml"
    settings = {
        "server": {"port": port, "tls": {"folder": "tls"}},
        "storage": {"url": storage, "migrate": True},
        "registry": {
            "users": {user: {"dns": [dn], "groups": [GROUP]} for user, dn in names.items()},
            "groups": {GROUP: {"properties": ["ProductionSharing"]}},
        },
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


async def start(config: Path) -> tuple[asyncio.subprocess.Process, Server]:
    """Start a server process on a configuration that ``configure`` wrote.

    :raises ServerFailed: it does not come up.
    """
    log = config.with_name("server.log")
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jsonrpc_tm", "--config", str(config), "serve"),
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    try:
        return process, Server(await _url(process, log), config.parent)
    except BaseException:
        await stop(process)
        raise


async def stop(process: asyncio.subprocess.Process) -> None:
    """Let the server finish what runs, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await process.wait()


@contextlib.asynccontextmanager
async def running(folder: Path, storage: str) -> AsyncIterator[Server]:
    """Run a server on *storage* until the block ends.

    :raises ServerFailed: it does not come up.
    """
    process, server = await start(configure(folder, storage))
    try:
        yield server
    finally:
        await stop(process)


async def _url(process: asyncio.subprocess.Process, log: Path) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            async for line in process.stdout:
                text = line.decode().strip()
                if text.startswith(READY):
                    return text.removeprefix(READY)
    except TimeoutError:
        raise ServerFailed(f"the server did not listen within {START_SECONDS} s") from None
    await process.wait()  # it has ended: to terminate it now would confuse asyncio about its exit code
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    reasons = [line.removeprefix(_ERROR) for line in said.splitlines() if line.startswith(_ERROR)]
    raise ServerFailed("\n".join(reasons) or said[-2000:])
