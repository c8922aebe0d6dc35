"""Reads a stream of all files in a process of its own; prints the rows, and by how many MiB the memory grew.

python -m tests.storage.memory URL ORDER
"""

import asyncio
import re
import sys
from pathlib import Path

from jsonrpc_tm.storage.base import Select
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.storage.sqlite import SqliteProvider


def peak():
    """Return the most memory that this process has had, in MiB."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def files(order):
    async def open(tx):
        return None, Select(f"SELECT FileID, LFN, Status FROM DataFiles ORDER BY {order}")

    return open


async def main(url, order):
    provider = SqliteProvider() if url.startswith("sqlite") else MySQLProvider()
    rows = 0
    async with provider.open(url, migrate=False, migrations=(), options={}) as storage:
        # whatever the first use of it loads
        async with storage.stream("warm up", files("FileID"), 2000) as (_, batches):
            await anext(batches)
        before = peak()
        async with storage.stream("all", files(order)) as (_, batches):
            async for batch in batches:
                rows += len(batch)
        print(rows, peak() - before)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
