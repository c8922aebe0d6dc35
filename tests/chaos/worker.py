"""A worker of the chaos test. It goes on when the server dies, and writes down what it was given.

Standard input: {"client": …, "trans": id, "groups": [[lfn, …], …], "name": …}. Output: JSON lines {"taken": [task, …]}
and {"made": task}, then {"unsure": n}: calls whose answer was lost.
"""

import asyncio
import json
import sys
from typing import Any

from jsonrpc_tm.client import Client, ConnectionFailed
from jsonrpc_tm.core.errors import InvalidState, StorageUnavailable


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


async def persistently(client: Client, *call: Any) -> Any:
    """Call until there is an answer; count the calls whose effect is not known."""
    while True:
        try:
            return await client.call(*call)
        except (ConnectionFailed, StorageUnavailable) as error:
            if getattr(error, "sent", True):
                say(unsure=call[0])
            await asyncio.sleep(0.05)


async def make(client: Client, trans: int, groups: list[list[str]]) -> None:
    for group in groups:
        try:
            say(made=await persistently(client, "addTaskForTransformation", trans, group))
        except InvalidState:
            continue  # another worker has these files, or the answer to our own call was lost


async def take(client: Client, trans: int) -> None:
    idle = 0
    while idle < 3:
        answer = await persistently(client, "getTasksToSubmit", trans, 3)
        tasks = [int(task) for task in answer["JobDictionary"]]
        idle = 0 if tasks else idle + 1
        if not tasks:
            await asyncio.sleep(0.2)
            continue
        say(taken=tasks)
        await persistently(client, "setTaskStatus", trans, tasks, "Submitted")


async def main() -> None:
    order = json.load(sys.stdin)
    async with Client(**order["client"]) as client:
        if order["groups"]:
            await make(client, order["trans"], order["groups"])
        else:
            await take(client, order["trans"])


asyncio.run(main())
