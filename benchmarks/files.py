"""Reports on files: setFileStatus (names, state machine) and DIRAC's setFileStatusForTransformation (ids) side by side.

    python benchmarks/files.py [--storage URL | --mariadb] [--files N …] [--rounds N]

Over HTTPS with a client certificate, so parameters are validated and rights asked. Every file changes in every call:
all to one status, or to a hundred. The floor, in the same run, is raw sqlite3 that looks the names up and updates the
rows, and writes counters and the event.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import yaml
from beside import storage
from matching import NOW, Floor

from jsonrpc_tm.client import Client
from jsonrpc_tm.tools.demo import server as demo

TARGETS = (1, 100)


def wanted(serial: int, count: int, targets: int) -> list[str]:
    """Return a status for each file, another one than the last time."""
    return [f"{'AB'[serial % 2]}{number % targets}" for number in range(count)]


def raw(database: sqlite3.Connection, names: Sequence[str], statuses: Sequence[str]) -> None:
    """What any server has to do."""
    database.execute("BEGIN IMMEDIATE")
    ids = [database.execute("SELECT FileID FROM DataFiles WHERE LFN = ?", (name,)).fetchone()[0] for name in names]
    database.executemany(
        "UPDATE TransformationFiles SET Status = ?, LastUpdate = ? WHERE TransformationID = 1 AND FileID = ?",
        ((status, NOW, file_id) for file_id, status in zip(ids, statuses, strict=True)),
    )
    database.executemany(
        "INSERT INTO StatusDeltas VALUES (1, 'file', ?, 0, 0, ?) ON CONFLICT DO UPDATE SET N = N + excluded.N",
        Counter(statuses).items(),
    )
    told = str(ids[:1000])
    database.execute("INSERT INTO Events (Time, Type, Data, Author, RequestID) VALUES (?, 't', ?, '', '')", (NOW, told))
    database.execute("COMMIT")


async def measure(folder: Path, url: str, count: int, rounds: int) -> Mapping[tuple[int, str], float]:
    """Return the median seconds by number of targets, and by method or ``floor``."""
    folder.mkdir()
    config = demo.configure(folder, url)
    settings = yaml.safe_load(config.read_text())
    settings["server"]["max_body"] = 2**26
    config.write_text(yaml.safe_dump(settings))
    names = [f"/bench/a-file-name-of-usual-length-{number:06}.root" for number in range(count)]
    floor = Floor(folder / "floor.db")
    floor.write(names, [(1, number) for number in range(count)], "")
    process, server = await demo.start(config)
    times: dict[tuple[int, str], list[float]] = {}
    try:
        async with Client(**server.client("manager")) as client:
            await client.call("addTransformation", "bench", "d", "l", "Processing", "Standard", "Manual", "")
            await client.call("addFilesToTransformation", "bench", names)
            listed = await client.call("getTransformationFiles", columns=["LFN", "FileID"])
            ids = {row["LFN"]: str(row["FileID"]) for row in listed}

            async def by_name(statuses: Sequence[str]) -> None:
                moved = await client.call("setFileStatus", "bench", dict(zip(names, statuses, strict=True)))
                assert len(moved) == count, "not every file has moved"

            async def by_id(statuses: Sequence[str]) -> None:
                asked = {ids[name]: status for name, status in zip(names, statuses, strict=True)}
                await client.call("setFileStatusForTransformation", "bench", asked)

            async def alone(statuses: Sequence[str]) -> None:
                raw(floor.database, names, statuses)

            ways: dict[str, Callable[[Sequence[str]], Awaitable[None]]] = {
                "setFileStatus": by_name,
                "setFileStatusForTransformation": by_id,
                "floor": alone,
            }
            for targets in TARGETS:
                for serial in range(rounds + 1):
                    # a status of one's own for each way: all of them share the server's rows
                    for prefix, (name, way) in zip("XYZ", ways.items(), strict=True):
                        statuses = [prefix + status for status in wanted(serial, count, targets)]
                        begin = time.perf_counter()
                        await way(statuses)
                        times.setdefault((targets, name), []).append(time.perf_counter() - begin)
    finally:
        await demo.stop(process)
        floor.database.close()
    return {key: statistics.median(seconds[1:]) for key, seconds in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", default="sqlite:///tm.db")
    parser.add_argument("--mariadb", action="store_true", help="on a MariaDB server that is started for it")
    parser.add_argument("--files", type=int, nargs="+", default=[1, 10, 100, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(" files  targets  setFileStatus, ms  …ForTransformation, ms  floor, ms  ratio to floor  to the other")
    for count in options.files:
        with tempfile.TemporaryDirectory() as name, storage(options, Path(name)) as url:
            found = asyncio.run(measure(Path(name) / "server", url, count, options.rounds))
        for targets in TARGETS:
            ours, other, floor = (
                found[targets, way] for way in ("setFileStatus", "setFileStatusForTransformation", "floor")
            )
            print(
                f"{count:6,} {targets:8} {1000 * ours:18.1f} {1000 * other:23.1f} {1000 * floor:10.2f}"
                f" {ours / floor:15.1f} {ours / other:13.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
