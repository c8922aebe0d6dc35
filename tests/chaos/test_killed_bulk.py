"""A bulk operation whose process is killed: another one goes on where it stopped, and no object is changed twice."""

import asyncio
import sqlite3
from contextlib import closing

from jsonrpc_tm.client import Client
from jsonrpc_tm.tools.demo.server import configure, start, stop

from .test_killed_server import free_port

FILES = 8_000


async def test_a_bulk_operation_survives_the_death_of_its_process(tmp_path):
    database = tmp_path / "bulk.db"
    config = configure(tmp_path, f"sqlite:///{database}", free_port())
    process, server = await start(config)
    names = [f"/bulk/{number:05d}" for number in range(FILES)]
    async with Client(**server.client("manager")) as client:
        trans = await client.call("addTransformation", "bulk", "d", "l", "Processing", "Standard", "Manual", "")
        await client.call("addFilesToTransformation", trans, names)
        await client.call("setFileStatus", trans, dict.fromkeys(names, "Assigned"))
        asked = ("files", {"TransformationID": trans}, "setStatus", {"status": "Unused"}, False)
        number = await client.call("startBulk", *asked)
        async with asyncio.timeout(20):
            while not (await client.call("getBulk", number))["Done"]:
                continue
    process.kill()
    await process.wait()
    with closing(sqlite3.connect(database)) as connection:
        done, state = connection.execute("SELECT Done, State FROM BulkOperations").fetchone()
    assert (0 < done < FILES, state) == (True, "Running"), "it was killed too late"
    process, server = await start(config)
    async with Client(**server.client("manager")) as client, asyncio.timeout(60):
        while (told := await client.call("getBulk", number))["State"] == "Running":
            continue
    await stop(process)
    assert (told["State"], told["Done"], told["Skipped"], told["Refused"]) == ("Done", FILES, 0, {})
    with closing(sqlite3.connect(database)) as connection:
        # an object that is changed twice would have counted two errors
        counts = connection.execute("SELECT Status, ErrorCount, COUNT(*) FROM TransformationFiles GROUP BY 1, 2")
        assert counts.fetchall() == [("Unused", 1, FILES)]
        moved = connection.execute("SELECT Data FROM Events WHERE Type = 'files.status'").fetchall()
    assert len(moved) == 1 + -(-FILES // 1000)
