"""The table of `benchmarks/README.md`: what is wanted of the calls that matter most, and what was measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .measure import MARIADB, SQLITE
from .report import number

BEGIN, END = "<!-- measured -->\n", "<!-- end -->"
WIRE = "DIRAC's wire"
CLEANED = "beside 100,000 files cleaned and deleted"
HEAD = "| work | reference | goal | SQLite: rpc; wire | floor | MariaDB: rpc; wire | floor |\n" + 7 * "|---" + "|\n"
Show = Callable[[Mapping[str, Any]], str]


def rate(row: Mapping[str, Any]) -> str:
    """Return calls a second and processor time, and times that of the floor."""
    return f"{number(row['rate'])}/s, {number(row['cpu'])} µs (×{number(row['cpu_ratio'])})"


def wall(row: Mapping[str, Any]) -> str:
    """Return milliseconds, times the floor, and times the floor's processor time."""
    return f"{number(row['ms'])} ms, ×{number(row['ratio'])} (×{number(row['cpu_ratio'])})"


def times(row: Mapping[str, Any]) -> str:
    """Return how many times as fast as the floor it is."""
    return f"×{number(1 / row['ratio'])}"


def noticed(row: Mapping[str, Any]) -> str:
    """Return what a small call beside it took."""
    return f"{number(row['beside'][1])} ms"


FLOORS: Mapping[Show, Show] = {
    rate: lambda row: f"{number(row['floor_cpu'])} µs",
    wall: lambda row: f"{number(row['floor_ms'])} ms",
    times: lambda row: f"{number(1e3 / row['floor_ms'])}/s",
    noticed: lambda _: "",
}


@dataclass(frozen=True)
class Target:
    """A line of the table.

    :param row: name of the measured row.
    :param reference: calls a second or milliseconds of DIRAC's own server on MariaDB, as in the issue.
    :param wire: of JSON-RPC.
    """

    work: str
    row: str
    reference: str
    goal: str
    show: Show = wall
    wire: str = "TLS"
    callers: int = 1
    workers: int = 1


TARGETS = (
    Target("echo, 16 callers", "echo", "664/s", "≤ 85 µs CPU", rate, callers=16),
    Target("getTransformation, 16 callers", "getTransformation", "559/s", "≤ 130; 250 µs CPU", rate, callers=16),
    Target("echo, 16 callers, two workers", "echo", "", "≥ ×1.7 on two free cores", times, callers=16, workers=2),
    Target("getTransformation, two workers", "getTransformation", "", "≥ ×1.7", times, callers=16, workers=2),
    Target("addFilesToTransformation 10,000 new", "addFilesToTransformation 10,000", "4,880 ms", "≤ 1.5 × raw"),
    Target("setFileStatusForTransformation 10,000", "setFileStatus 10,000", "2,420 ms", "≤ 60 ms", wire="TLS, ids"),
    Target("addTask with 10 files, 16", "addTaskForTransformation, 10 files", "395/s", "≥ 3,160/s", rate, callers=16),
    Target("addTasks of 1,000 with 10 files", "addTasks of 1,000, 10 files each", "2,530 ms", "≤ 25 ms"),
    Target("extendTransformation 1,000", "extendTransformation 1,000", "480 ms", "≤ 4.8 ms"),
    Target("getTasksToSubmit 1,000", "getTasksToSubmit 1,000", "965 ms", "≤ 16 ms"),
    Target("100,000 file rows", "getTransformationFiles 100,000", "1,160 ms", "≤ 1.5 × floor; wire ≤ 390 ms"),
    Target("the same as NDJSON", "getTransformationFiles 100,000", "", "", wire="TLS, NDJSON"),
    Target("web summary, 25 of 1,000", "getTransformationSummaryWeb, 25 of 1,000", "25 ms", "≤ 1.2 ms"),
    Target("web summary, all of 1,000", "getTransformationSummaryWeb, all of 1,000", "1,027 ms", "≤ 17 ms"),
    Target("clean 100,000 files", "cleanTransformation 100,000", "1,348 ms", "≤ 674 ms"),
    Target("addFile 1,000 × 100 transformations", "addFile 1,000 × 100 transformations", "127,000 ms", ""),
    Target("addFile 1 × 10,000 transformations", "addFile 1 × 10,000 transformations", "", "≤ 5 ms"),
    Target(
        "small writes, 16 callers", "setTransformationParameter, small writes", "", "≥ ×5 on SQLite", times, callers=16
    ),
    Target("p99 of a getTransformation, nothing beside it", "nothing beside a small call", "", "", noticed),
    Target("beside 100,000 files listed", "beside 100,000 files listed", "", "≤ 50 ms", noticed),
    Target("beside 100,000 files added", "beside 100,000 files added", "", "≤ 50 ms", noticed),
    Target("beside 100,000 files reported", "beside 100,000 files reported", "", "≤ 50 ms", noticed),
    Target("beside 100,000 files cleaned", CLEANED, "", "≤ 50 ms", noticed, wire="TLS, cleanTransformation"),
    Target("beside 10 MB of parameters", "beside 10 MB sent", "", "≤ 50 ms", noticed, wire="TLS, many texts"),
    Target("beside 60 MB of answer", "beside 60 MB answered", "", "≤ 50 ms", noticed),
)


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of the rows of a file."""
    found = {(row["name"], row["storage"], row["wire"], row["callers"], row["workers"]): row for row in rows.values()}
    lines = []
    for one in TARGETS:
        words = [one.work, one.reference, one.goal]
        for storage in (SQLITE, MARIADB):
            rpc, wire = (found.get((one.row, storage, kind, one.callers, one.workers)) for kind in (one.wire, WIRE))
            shown = [one.show(row) for row in (rpc, wire if "NDJSON" not in one.wire else None) if row]
            words += ["; ".join(shown), FLOORS[one.show](rpc) if rpc else ""]
        lines.append(f"| {' | '.join(words)} |\n")
    return HEAD + "".join(lines)


def about(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return with what the rows were measured."""
    machines = [row["machine"] for row in rows.values()]
    last = max(machines, key=lambda machine: machine["time"])
    loads = sorted(machine["load"] for machine in machines)
    return (
        f"Python {last['python']}, aiohttp {last['aiohttp']}, SQLite {last['sqlite']},"
        f" MariaDB {max(machine['mariadb'] for machine in machines) or '–'};"
        f" {last['cores']} cores, load {loads[0]} to {loads[-1]}; {last['time'][:10]}, commit {last['commit']}.\n\n"
    )


def renew(page: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the table into a page, between its marks."""
    before, rest = page.read_text("utf-8").split(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{about(rows)}{table(rows)}\n{END}{after}", "utf-8")
