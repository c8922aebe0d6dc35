"""Tasks made in bulk, and claimers who take and report them, beside each other.

    python benchmarks/tasks.py [--storage URL | --mariadb] [--tasks N …] [--files N] [--claimers N] [--batch N]
        [--claimed N] [--rounds N]

Over HTTPS with client certificates, so parameters are validated and rights asked. The floor, in the same run, is raw
sqlite3, synchronous = FULL, that writes and reads the same rows in as many transactions.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from beside import storage

from jsonrpc_tm.client import Client
from jsonrpc_tm.storage.dialect import SQLITE
from jsonrpc_tm.storage.migrate import full_schema
from jsonrpc_tm.tools.demo import server as demo

NOW = "2026-01-01 00:00:00"
MADE = 5000
"""Tasks of one call where it is not making them that is measured."""


class Floor:
    """A database of the same schema, into which the same rows are written without a server."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = FULL")
        for statement in full_schema(SQLITE).statements:
            self.database.execute(statement)
        self.database.execute("PRAGMA foreign_keys = OFF")
        self.files = self.tasks = self.leases = 0

    def _timed(self, body: Callable[[], None], told: Sequence[int], minute: int) -> float:
        begin = time.perf_counter()
        self.database.execute("BEGIN IMMEDIATE")
        body()
        add = "INSERT INTO StatusDeltas VALUES (1, ?, ?, ?, 0, ?) ON CONFLICT DO UPDATE SET N = N + excluded.N"
        self.database.executemany(add, [("task", "a", minute, len(told)), ("task", "b", minute, -len(told))])
        self.database.execute(
            "INSERT INTO Events (Time, Type, Data, Author, RequestID) VALUES (?, 't', ?, '', '')",
            (NOW, str(list(told[:1000]))),
        )
        self.database.execute("COMMIT")
        return time.perf_counter() - begin

    def make(self, lfns: Sequence[Sequence[str]]) -> float:
        """Make a task of each list of files, which are there; return the seconds."""
        run = self.database.executemany
        flat = [(self.files + number, lfn) for number, lfn in enumerate((lfn for own in lfns for lfn in own), 1)]
        self.database.execute("BEGIN")
        run("INSERT INTO DataFiles VALUES (?, ?, 'New')", flat)
        run(
            "INSERT INTO TransformationFiles (TransformationID, FileID, Status, LastUpdate, InsertedTime)"
            " VALUES (1, ?, 'Unused', ?, ?)",
            ((file, NOW, NOW) for file, _ in flat),
        )
        self.database.execute("COMMIT")
        first, size = self.tasks + 1, len(lfns[0])
        self.files += len(flat)
        self.tasks += len(lfns)
        given = [(first + index // max(1, size), file, lfn) for index, (file, lfn) in enumerate(flat)]

        def body() -> None:
            for _task, _file, lfn in given:
                self.database.execute("SELECT FileID FROM DataFiles WHERE LFN = ?", (lfn,)).fetchone()
            run(
                "INSERT INTO TransformationTasks (TransformationID, TaskID, CreationTime, LastUpdateTime)"
                " VALUES (1, ?, ?, ?)",
                ((first + index, NOW, NOW) for index in range(len(lfns))),
            )
            run(
                "UPDATE TransformationFiles SET Status = 'Assigned', TaskID = ?, UsedSE = 'S', LastUpdate = ?"
                " WHERE TransformationID = 1 AND FileID = ?",
                ((task, NOW, file) for task, file, _ in given),
            )
            run("INSERT INTO TransformationFileTasks VALUES (1, ?, ?)", ((file, task) for task, file, _ in given))
            run("INSERT INTO TaskInputs VALUES (1, ?, ?)", ((first + i, ";".join(own)) for i, own in enumerate(lfns)))

        return self._timed(body, range(first, self.tasks + 1), first)

    def claim_and_report(self, batch: int) -> float:
        """Take the next tasks and report them, in two transactions; return the seconds."""
        ids: list[tuple[int]] = []
        self.leases += 1

        def claim() -> None:
            run = self.database.execute
            ids.extend(
                run(
                    "SELECT TaskID FROM TransformationTasks WHERE TransformationID = 1 AND ExternalStatus = 'Created'"
                    " ORDER BY TaskID LIMIT ?",
                    (batch,),
                ).fetchall()
            )
            run("INSERT INTO Leases (TransformationID, LeaseUntil) VALUES (1, ?)", (NOW,))
            self.database.executemany(
                "UPDATE TransformationTasks SET ExternalStatus = 'Reserved', Lease = ?, LastUpdateTime = ?"
                " WHERE TransformationID = 1 AND TaskID = ?",
                ((self.leases, NOW, task) for (task,) in ids),
            )
            for row in ids:
                run("SELECT InputVector FROM TaskInputs WHERE TransformationID = 1 AND TaskID = ?", row).fetchone()

        def report() -> None:
            self.database.executemany(
                "UPDATE TransformationTasks SET ExternalStatus = 'Done', ExternalID = ?, LastUpdateTime = ?"
                " WHERE TransformationID = 1 AND TaskID = ? AND Lease = ?",
                ((task, NOW, task, self.leases) for (task,) in ids),
            )

        spent = self._timed(claim, range(batch), self.leases)
        return spent + self._timed(report, range(batch), self.leases)


def names(serial: int, tasks: int, files: int) -> list[list[str]]:
    """Return the files of tasks."""
    return [
        [f"/bench/{serial:04}/a-file-name-of-usual-length-{task:06}-{file:03}.root" for file in range(files)]
        for task in range(tasks)
    ]


async def make(client: Client, lfns: Sequence[Sequence[str]]) -> float:
    """Make a task of each list of files; return the seconds, adding the files aside."""
    if flat := [lfn for own in lfns for lfn in own]:
        await client.call("addFilesToTransformation", "bench", flat)
    begin = time.perf_counter()
    made = await client.call("addTasks", "bench", [{"lfns": own, "se": "SE-A"} for own in lfns])
    spent = time.perf_counter() - begin
    assert len(made) == len(lfns), "tasks are missing"
    return spent


async def work(client: Client, batch: int, taken: list[int]) -> None:
    """Claim and report until there is nothing left."""
    while (got := await client.call("claimTasks", "bench", batch))["Tasks"]:
        lease = got["Lease"]
        updates = [
            {"TaskID": task["TaskID"], "ExternalStatus": "Done", "ExternalID": task["TaskID"], "Lease": lease}
            for task in got["Tasks"]
        ]
        assert await client.call("updateTasks", "bench", updates) == len(updates), "updates are missing"
        taken.extend(task["TaskID"] for task in got["Tasks"])


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(folder: Path, url: str, options: argparse.Namespace) -> None:
    floor = Floor(folder / "floor.db")
    process, server = await demo.start(demo.configure(folder, url))
    clients = [Client(**server.client("manager")) for _ in range(options.claimers)]
    try:
        for client in clients:
            await client.__aenter__()
        first = clients[0]
        await first.call("addTransformation", "bench", "d", "l", "Processing", "Standard", "Manual", "")
        print(f"{'addTasks':>10} {'ms':>9} {'floor':>9} {'ratio':>6}")
        for number in options.tasks:
            times, floors = [], []
            for serial in range(options.rounds):
                lfns = names(serial, number, options.files)
                lfns = [[f"{lfn}.{number}" for lfn in own] for own in lfns]
                times.append(await make(first, lfns))
                floors.append(floor.make(lfns))
            spent, least = statistics.median(times), statistics.median(floors)
            print(f"{number:10,} {1000 * spent:9.1f} {1000 * least:9.1f} {spent / least:6.1f}", flush=True)
        await work(first, MADE, [])
        taken: list[int] = []
        for serial in range(0, options.claimed, MADE):
            lfns = names(9000 + serial, min(MADE, options.claimed - serial), options.files)
            await make(first, lfns)
            floor.make(lfns)
        used, own = processor_time(process.pid), time.process_time()
        begin = time.perf_counter()
        await asyncio.gather(*[work(client, options.batch, taken) for client in clients])
        spent = time.perf_counter() - begin
        used, own = processor_time(process.pid) - used, time.process_time() - own
        assert len(set(taken)) == len(taken) == options.claimed, "tasks are missing, or were given twice"
        least = sum(floor.claim_and_report(options.batch) for _ in range(0, options.claimed, options.batch))
        each = 1e6 / len(taken)
        print(
            f"{options.claimers} claimers, {options.batch} at a time: {len(taken) / spent:,.0f} tasks/s,"
            f" floor {len(taken) / least:,.0f}, ratio {spent / least:.1f}; processor time a task:"
            f" server {used * each:.0f} us, claimers {own * each:.0f} us"
        )
    finally:
        for client in clients:
            await client.__aexit__(None, None, None)
        await demo.stop(process)
        floor.database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", default="sqlite:///tm.db")
    parser.add_argument("--mariadb", action="store_true", help="on a MariaDB server that is started for it")
    parser.add_argument("--tasks", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--claimers", type=int, default=32)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--claimed", type=int, default=64_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, storage(options, Path(name)) as url:
        folder = Path(name) / "server"
        folder.mkdir()
        asyncio.run(measure(folder, url, options))


if __name__ == "__main__":
    main()
