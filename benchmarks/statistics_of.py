"""Statistics and web summaries of transformations with more and more files, the last one with a million.

    python benchmarks/statistics_of.py [--storage URL | --mariadb] [--files N …] [--rounds N]

Over HTTPS with a client certificate, so parameters are validated and rights asked. The floors, in the same run, are raw
sqlite3 on a database of the same rows: reading the counters, and counting the files as it was done before there were
counters. Growth is told against the second transformation.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import yaml
from beside import storage

from jsonrpc_tm.client import Client
from jsonrpc_tm.storage.dialect import SQLITE
from jsonrpc_tm.storage.migrate import full_schema
from jsonrpc_tm.tools.demo import server as demo

NEW = ("", "", "Processing", "Standard", "Manual", "")
STATUSES = ("Unused", "Assigned", "Processed", "Problematic", "MaxReset")
NOW = "2026-01-01 00:00:00"
ONCE = 20


class Floor:
    """The rows without a server."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        for statement in full_schema(SQLITE).statements:
            self.database.execute(statement)
        self.database.execute("PRAGMA foreign_keys = OFF")

    def fill(self, trans: int, files: int) -> None:
        self.database.execute("BEGIN")
        self.database.executemany(
            "INSERT INTO TransformationFiles (TransformationID, FileID, Status, LastUpdate, InsertedTime)"
            " VALUES (?, ?, ?, ?, ?)",
            ((trans, number, STATUSES[number % len(STATUSES)], NOW, NOW) for number in range(files)),
        )
        self.database.execute(
            "INSERT INTO StatusCounts SELECT TransformationID, 'file', Status, COUNT(*) FROM TransformationFiles"
            " WHERE TransformationID = ? GROUP BY Status",
            (trans,),
        )
        self.database.execute("COMMIT")

    def read(self, trans: int) -> None:
        self.database.execute(
            "SELECT Status, SUM(N) FROM StatusCounts WHERE TransformationID = ? GROUP BY Status", (trans,)
        ).fetchall()

    def count(self, trans: int) -> None:
        self.database.execute(
            "SELECT Status, COUNT(*) FROM TransformationFiles WHERE TransformationID = ? GROUP BY Status", (trans,)
        ).fetchall()


async def fill(client: Client, files: int) -> int:
    """Make a transformation whose files have several statuses."""
    trans: int = await client.call("addTransformation", f"t{files}", *NEW)
    names = [f"/bench/{files}/a-file-name-of-usual-length-{number:08}.root" for number in range(files)]
    for start in range(0, files, 10_000):
        some = names[start : start + 10_000]
        await client.call("addFilesToTransformation", trans, some)
    page = await client.call(
        "getTransformationFiles", condDict={"TransformationID": trans}, limit=10_000, columns=["FileID"]
    )
    changed = {str(row["FileID"]): STATUSES[place % len(STATUSES)] for place, row in enumerate(page)}
    await client.call("setFileStatusForTransformation", trans, changed)
    return trans


async def measure(folder: Path, url: str, sizes: list[int], rounds: int) -> None:
    """Print a line a kind of call."""
    folder.mkdir()
    config = demo.configure(folder, url)
    settings = yaml.safe_load(config.read_text())
    settings["server"]["max_body"] = 2**26
    config.write_text(yaml.safe_dump(settings))
    floor = Floor(folder / "floor.db")
    process, server = await demo.start(config)
    try:
        async with Client(**server.client("manager")) as client:
            transformations = []
            for number, files in enumerate(sizes, 1):
                transformations.append(await fill(client, files))
                floor.fill(number, files)

            async def raw(run: Callable[[int], None], place: int) -> None:
                run(place + 1)

            calls: dict[str, Callable[[int], Awaitable[object]]] = {
                "floor: counters": lambda place: raw(floor.read, place),
                "floor: counting": lambda place: raw(floor.count, place),
                "getTransformation": lambda place: client.call("getTransformation", transformations[place]),
                "getTransformationStats": lambda place: client.call("getTransformationStats", transformations[place]),
                "getTransformationSummaryWeb": lambda place: client.call(
                    "getTransformationSummaryWeb", {"TransformationID": transformations[place]}, [], 0, 10
                ),
                "getTransformationProgress": lambda place: client.call(
                    "getTransformationProgress", transformations[place]
                ),
                "getCounters": lambda place: client.call(
                    "getCounters", "TransformationFiles", ["Status"], {"TransformationID": transformations[place]}
                ),
                "getTransformationFilesSummaryWeb": lambda place: client.call(
                    "getTransformationFilesSummaryWeb", {"TransformationID": transformations[place]}, [], 0, 10
                ),
            }
            print(f"{'ms; growth':34}" + "".join(f"{files:>12,}" for files in sizes) + "    growth")
            for name, call in calls.items():
                spent: list[list[float]] = [[] for _ in sizes]
                for number in range(rounds + 1):
                    for place in range(len(sizes)):
                        times = ONCE if number and spent[place][-1] < 0.02 else 1
                        begin = time.perf_counter()
                        for _ in range(times):
                            await call(place)
                        spent[place].append((time.perf_counter() - begin) / times)
                medians = [statistics.median(times[1:]) for times in spent]
                growth = medians[-1] / medians[min(2, len(sizes) - 1)]
                print(f"{name:34}" + "".join(f"{1000 * m:12.3f}" for m in medians) + f"{growth:10.2f}", flush=True)
    finally:
        await demo.stop(process)
        floor.database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", default="sqlite:///tm.db")
    parser.add_argument("--mariadb", action="store_true", help="on a MariaDB server that is started for it")
    parser.add_argument("--files", type=int, nargs="+", default=[10, 100, 1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, storage(options, Path(name)) as url:
        asyncio.run(measure(Path(name) / "server", url, options.files, options.rounds))


if __name__ == "__main__":
    main()
