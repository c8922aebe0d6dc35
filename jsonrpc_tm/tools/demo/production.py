"""The production of the demo: files into tasks, tasks to workers, failures retried, a simulation, a derivation."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ...client import Client
from .server import Server
from .worker import Order

Progress = Callable[[str, int, int], None]
"""Called with a step's title, how much of it was just done, and how much there is in all."""

FILES_A_CALL = 2000
GROUP_SIZE = 10
FAIL_EVERY = 9
SIMULATED = (40, 20)
CALLS_AT_ONCE = 16


class WorkerFailed(Exception):
    """A worker process ended with an error; the message is what it said."""


@dataclass
class Expected:
    """What the books must show in the end.

    :param sizes: files in each task of the production, by task number.
    :param failed: tasks that were reported failed.
    :param taken: how often each task was reported by a worker.
    """

    files: int
    sizes: dict[int, int] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    taken: dict[int, int] = field(default_factory=dict)

    @property
    def retried_files(self) -> int:
        """Files that went through a failed task."""
        return sum(self.sizes[task] for task in self.failed)


@dataclass(frozen=True)
class Production:
    """The transformations that the demo leaves behind: their ids, and the expected numbers."""

    main: int
    simulation: int
    derived: int
    expected: Expected


async def produce(server: Server, names: Sequence[str], label: str, workers: int, progress: Progress) -> Production:
    """Run the whole production and return what must be in the books.

    :param names: file names, each once.
    :param label: makes the transformations' names unique.
    :param workers: worker processes at a time.
    """
    expected = Expected(len(names))
    async with Client(**server.client("manager")) as client:
        main = await _create(client, f"{label}-production", "Processing", groupSize=GROUP_SIZE)
        await _add_files(client, main, names, progress)
        await _group(client, main, expected, "group into tasks", progress)
        await _crew(server, main, expected, workers, FAIL_EVERY, "run tasks", progress)
        await _group(client, main, expected, "regroup failed", progress)
        await _crew(server, main, expected, workers, 0, "run again", progress)

        simulation = await _create(client, f"{label}-simulation", "MCSimulation", eventsPerTask=1000)
        made = [task for number in SIMULATED for task in await client.call("extendTransformation", simulation, number)]
        simulated = Expected(0, dict.fromkeys(made, 0))
        await _crew(server, simulation, simulated, workers, 0, "simulate", progress)

        derived = await _create(client, f"{label}-derived", "Processing", inheritedFrom=main)
        await client.call("completeTransformation", simulation)
    return Production(main, simulation, derived, expected)


async def _create(client: Client, name: str, kind: str, **more: Any) -> int:
    trans: int = await client.call(
        "addTransformation",
        transName=name,
        description="made by the demo",
        longDescription="made by the demo",
        transType=kind,
        plugin="Standard",
        agentType="Automatic",
        fileMask="",
        body="<job/>",
        **more,
    )
    await client.call("setTransformationParameter", trans, "Status", "Active", "New")
    return trans


async def _add_files(client: Client, trans: int, names: Sequence[str], progress: Progress) -> None:
    progress("add files", 0, len(names))
    for chunk in chunks(names, FILES_A_CALL):
        await client.call("addFilesToTransformation", trans, chunk)
        progress("add files", len(chunk), len(names))


async def _group(client: Client, trans: int, expected: Expected, title: str, progress: Progress) -> None:
    """Put every Unused file into a task, as an agent does: page by page, several calls at once."""
    unused: list[str] = []
    after = None
    while True:
        condition = {"TransformationID": trans, "Status": "Unused"}
        page = await client.call(
            "getTransformationFiles", condDict=condition, limit=FILES_A_CALL, columns=["FileID", "LFN"], after=after
        )
        if not page:
            break
        unused += [file["LFN"] for file in page]
        after = page[-1]["FileID"]
    slots = asyncio.Semaphore(CALLS_AT_ONCE)
    groups = list(chunks(unused, GROUP_SIZE))
    progress(title, 0, len(groups))

    async def add(group: list[str]) -> None:
        async with slots:
            task = await client.call("addTaskForTransformation", trans, group, "DEMO-DISK")
        expected.sizes[task] = len(group)
        progress(title, 1, len(groups))

    async with asyncio.TaskGroup() as tasks:
        for group in groups:
            tasks.create_task(add(group))


async def _crew(
    server: Server, trans: int, expected: Expected, workers: int, fail_every: int, title: str, progress: Progress
) -> None:
    """Let worker processes take the waiting tasks until none is left."""
    waiting = len(expected.sizes) - len(expected.taken)
    progress(title, 0, waiting)

    async def one(number: int) -> None:
        order = Order(server.client("agent"), f"w{number}", trans, fail_every=fail_every)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jsonrpc_tm.tools.demo.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(json.dumps(asdict(order)).encode())
        process.stdin.close()
        try:
            async for line in process.stdout:
                report = json.loads(line)
                expected.failed.update(report["failed"])
                for task in report["done"] + report["failed"]:
                    expected.taken[task] = expected.taken.get(task, 0) + 1
                    progress(title, 1, waiting)
            said = await process.stderr.read()
            if await process.wait():
                raise WorkerFailed(f"worker {number}: {said.decode(errors='replace').strip()[-500:]}")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async with asyncio.TaskGroup() as crew:
        for number in range(1, workers + 1):
            crew.create_task(one(number))


def chunks(items: Sequence[str], size: int) -> Iterator[list[str]]:
    """Yield *items* in lists of at most *size*."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
