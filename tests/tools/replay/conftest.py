"""A server in a thread, as ``serve`` runs it, for commands that call one."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from jsonrpc_tm.http import listener, server
from jsonrpc_tm.tools.harness import Harness
from jsonrpc_tm.tools.replay.scenario import load
from jsonrpc_tm.tools.replay.targets import registry
from jsonrpc_tm.tools.testing.configuration import configure


class Served:
    """A server in a thread, as ``serve`` runs it."""

    def __init__(self, folder: Path, *, harness: bool, **settings: Any) -> None:
        world = load([folder])[0].world
        self.folder = folder.parent / "dev-certs"
        overrides = {
            **registry(world),
            "storage.url": "sqlite://:memory:",
            "server.port": 0,
            "server.tls.folder": str(self.folder),
            **settings,
        }
        self.settings, plugins = configure(overrides)
        self.service = Harness(self.settings, plugins=plugins, methods=harness).service
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        context = listener.context(self.settings)
        with listener.bind("127.0.0.1", 0) as bound:
            async with self.service, server.listening(self.service, bound, context) as self.url:
                self._ready.set()
                await self._stop.wait()

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(Served(*args, **kwargs))
