"""Rows as a table, in a file, and beside those of another run."""

import datetime
import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from .measure import Row
from .processes import ROOT

COLUMNS = {
    "what": 50,
    "storage": 7,
    "wire": 12,
    "callers": 7,
    "workers": 7,
    "calls/s": 7,
    "ms": 6,
    "p50; p99 ms": 11,
    "server CPU, µs": 14,
    "database CPU, µs": 16,
    "floor ms": 8,
    "floor CPU, µs": 13,
    "ratio": 5,
    "CPU ratio": 9,
    "beside p50; p99; worst ms": 25,
    "memory, MiB": 11,
    "floor": 0,
}
"""Columns of the table with their usual width, so that it can be read before it is rendered."""


def _line(words: Iterable[str]) -> str:
    return f"| {' | '.join(word.ljust(width) for word, width in zip(words, COLUMNS.values(), strict=True))} |"


HEAD = f"{_line(COLUMNS)}\n|{'---|' * len(COLUMNS)}"


def number(value: float | None) -> str:
    """Return a number with three digits that count."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def several(values: Sequence[float | None] | None) -> str:
    """Return some numbers."""
    return "" if values is None or values[0] is None else "; ".join(map(number, values))


def line(row: Row) -> str:
    """Return a row's line of the table."""
    words = [row.name, row.storage, row.wire, str(row.callers), str(row.workers), number(row.rate), number(row.ms)]
    words += [several((row.p50, row.p99)), number(row.cpu), number(row.database)]
    words += [number(row.floor_ms), number(row.floor_cpu), number(row.ratio), number(row.cpu_ratio)]
    words += [several(row.beside), number(row.memory), row.floor]
    return _line(words)


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


VERSIONS = {
    "python": platform.python_version(),
    "sqlite": sqlite3.sqlite_version,
    "aiohttp": metadata.version("aiohttp"),
    "mariadb": "",
}
"""Of what is used; that of MariaDB is known when it runs."""


def _machine() -> dict[str, Any]:
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        **VERSIONS,
    }


def read(path: Path) -> dict[str, Any]:
    """Return the rows of a file by key; none where there is no file."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write(path: Path, rows: Sequence[Row]) -> None:
    """Put rows into a file; those of it that have not been measured again stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    here = _machine()
    kept = read(path) | {row.key: {**row.plain(), "machine": here} for row in rows}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


def compared(rows: Sequence[Row], before: Mapping[str, Any], noise: float) -> list[str]:
    """Return a line for each row that got slower or faster: its rounds lie beyond the former ones, by more than noise.

    Compared is the processor time, as a ratio to the floor's where there is one: both are as busy as the machine is.
    """
    told = []
    both = [row for row in rows if row.cpu and row.key in before]
    for row in both:
        old = before[row.key]
        now, then = (row.cpu_ratio or row.cpu), (old["cpu_ratio"] or old["cpu"])
        low, high = old["spread"]
        what = "× the floor's processor time" if row.cpu_ratio else "µs of processor time"
        text = f"{row.key}: {number(then)} → {number(now)} {what} ({now / then - 1:+.0%})"
        if now > then * (1 + noise) and row.spread[0] > high:
            told.append(f"slower: {text}")
        elif now < then / (1 + noise) and row.spread[1] < low:
            told.append(f"faster: {text}")
    return sorted(told, reverse=True) or [f"nothing got slower or faster, of {len(both)} rows that were there before"]
