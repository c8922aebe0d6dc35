"""Servers made for scenarios: a service on a scratch database, called in this process."""

import itertools
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ...app import Plugins, storage_provider
from ...core.errors import ConfigurationError
from ...core.records import ReplayStep
from ...rpc.dispatch import Dispatcher
from ...settings import Settings
from ..harness import Harness
from ..testing.configuration import configure
from .scenario import World
from .wire import JsonRpc

MEMORY = "sqlite://:memory:"
_serial = itertools.count(1)


class InProcess:
    """A service in this process, called with injected identities; no socket."""

    def __init__(self, harness: Harness, world: World) -> None:
        self.harness = harness
        self._dispatcher = Dispatcher(harness.service)
        self._world = world
        self._wire = JsonRpc()

    async def reset(self, now: str) -> None:
        """Empty the storage and put the catalog back."""
        await self.harness.reset(now, self._world.catalog)

    async def call(self, step: ReplayStep) -> Mapping[str, Any]:
        """Hand the request's bytes to the dispatcher."""
        self.harness.clock.set(step.now)
        body = self._wire.request(step).body
        context = self.harness.service.context(self._world.identity(step.caller), f"step-{step.number}")
        answer = await self._dispatcher.handle(body, context)
        return self._wire.answer(200, bytes(answer or b""))

    def judge(self, step: ReplayStep, answer: Mapping[str, Any]) -> list[str]:
        """Compare as the conformance corpus says."""
        return self._wire.judge(step, answer)


def registry(world: World) -> dict[str, Any]:
    """Return the settings of a user registry in which each caller is in exactly its group.

    :raises ConfigurationError: two callers give the same user or group different facts.
    """
    users: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for key, facts in world.identities.items():
        if facts is None:
            continue
        dns = [facts["DN"]] if "DN" in facts else []
        user, group = {"dns": dns, "groups": [facts["group"]]}, {"properties": list(facts["properties"])}
        if users.setdefault(facts["username"], user) != user or groups.setdefault(facts["group"], group) != group:
            raise ConfigurationError(f"identities: {key} says otherwise of its user or group than another entry")
    return {"registry.users": users, "registry.groups": groups}


@asynccontextmanager
async def on_scratch(world: World, url: str, **more: Any) -> AsyncIterator[tuple[Settings, Plugins]]:
    """Give settings with the world's users and an empty database beside *url*, dropped in the end, and the plugins.

    Everything else is as by default; only the plugins that ship with the server are there.

    :param more: further settings by dotted name.
    """
    overrides = {**registry(world), "storage.migrate": True, **more}
    settings, plugins = configure({**overrides, "storage.url": url})
    options = {**settings.section("storage"), "folder": settings.folder}
    label = f"replay_{os.getpid()}_{next(_serial)}"
    async with storage_provider(url, plugins).scratch(url, label, options) as scratch:
        yield configure({**overrides, "storage.url": scratch})[0], plugins


@asynccontextmanager
async def in_process(world: World, url: str = MEMORY) -> AsyncIterator[InProcess]:
    """Open a service on a scratch database and close it in the end."""
    async with on_scratch(world, url) as (settings, plugins):
        harness = Harness(settings, plugins=plugins, authenticators=())
        async with harness.service:
            yield InProcess(harness, world)
