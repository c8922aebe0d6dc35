"""A bulk operation whose process is killed: another one goes on where it stopped, and no object is changed twice."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

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


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
async def test_two_processes_work_beside_each_other_and_one_dies(tmp_path, engine, request):
    """Each of two servers begins an operation, both work at both, and one is killed; then they are undone likewise."""
    if engine == "sqlite":
        url = f"sqlite:///{tmp_path}/bulk.db"
    else:
        mariadb = request.getfixturevalue("mariadb")
        url = mariadb.url(mariadb.create_database())
    folders = [tmp_path / "lasting", tmp_path / "dying"]
    for folder in folders:
        folder.mkdir()
    lasting, server = await start(configure(folders[0], url, free_port()))
    config = configure(folders[1], url, free_port())
    names = [f"/bulk/{number:05d}" for number in range(FILES)]
    async with Client(**server.client("manager")) as client:

        async def counts(trans):
            rows = await client.call("getTransformationFiles", {"TransformationID": trans})
            return {(row["Status"], row["ErrorCount"]) for row in rows}, len(rows)

        for name in ("one", "other"):
            await client.call("addTransformation", name, "d", "l", "Processing", "Standard", "Manual", "")
            await client.call("addFilesToTransformation", name, names)
            await client.call("setFileStatus", name, dict.fromkeys(names, "Assigned"))
        first = [
            ("startBulk", "files", {"TransformationID": trans}, "setStatus", {"status": "Unused"}, False)
            for trans in (1, 2)
        ]
        numbers, told = await begin_and_kill(client, config, first)
        assert told == [("Done", FILES, 0, {})] * 2
        assert await counts(1) == await counts(2) == ({("Unused", 1)}, FILES)
        _, told = await begin_and_kill(client, config, [("undoBulk", number) for number in numbers])
        assert told == [("Done", FILES, 0, {})] * 2
        assert await counts(1) == await counts(2) == ({("Assigned", 0)}, FILES)
    await stop(lasting)


async def begin_and_kill(client, config, calls):
    """Begin operations while two servers run, kill one of them amid the work, and wait for the end."""
    process, server = await start(config)
    async with Client(**server.client("manager")) as other:
        # whoever is asked begins at once
        numbers = [await one.call(*call) for one, call in zip((client, other), calls, strict=True)]
    async with asyncio.timeout(60):
        while sum([(await client.call("getBulk", number))["Done"] for number in numbers]) < FILES // 2:
            continue
        process.kill()
        await process.wait()
        while True:
            told = [await client.call("getBulk", number) for number in numbers]
            if all(one["State"] != "Running" for one in told):
                return numbers, [(one["State"], one["Done"], one["Skipped"], one["Refused"]) for one in told]
