"""Agents of the chaos test: they announce files, make tasks, claim and report them, and may be killed at any moment.

An agent writes down what it is about to ask, under which key, and what it was answered. Killed and started again it
goes through its program from the beginning: what was answered is read, what was not is asked again under its key. So it
must do the same things each time; what it finds out otherwise goes through ``record``.

Standard input: {"client": …, "folder": …, "trans": id, "roles": {name: role}}. In the folder each agent has its
journal; the file ``enough`` ends the announcing, ``over`` all calls, ``read`` the reading of events.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from jsonrpc_tm.client import Client
from jsonrpc_tm.client.tls import tls_context
from jsonrpc_tm.core.errors import TMError

BATCH, GROUP, TAKEN = 20, 4, 3
LEASE = 1
"""Seconds."""
PAUSE = 0.1
LOST = 0.3
"""How many answers are thrown away."""
READS = ("getTransformationFiles",)


def written(path: Path) -> bytes:
    """Return the whole lines of a journal; one that was cut off by a kill is none."""
    text = path.read_bytes() if path.exists() else b""
    return text[: text.rfind(b"\n") + 1]


class Journal:
    """Lines of JSON, each written at once."""

    def __init__(self, path: Path) -> None:
        whole = written(path)
        self.lines: list[Any] = [json.loads(line) for line in whole.splitlines()]
        self._file = path.open("r+b" if path.exists() else "wb", buffering=0)
        self._file.truncate(len(whole))
        self._file.seek(len(whole))

    def write(self, line: Any) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")


class Agent:
    """What one role has."""

    def __init__(self, name: str, client: Client, order: dict[str, Any]) -> None:
        self.name = name
        self.client = client
        self.access = order["client"]
        self.folder = Path(order["folder"])
        self.trans = order["trans"]
        self.chance = random.Random(name)
        self.journal = Journal(self.folder / f"{name}.journal")
        self._steps = itertools.count()
        self._answers = {line["step"]: line for line in self.journal.lines if "step" in line and "asked" not in line}

    async def do(self, method: str, *params: Any) -> Any:
        """Make a call once; return its result, or a dict with the error's type and reason."""
        step = next(self._steps)
        if (answer := self._answers.get(step)) is None:
            self.journal.write({"step": step, "asked": method, "params": params})
            answer = {"step": step}
            ask = functools.partial(self.client.once, method, list(params), key=f"{self.name}-{step}", patience=600)
            try:
                # the first answer may as well have been lost
                lost = random.random() < LOST and await ask()
                answer["result"] = await ask()
                if lost is not False and method not in READS:
                    assert lost == answer["result"], (lost, answer)
            except TMError as error:
                answer["error"] = [method, error.type, error.data.get("reason")]
            self.journal.write(answer)
        return answer["result"] if "result" in answer else {"error": answer["error"]}

    def record(self, found: Callable[[], Any]) -> Any:
        """Return what was found at this step the first time."""
        step = next(self._steps)
        if (answer := self._answers.get(step)) is None:
            answer = {"step": step, "found": found()}
            self.journal.write(answer)
        return answer["found"]

    def told(self, word: str) -> bool:
        """Whether there is a file of this name in the folder, as seen the first time."""
        return bool(self.record((self.folder / word).exists))

    async def wait(self, seconds: float = PAUSE) -> None:
        """Wait, but not for what is only read again."""
        if max(self._answers, default=-1) < next(self._steps):
            await asyncio.sleep(seconds)


async def announce(agent: Agent) -> None:
    """Announce files which the transformation wants, and some which it does not."""
    for batch in itertools.count():
        if agent.told("enough"):
            return
        names = [f"/chaos/{agent.name}/{batch:04d}/{number:02d}" for number in range(BATCH)]
        await agent.do("addFile", {name: {"run": number % 5} for number, name in enumerate(names)})
        await agent.wait(agent.chance.uniform(0, 4 * PAUSE))


async def make(agent: Agent) -> None:
    """Make tasks of free files; others try the same."""
    while True:
        free = {"TransformationID": agent.trans, "Status": "Unused"}
        rows = await agent.do("getTransformationFiles", free, None, None, None, None, 10 * GROUP, 0, ["LFN"])
        names = [row["LFN"] for row in rows]
        if names:
            groups = [names[start : start + GROUP] for start in range(0, len(names), GROUP)]
            await agent.do("addTasks", agent.trans, [{"lfns": group} for group in groups])
        else:
            if agent.told("over"):
                return
            await agent.wait()


async def work(agent: Agent) -> None:
    """Claim tasks and report them, now and then too late: others may have claimed them since."""
    while True:
        claim = await agent.do("claimTasks", agent.trans, TAKEN, "", LEASE)
        if not claim["Tasks"]:
            if agent.told("over"):
                return
            await agent.wait()
            continue
        await agent.wait(agent.chance.choice([0, PAUSE, PAUSE, 1.5 * LEASE]))
        done = {"ExternalStatus": "Done", "Lease": claim["Lease"]}
        reported = await agent.do(
            "updateTasks", agent.trans, [{"TaskID": task["TaskID"], **done} for task in claim["Tasks"]]
        )
        if reported == len(claim["Tasks"]):
            names = [name for task in claim["Tasks"] for name in task["InputFiles"]]
            await agent.do("setFileStatus", agent.trans, dict.fromkeys(names, "Processed"))


async def submit(agent: Agent) -> None:
    """Take tasks and report them as DIRAC's agents do, without a lease."""
    while True:
        taken = (await agent.do("getTasksToSubmit", agent.trans, TAKEN))["JobDictionary"]
        if not taken:
            if agent.told("over"):
                return
            await agent.wait()
            continue
        await agent.wait(agent.chance.uniform(0, PAUSE))
        await agent.do("setTaskStatus", agent.trans, [int(task) for task in taken], "Done")
        mine = {"TransformationID": agent.trans, "TaskID": [int(task) for task in taken]}
        rows = await agent.do("getTransformationFiles", mine, None, None, None, None, 0, 0, ["FileID"])
        statuses = {row["FileID"]: "Processed" for row in rows}
        await agent.do("setFileStatusForTransformation", agent.trans, statuses)


async def read(agent: Agent) -> None:
    """Follow the events, and write down the revisions; killed, go on behind the last one written."""
    seen = max((line["revision"] for line in agent.journal.lines), default=0)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=1)
    tls = {name: agent.access[name] for name in ("cert", "key", "ca")}
    connector = aiohttp.TCPConnector(ssl=tls_context(**tls))
    url = agent.access["url"].replace("/rpc", "/events")
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        while not (agent.folder / "read").exists():
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url, headers={"Last-Event-ID": str(seen)}) as response:
                    async for line in response.content:
                        if line.startswith(b"data:"):
                            seen = json.loads(line[5:])["revision"]
                            agent.journal.write({"revision": seen})
            await asyncio.sleep(PAUSE)


ROLES = {"announce": announce, "make": make, "work": work, "submit": submit, "read": read}


async def main() -> None:
    order = json.load(sys.stdin)
    async with Client(**order["client"]) as client, asyncio.TaskGroup() as group:
        for name, role in order["roles"].items():
            group.create_task(ROLES[role](Agent(name, client, order)))


if __name__ == "__main__":
    asyncio.run(main())
