"""addFile of many files against more and more transformations that accept files, each file wanted by about ten.

    python benchmarks/matching.py [--storage URL | --mariadb] [--files N] [--transformations N …] [--rounds N]

Over HTTPS with a client certificate, so parameters are validated and rights asked. The files' metadata are in the
built-in catalog. The floor, in the same run, is raw sqlite3 that inserts the same rows: files, files of
transformations, counters and the event. Before it the engine alone, in microseconds a file.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from beside import storage

from jsonrpc_tm.app import create_service
from jsonrpc_tm.client import Client
from jsonrpc_tm.matching.engine import Engine
from jsonrpc_tm.matching.query import Query
from jsonrpc_tm.storage.base import Transaction, chunks
from jsonrpc_tm.storage.dialect import SQLITE
from jsonrpc_tm.storage.migrate import full_schema
from jsonrpc_tm.tools.demo import server as demo

FIELDS = {"particle": "string", "zenith": "int", "run": "int"}
WANTED_BY = 10
NOW = "2026-01-01 00:00:00"


def query(number: int, of: int) -> dict[str, Any]:
    """Return the query of one of so many transformations: one run of about *of* ÷ 10."""
    return {"particle": "gamma", "zenith": {">=": number % 20, "<=": 60}, "run": number % max(1, of // WANTED_BY)}


def files(serial: int, count: int, of: int) -> dict[str, dict[str, Any]]:
    return {
        f"/bench/{serial:04}/a-file-name-of-usual-length-{number:06}.root": {
            "particle": "gamma",
            "zenith": 20 + number % 40,
            "run": number % max(1, of // WANTED_BY),
        }
        for number in range(count)
    }


def engine_alone(of: int, count: int) -> tuple[float, float]:
    """Return the seconds that compiling takes, and the microseconds a file."""
    queries = {number: Query(query(number, of)) for number in range(of)}
    begin = time.perf_counter()
    engine = Engine(queries, FIELDS)  # type: ignore[arg-type]
    built = time.perf_counter() - begin
    announced = list(files(0, count, of).values())
    begin = time.perf_counter()
    found = sum(len(engine.matching(metadata)) for metadata in announced)
    spent = time.perf_counter() - begin
    assert found == count * min(WANTED_BY, of)
    return built, spent / count * 1e6


async def fill(config: Path, of: int) -> None:
    """Make transformations that accept files, with a query each."""

    async def body(tx: Transaction, numbers: Sequence[int]) -> None:
        await tx.executemany(
            "INSERT INTO Transformations (TransformationName, Description, LongDescription, CreationDate, LastUpdate,"
            " Author, AuthorGroup, Type, Plugin, AgentType, Status, FileMask, TransformationGroup, Body)"
            " VALUES (:name, '', '', :now, :now, 'a', 'g', 'Processing', 'Standard', 'Manual', 'Active', '', '', '')",
            [{"name": f"t{number}", "now": NOW} for number in numbers],
        )
        asked = query(0, of)
        await tx.executemany(
            "INSERT INTO TransformationMetaQueries"
            " (TransformationID, MetaDataName, MetaDataValue, MetaDataType, QueryType)"
            " SELECT TransformationID, :field, :asked, 'JSON', 'Input' FROM Transformations"
            " WHERE TransformationName = :name",
            [
                {"name": f"t{number}", "field": field, "asked": tx.dialect.pack([query(number, of)[field]])[1:-1]}
                for number in numbers
                for field in asked
            ],
        )

    async with create_service(config) as service:
        for numbers in chunks(range(of), 1000):
            await service.storage.run("fill", body, numbers)


class Floor:
    """A database of the same schema, into which the same rows are written without a server."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = FULL")
        for statement in full_schema(SQLITE).statements:
            self.database.execute(statement)
        self.database.execute("PRAGMA foreign_keys = OFF")
        self.next = 1

    def write(self, names: Sequence[str], wanted: Sequence[tuple[int, int]], told: str) -> float:
        """Return the seconds that it takes."""
        first, self.next = self.next, self.next + len(names)
        counts: dict[int, int] = {}
        for trans, _ in wanted:
            counts[trans] = counts.get(trans, 0) + 1
        begin = time.perf_counter()
        run = self.database.executemany
        self.database.execute("BEGIN IMMEDIATE")
        run("INSERT INTO DataFiles (LFN, Status) VALUES (?, 'New')", ((name,) for name in names))
        run(
            "INSERT INTO TransformationFiles (TransformationID, FileID, Status, LastUpdate, InsertedTime)"
            " VALUES (?, ?, 'Unused', ?, ?)",
            ((trans, first + file, NOW, NOW) for trans, file in wanted),
        )
        run(
            "INSERT INTO StatusDeltas VALUES (?, 'file', 'Unused', ?, 0, ?)",
            ((trans, first, number) for trans, number in counts.items()),
        )
        run("INSERT INTO Events (Time, Type, Data, Author, RequestID) VALUES (?, 't', ?, '', '')", [(NOW, told)])
        self.database.execute("COMMIT")
        return time.perf_counter() - begin


async def measure(folder: Path, url: str, of: int, count: int, rounds: int) -> tuple[float, float]:
    """Return the median seconds of an addFile and of the floor."""
    folder.mkdir()
    config = demo.configure(folder, url)
    settings = yaml.safe_load(config.read_text())
    settings["registry"]["groups"][demo.GROUP]["properties"].append("FileCatalogManagement")
    settings["server"]["max_body"] = 2**26
    config.write_text(yaml.safe_dump(settings))
    await fill(config, of)
    floor = Floor(folder / "floor.db")
    process, server = await demo.start(config)
    try:
        async with Client(**server.client("manager")) as client:
            await client.call("catalog.addFields", FIELDS)
            times, floors = [], []
            for serial in range(rounds + 1):
                announced = files(serial, count, of)
                await client.call("catalog.addFiles", announced)
                begin = time.perf_counter()
                answer = await client.call("addFile", list(announced))
                times.append(time.perf_counter() - begin)
                assert all(answer["Successful"].values()), "not every file is wanted"
                runs = [metadata["run"] for metadata in announced.values()]
                step = max(1, of // WANTED_BY)
                wanted = [(trans, file) for file, run in enumerate(runs) for trans in range(run, of, step)]
                told = str({trans: 1 for trans, _ in wanted})
                floors.append(floor.write(list(announced), wanted, told))
    finally:
        await demo.stop(process)
        floor.database.close()
    # the first has the queries compiled
    return statistics.median(times[1:]), statistics.median(floors[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", default="sqlite:///tm.db")
    parser.add_argument("--mariadb", action="store_true", help="on a MariaDB server that is started for it")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--transformations", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print("transformations  compiled, s  us a file  addFile, ms  floor, ms  ratio")
    for of in options.transformations:
        built, alone = engine_alone(of, options.files)
        with tempfile.TemporaryDirectory() as name, storage(options, Path(name)) as url:
            spent, floor = asyncio.run(measure(Path(name) / "server", url, of, options.files, options.rounds))
        print(
            f"{of:15,} {built:12.3f} {alone:10.1f} {1000 * spent:12.1f} {1000 * floor:10.1f} {spent / floor:6.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
