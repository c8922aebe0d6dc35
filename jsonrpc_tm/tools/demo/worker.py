"""One worker process of the demo: takes tasks over a TLS connection of its own and reports on them.

Started as ``python -m jsonrpc_tm.demo.worker`` with a JSON object on standard input; prints a JSON line per batch.
"""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

from ...client import Client

Pairs = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """What a worker has to do.

    :param client: keyword arguments of the client (url, cert, key, ca).
    :param name: the worker's name; part of the external ids it gives.
    :param trans: id of the transformation.
    :param batch: tasks taken at a time.
    :param fail_every: every task whose number is a multiple of this fails; 0 for none.
    """

    client: Pairs
    name: str
    trans: int
    batch: int = 20
    fail_every: int = 0


@dataclass
class Report:
    """What one batch came to: task numbers by outcome."""

    done: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)


async def work(order: Order) -> None:
    """Take tasks until there are none left."""
    async with Client(**order.client) as client:
        while True:
            taken = await client.call("getTasksToSubmit", order.trans, order.batch, order.name)
            tasks = [int(task) for task in taken["JobDictionary"]]
            if not tasks:
                return
            report = await run(client, order, tasks)
            print(json.dumps(asdict(report)), flush=True)


async def run(client: Client, order: Order, tasks: list[int]) -> Report:
    """Submit, run and report one batch of tasks, some of which fail."""
    submitted = [
        client.call("setTaskStatusAndWmsID", order.trans, task, "Submitted", f"{order.name}.{task}") for task in tasks
    ]
    await asyncio.gather(*submitted)
    await client.call("setTaskStatus", order.trans, tasks, "Running")
    report = Report()
    for task in tasks:
        fails = order.fail_every and task % order.fail_every == 0
        (report.failed if fails else report.done).append(task)
    files = await client.call(
        "getTransformationFiles",
        condDict={"TransformationID": order.trans, "TaskID": tasks},
        columns=["FileID", "TaskID"],
    )
    failed = set(report.failed)
    # a failed task gives its files back, with the error counted: they go into a new task
    statuses = {
        str(file["FileID"]): ["Unused", True] if file["TaskID"] in failed else ["Processed", False] for file in files
    }
    await client.call("setFileStatusForTransformation", order.trans, statuses)
    for status, numbers in (("Done", report.done), ("Failed", report.failed)):
        await client.call("setTaskStatus", order.trans, numbers, status)
    return report


if __name__ == "__main__":
    asyncio.run(work(Order(**json.load(sys.stdin))))
