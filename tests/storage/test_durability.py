"""What was acknowledged is there: after ``kill -9`` under load, and with two processes on one file."""

import asyncio
import signal
import sys

from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.tools.testing.storage_contract import add_transformation, count, file_ids

# writes until it is killed or has done enough, each name printed once it is acknowledged
WRITER = """
import asyncio, os, pathlib, sys
from jsonrpc_tm.storage.sqlite import SqliteStorage
path, prefix, callers, each = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
async def add(tx, lfn):
    last = await tx.fetch_value("SELECT LastTaskID FROM TaskCounters")
    await tx.execute("INSERT INTO DataFiles (LFN) VALUES (:lfn)", {"lfn": lfn})
    await tx.execute("UPDATE TaskCounters SET LastTaskID = :next", {"next": last + 1})
async def caller(storage, number):
    for turn in range(each):
        lfn = f"/{prefix}/{number}/{turn}"
        await storage.run("add", add, lfn)
        os.write(1, (lfn + "\\n").encode())
async def main():
    async with SqliteStorage(pathlib.Path(path)) as storage:
        await asyncio.gather(*(caller(storage, number) for number in range(callers)))
asyncio.run(main())
"""


async def start(path, prefix, callers, each):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), prefix, str(callers), str(each), stdout=asyncio.subprocess.PIPE
    )


async def last_counted(tx):
    return await tx.fetch_value("SELECT LastTaskID FROM TaskCounters")


async def test_acknowledged_writes_survive_kill_9(tmp_path):
    path = tmp_path / "tm.db"
    async with SqliteStorage(path) as storage:
        await storage.run("prepare", add_transformation)
    acknowledged = set()
    for turn in range(4):
        child = await start(path, f"run{turn}", 16, 10**9)
        for _ in range(300):
            acknowledged.add((await child.stdout.readline()).decode().strip())
        child.send_signal(signal.SIGKILL)
        rest, _ = await child.communicate()
        # the last line may be cut
        acknowledged.update(rest.decode().split("\n")[:-1])
    assert len(acknowledged) >= 1200
    async with SqliteStorage(path) as storage:
        found = await storage.run("ids", file_ids, read=True)
        assert acknowledged <= found.keys()
        # and of each transaction both halves or none
        assert await storage.run("counter", last_counted, read=True) == len(found)


async def test_two_processes_write_the_same_file(tmp_path):
    path = tmp_path / "tm.db"
    async with SqliteStorage(path) as storage:
        await storage.run("prepare", add_transformation)
    children = [await start(path, prefix, 8, 40) for prefix in ("a", "b")]
    outputs = [(await child.communicate())[0].decode().split() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert [len(output) for output in outputs] == [320, 320]
    async with SqliteStorage(path) as storage:
        assert await storage.run("count", count, "DataFiles", read=True) == 640
        assert await storage.run("counter", last_counted, read=True) == 640
