"""The demo's server: ``jsonrpc-tm serve`` as a process of its own, with certificates and a registry made for it."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .. import devcerts

GROUP = "production"
USERS = ("manager", "agent")
READY = "listening on "
START_SECONDS = 60


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
        tls = self.folder / "tls"
        return {
            "url": self.url,
            "cert": str(tls / f"{user}.pem"),
            "key": str(tls / f"{user}.key"),
            "ca": str(tls / "ca.pem"),
        }


def configure(folder: Path, storage: str) -> Path:
    """Write certificates and a configuration in which manager and agent share a group; return the configuration."""
    tls = folder / "tls"
    devcerts.ensure(tls)
    distinguished = {user: f"/DC=org/DC=demo/CN={user}" for user in USERS}
    for user, dn in distinguished.items():
        devcerts.issue(tls, user, dn)
    config = folder / "config.yaml"
    settings = {
        "server": {"port": 0},
        "storage": {"url": storage, "migrate": True},
        "registry": {
            "users": {user: {"dns": [dn], "groups": [GROUP]} for user, dn in distinguished.items()},
            "groups": {GROUP: {"properties": ["ProductionSharing"]}},
        },
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


@contextlib.asynccontextmanager
async def running(folder: Path, storage: str) -> AsyncIterator[Server]:
    """Run a server on *storage* until the block ends.

    :raises ServerFailed: it does not come up.
    """
    config = configure(folder, storage)
    log = folder / "server.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jsonrpc_tm", "-c", str(config), "serve"),
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    try:
        yield Server(await _url(process, log), folder)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


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
    raise ServerFailed(log.read_text(encoding="utf-8", errors="replace").strip()[-2000:])
