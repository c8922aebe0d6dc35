"""The server is killed with -9 while processes make and take tasks: nothing is doubled, nothing is lost.

The callers have no keys: what they asked when the server died they do not know. With keys: ``test_chaos``.
"""

import asyncio
import collections
import json
import random
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from jsonrpc_tm.client import Client
from jsonrpc_tm.tools.demo.server import configure, start, stop

FILES, GROUP = 640, 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def run_worker(order: dict) -> list[dict]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(json.dumps(order).encode())
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.splitlines()]


async def chaos(folder: Path, seed: int, makers: int = 8, takers: int = 8) -> None:
    chance = random.Random(seed)
    config = configure(folder, f"sqlite:///{folder}/chaos.db", free_port())
    process, server = await start(config)
    names = [f"/chaos/{number:05d}" for number in range(FILES)]
    async with Client(**server.client("manager")) as client:
        add = ("chaos", "d", "l", "Processing", "Standard", "Manual", "")
        trans = await client.call("addTransformation", *add)
        await client.call("addFilesToTransformation", trans, names)
    groups = [names[start : start + GROUP] for start in range(0, FILES, GROUP)]
    orders = []
    for number in range(makers):
        # every group is tried by two makers, each in its own order
        mine = [group for index, group in enumerate(groups) if number in (index % makers, (index + 1) % makers)]
        orders.append(chance.sample(mine, len(mine)))
    orders += [[] for _ in range(takers)]
    workers = [
        asyncio.create_task(run_worker({"client": server.client("agent"), "trans": trans, "groups": mine}))
        for mine in orders
    ]
    for _ in range(2):
        await asyncio.sleep(chance.uniform(1.5, 4))
        process.kill()
        await process.wait()
        process, _ = await start(config)
    said = [line for worker in await asyncio.gather(*workers) for line in worker]
    await stop(process)
    check(folder / "chaos.db", trans, said)


def check(database: Path, trans: int, said: list[dict]) -> None:
    """Compare what the workers were told with what the database holds."""
    with closing(sqlite3.connect(database)) as connection:

        def rows(sql: str) -> list:
            return connection.execute(sql.replace("?", str(trans))).fetchall()

        files = rows("SELECT FileID, Status, TaskID FROM TransformationFiles WHERE TransformationID = ?")
        history = rows("SELECT FileID, TaskID FROM TransformationFileTasks WHERE TransformationID = ?")
        tasks = dict(rows("SELECT TaskID, ExternalStatus FROM TransformationTasks WHERE TransformationID = ?"))
    taken = collections.Counter(task for line in said for task in line.get("taken", []))
    made = [line["made"] for line in said if "made" in line]
    unsure = sum("unsure" in line for line in said)

    assert len(files) == FILES, "a file is lost"
    assert {status for _, status, _ in files} == {"Assigned"}, "a file was left over"
    assert len(history) == len({file for file, _ in history}) == FILES, "a file is in two tasks"
    assert dict(history) == {file: task for file, _, task in files}, "books and history differ"
    assert collections.Counter(collections.Counter(task for _, task in history).values()) == {GROUP: FILES // GROUP}
    assert sorted(tasks) == list(range(1, FILES // GROUP + 1)), "task numbers have gaps or repeat"
    assert len(made) == len(set(made)), "a task number was given twice"
    assert set(made) <= set(tasks), "an acknowledged task is lost"
    assert all(times == 1 for times in taken.values()), "a task was handed to two workers"
    lost_answers = [task for task in tasks if task not in taken]
    assert all(tasks[task] == "Reserved" for task in lost_answers), "a task was never handed out"
    # a task nobody was told of is one whose answer the kill cut off: at most three for each lost answer
    assert len(lost_answers) <= 3 * unsure
    assert {tasks[task] for task in taken} == {"Submitted"}, "an acknowledged status is lost"


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_twenty_killed_servers(tmp_path):
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        await chaos(folder, seed)
