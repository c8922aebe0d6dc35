"""Two checkouts side by side, pair by pair over plain HTTP: how long a call takes, and the server's processor time.

    python -m benchmarks.pairs OLD NEW [--storage URL] [--rounds N] [--rows N]

OLD and NEW are folders of checkouts, each with its own ``.venv`` (``make demo`` makes one; else this Python is taken).
Each serves its own database; calls go to one and the other in turn, so that a busy machine is busy for both. Printed
is NEW ÷ OLD, the median of the rounds.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .common.processes import Server, processor_time
from .rows.files import fill


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--storage", default="sqlite:///tm.db", help="URL; {name} becomes old or new")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=100_000, help="files that are there, and changed or listed at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        servers = [
            Server(
                Path(folder) / name,
                options.storage.replace("{name}", name),
                tls=False,
                checkout=checkout.resolve(),
                more={"logging": {"calls": False}},
            )
            for name, checkout in (("old", options.old), ("new", options.new))
        ]
        try:
            for server in servers:
                fill(server, "many", options.rows)
                fill(server, "t", 0)
            compare(servers, options.rounds, options.rows)
        finally:
            for server in servers:
                server.stop()


def compare(servers: list[Server], rounds: int, rows: int) -> None:
    """Print a line a kind of call."""
    serial, many = 0, min(10_000, rows)

    def names(number: int) -> list[str]:
        nonlocal serial
        serial += 1
        return [f"/new/{serial}/{index:08}" for index in range(number)]

    def task(server: Server) -> None:
        lfns = names(10)
        server.call("addFilesToTransformation", "t", lfns)
        server.call("addTaskForTransformation", "t", lfns)

    def statuses(server: Server, number: int) -> None:
        word = f"W{time.perf_counter_ns()}"[:30]
        server.call("setFileStatusForTransformation", "many", dict.fromkeys(map(str, range(1, number + 1)), word))

    kinds: dict[str, tuple[int, Callable[[Server], Any]]] = {
        "echo": (200, lambda server: server.call("echo", "x")),
        "getTransformation": (100, lambda server: server.call("getTransformation", "t")),
        "setTransformationParameter": (50, lambda server: server.call("setTransformationParameter", "t", "p", 1)),
        "addFilesToTransformation, 1 name": (50, lambda s: s.call("addFilesToTransformation", "t", names(1))),
        f"addFilesToTransformation, {many:,} names": (
            1,
            lambda s: s.call("addFilesToTransformation", "t", names(many)),
        ),
        "addFiles and addTask, 10 names": (20, task),
        "setFileStatusForTransformation, 1": (50, lambda server: statuses(server, 1)),
        f"setFileStatusForTransformation, {many:,}": (1, lambda server: statuses(server, many)),
        f"getTransformationFiles, {rows:,} rows": (
            1,
            lambda server: server.call("getTransformationFiles", {"TransformationID": 1}),
        ),
    }
    print(f"{'NEW ÷ OLD':45} {'wall':>6} {'cpu':>6}   {'old ms':>8}")
    for kind, (repeats, call) in kinds.items():
        walls, cpus, old = [], [], []
        for number in range(rounds + 1):
            wall, cpu = [], []
            for server in servers if number % 2 else servers[::-1]:
                before, begin = processor_time(server.pids), time.perf_counter()
                for _ in range(repeats):
                    call(server)
                wall.append(time.perf_counter() - begin)
                cpu.append(processor_time(server.pids) - before)
            if number % 2 == 0:
                wall, cpu = wall[::-1], cpu[::-1]
            if number:  # the first is for warming up
                walls.append(wall[1] / wall[0])
                cpus += [cpu[1], cpu[0]]
                old.append(wall[0] / repeats * 1000)
        spent = sum(cpus[1::2])
        share = f"{sum(cpus[::2]) / spent:6.2f}" if spent else "     -"
        print(f"{kind:45} {statistics.median(walls):6.2f} {share}   {statistics.median(old):8.2f}", flush=True)


if __name__ == "__main__":
    main()
