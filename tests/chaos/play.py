"""The stage of the chaos test: a server, its database and agents, all of which are killed and started again."""

import asyncio
import collections
import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from jsonrpc_tm.client import Client
from jsonrpc_tm.tools.demo.server import configure, start, stop
from jsonrpc_tm.tools.testing.mariadb import MariaDB, free_port
from tests.chaos.agent import written

WANTED = [0, 1, 2, 3]
"""Values of ``run`` of the files that the transformation wants."""
SETTLED = 120.0
"""Seconds that the agents have, when nobody is killed any more, to come to an end."""


class Play:
    """What runs, and what has been killed.

    :param folder: of its own.
    :param database: a server that is killed too; None for SQLite.
    :param workers: processes of the server.
    :param casts: for each agent process its roles by name.
    """

    def __init__(
        self, folder: Path, seed: int, casts: Sequence[dict[str, str]], workers: int, database: MariaDB | None = None
    ) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.casts = casts
        self.database = database
        self.name = "" if database is None else database.create_database()
        url = f"sqlite:///{folder}/chaos.db" if database is None else database.url(self.name)
        self.config = configure(folder, url, free_port())
        settings = yaml.safe_load(self.config.read_text())
        settings["server"]["workers"] = workers
        settings["catalog"] = "none"
        settings["storage"]["timeout"] = 3
        self.config.write_text(yaml.safe_dump(settings))
        self.agents: list[asyncio.subprocess.Process] = []
        self.killed: collections.Counter[str] = collections.Counter()
        self.trans = 0

    async def __aenter__(self) -> "Play":
        self.process, self.server = await start(self.config)
        async with Client(**self.server.client("manager")) as client:
            new = ("chaos", "d", "l", "Processing", "Standard", "Manual", "")
            self.trans = await client.call("addTransformation", *new)
            await client.call("createTransformationMetaQuery", self.trans, {"run": {"in": WANTED}}, "Input")
            await client.call("setTransformationParameter", self.trans, "Status", "Active")
        for cast in self.casts:
            self.agents.append(await self._act(cast))
        return self

    async def __aexit__(self, *exc: object) -> None:
        for agent in self.agents:
            with contextlib.suppress(ProcessLookupError):
                agent.kill()
            await agent.wait()
        await stop(self.process)

    async def _act(self, cast: dict[str, str]) -> asyncio.subprocess.Process:
        """Start an agent's process."""
        order = {
            "client": self.server.client("agent"),
            "folder": str(self.folder),
            "trans": self.trans,
            "roles": cast,
        }
        with (self.folder / "agents.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.agent"), stdin=asyncio.subprocess.PIPE, stderr=log
            )
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
        return process

    async def strike(self, victim: str) -> None:
        """Kill something in the middle of whatever it does, and start it again."""
        self.killed[victim] += 1
        match victim:
            case "agent":
                number = self.chance.randrange(len(self.agents))
                self._alive(number)
                self.agents[number].kill()
                await self.agents[number].wait()
                self.agents[number] = await self._act(self.casts[number])
            case "worker":
                os.kill(self.chance.choice(_children(self.process.pid)), signal.SIGKILL)
            case "server":
                workers = _children(self.process.pid)
                self.process.kill()
                for worker in workers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
                await self.process.wait()
                self.process, _ = await start(self.config)
            case "database":
                assert self.database is not None
                self.database.kill()
                await asyncio.to_thread(self.database.start)

    def _alive(self, number: int) -> None:
        """Fail when an agent has ended by itself."""
        code = self.agents[number].returncode
        assert code is None, f"an agent ended with {code}: {(self.folder / 'agents.log').read_text()[-2000:]}"

    async def finish(self) -> None:
        """Let the agents do what is left to do, and end."""
        (self.folder / "enough").touch()
        async with asyncio.timeout(SETTLED), Client(**self.server.client("manager")) as client:
            while not await self._settled(client):
                for number in range(len(self.agents)):
                    self._alive(number)
                await asyncio.sleep(0.1)
            (self.folder / "over").touch()
            # nothing changes any more, but readers may be behind
            last = int(self.rows("SELECT COUNT(*) FROM Events")[0][0])
            while any(self.read(name)[-1:] != [last] for name in self.names("read")):  # noqa: ASYNC110 (other processes are waited for)
                await asyncio.sleep(0.1)
            (self.folder / "read").touch()
            for number, agent in enumerate(self.agents):
                code = await agent.wait()
                assert code == 0, f"agent {number}: {(self.folder / 'agents.log').read_text()[-2000:]}"

    async def _settled(self, client: Client) -> bool:
        if not all(self.lines(name)[-1].get("found") for name in self.names("announce")):
            return False
        files = await client.once("getTransformationStats", [self.trans])
        tasks = await client.once("getTransformationTaskStats", [self.trans])
        return files["Total"] == files.get("Processed", 0) and tasks["TotalCreated"] == tasks.get("Done", 0)

    def read(self, name: str) -> list[int]:
        """Return the revisions that a reader has seen."""
        return [line["revision"] for line in self.lines(name)]

    def names(self, role: str) -> list[str]:
        """Return the agents with a role."""
        return [name for cast in self.casts for name, its in cast.items() if its == role]

    def lines(self, name: str) -> list[Any]:
        """Return an agent's journal."""
        return [json.loads(line) for line in written(self.folder / f"{name}.journal").splitlines()]

    def answered(self, role: str, method: str) -> list[tuple[list[Any], Any]]:
        """Return parameters and result of the calls of a method that the agents with a role have made."""
        found = []
        for name in self.names(role):
            lines = self.lines(name)
            asked = {line["step"]: line["params"] for line in lines if line.get("asked") == method}
            found += [
                (asked[line["step"]], line["result"]) for line in lines if "result" in line and line["step"] in asked
            ]
        return found

    def refused(self) -> collections.Counter[tuple[str, ...]]:
        """Return the errors that agents got: method, type and reason."""
        names = [name for cast in self.casts for name in cast]
        return collections.Counter(
            tuple(line["error"]) for name in names for line in self.lines(name) if "error" in line
        )

    def rows(self, sql: str) -> list[tuple[str, ...]]:
        """Return rows of the database, all values as text."""
        sql = sql.replace("?", str(self.trans))
        if self.database is not None:
            return [tuple(line.split("\t")) for line in self.database.sql(sql, self.name).splitlines()]
        with contextlib.closing(sqlite3.connect(self.folder / "chaos.db")) as connection:
            return [tuple(map(str, row)) for row in connection.execute(sql)]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
