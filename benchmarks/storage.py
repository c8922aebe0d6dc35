"""Transactions per second on SQLite, against raw ``sqlite3`` with a commit each, in the same run.

    python benchmarks/storage.py [seconds] [folder]

A transaction is two statements: an update of a counter and an insert of a row.
"""

import asyncio
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from jsonrpc_tm.storage.sqlite import SqliteStorage

COUNT = "UPDATE TaskCounters SET LastTaskID = LastTaskID + 1 WHERE TransformationID = 1"
INSERT = "INSERT INTO DataFiles (LFN) VALUES (:lfn)"
POINT = "SELECT TransformationName FROM Transformations WHERE TransformationID = 1"


async def prepare(tx):
    await tx.execute("INSERT INTO Transformations (TransformationName, Author, AuthorGroup) VALUES ('t', 'a', 'g')")
    await tx.execute("INSERT INTO TaskCounters (TransformationID) VALUES (1)")


async def write(tx, lfn):
    await tx.execute(COUNT)
    await tx.execute(INSERT, {"lfn": lfn})


async def read(tx):
    return await tx.fetch_value(POINT)


def floor(path: Path, seconds: float, turn: int) -> float:
    """Return transactions a second of one thread with ``sqlite3`` alone, FULL, one commit each."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    done, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(COUNT)
        connection.execute(INSERT, {"lfn": f"/floor/{turn}/{done}"})
        connection.execute("COMMIT")
        done += 1
    connection.close()
    return done / seconds


async def rate(storage: SqliteStorage, callers: int, seconds: float, reading: bool) -> float:
    done = 0
    end = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        nonlocal done
        turn = 0
        while time.perf_counter() < end:
            if reading:
                await storage.run("read", read, read=True)
            else:
                await storage.run("write", write, f"/{callers}/{number}/{turn}")
            turn += 1
            done += 1

    begin = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    return done / (time.perf_counter() - begin)


async def main(seconds: float, folder: Path) -> None:
    path = folder / "tm.db"
    async with SqliteStorage(path) as storage:
        await storage.run("prepare", prepare)
        # before and after: the first commits also make the log grow, and others use the disk too
        floors = [await asyncio.to_thread(floor, path, seconds, 0)]
        writes = {callers: await rate(storage, callers, seconds, reading=False) for callers in (1, 16, 64)}
        floors.append(await asyncio.to_thread(floor, path, seconds, 1))
        reads = {callers: await rate(storage, callers, seconds, reading=True) for callers in (1, 16, 64)}
    raw = max(floors)
    print(f"raw sqlite3, a commit each   {raw:9,.0f}/s   1.0   (before {floors[0]:,.0f}, after {floors[1]:,.0f})")
    for kind, found in (("writes", writes), ("point reads", reads)):
        for callers, each in found.items():
            print(f"{f'{kind}, {callers} caller(s)':28} {each:9,.0f}/s  {each / raw:4.1f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as temporary:
        asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0, Path(temporary)))
