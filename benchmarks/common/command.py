"""The command line: which rows are measured, where they are written, what they are compared with."""

import argparse
import contextlib
import fnmatch
import importlib
import pkgutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .. import rows
from . import report, targets
from .load import Loader
from .measure import MARIADB, MEASUREMENTS, SQLITE, Bench, Measurement, Row
from .processes import ROOT, mariadb

KEPT = ROOT / ".bench" / "last.json"
PAGE = ROOT / "benchmarks" / "README.md"
SMALL = {"scale": 0.001, "rounds": 1, "seconds": 0.02}


def chosen(words: Sequence[str], long: bool) -> list[Measurement]:
    """Return the measurements that words name: their names, patterns of names, or modules.

    :raises SystemExit: a word names none.
    """
    if not words:
        return [one for one in MEASUREMENTS.values() if long or not one.long]
    found: dict[str, Measurement] = {}
    for word in words:
        here = {
            name: one for name, one in MEASUREMENTS.items() if fnmatch.fnmatchcase(name, word) or one.module == word
        }
        if not here:
            raise SystemExit(f"nothing is called {word!r}: see --list")
        found |= here
    return list(found.values())


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("names", nargs="*", help="what to measure: names, patterns, modules of benchmarks/rows; all")
    made.add_argument("--only", nargs="+", default=[], metavar="NAME", help="the same")
    made.add_argument("--list", action="store_true", help="show what there is")
    made.add_argument("--long", action="store_true", help="with what takes minutes")
    made.add_argument("--smoke", action="store_true", help="tiny sizes: only whether it runs")
    made.add_argument("--storage", choices=["sqlite", "mariadb"], help="on one of them alone")
    made.add_argument("--durable", action="store_true", help="MariaDB writes to the disk at each commit")
    made.add_argument("--rounds", type=int, help="of each row; 3")
    made.add_argument("--seconds", type=float, help="that a round of small calls takes; 0.5")
    made.add_argument("--json", type=Path, default=KEPT, metavar="FILE", help="where the rows are kept (%(default)s)")
    made.add_argument("--against", type=Path, metavar="FILE", help="compare with this; what is in --json before")
    made.add_argument("--noise", type=float, default=0.15, help="a row is slower by more than this share; %(default)s")
    made.add_argument("--readme", action="store_true", help="measure nothing; put what --json has into the README")
    made.add_argument("--fail", action="store_true", help="exit status 1 when a row got slower")
    return made


def measure(options: argparse.Namespace, todo: Sequence[Measurement], found: list[Row]) -> None:
    """Measure, and print a line at a time.

    :param found: the rows, as soon as they are measured.
    """
    loaders = Loader(), Loader()
    sizes = {name: value for name, value in (("rounds", options.rounds), ("seconds", options.seconds)) if value}
    wanted = {"sqlite": [SQLITE], "mariadb": [MARIADB], None: [SQLITE, MARIADB]}[options.storage]
    needed = MARIADB in wanted and any(MARIADB in one.storages for one in todo)
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench"))
        database = stack.enter_context(mariadb(Path(name) / "m", options.durable)) if needed else None
        if needed and database is None:
            print("MariaDB is not installed: left out")
            wanted.remove(MARIADB)
        if database is not None:
            report.VERSIONS["mariadb"] = database.sql("SELECT VERSION()").strip()
        bench = Bench(Path(name), *loaders, database, **((SMALL if options.smoke else {}) | sizes))
        print(report.HEAD)
        try:
            for module in dict.fromkeys(one.module for one in todo):
                for storage in wanted:
                    bench.storage = storage
                    for one in todo:
                        if one.module == module and storage in one.storages:
                            bench.name = one.name
                            for row in one.run(bench):
                                row.storage = storage
                                found.append(row)
                                print(report.line(row), flush=True)
                    bench.close()
        finally:
            bench.close()
            for loader in loaders:
                loader.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command.

    :raises SystemExit: with 1 when ``--fail`` is given and a row got slower.
    """
    options = parser().parse_args(arguments)
    for module in pkgutil.iter_modules(rows.__path__):
        importlib.import_module(f"{rows.__name__}.{module.name}")
    todo = chosen([*options.names, *options.only], options.long or options.list)
    if options.list:
        for one in todo:
            print(f"{one.module:12} {one.name}{' (long)' if one.long else ''}")
        return
    if options.readme:
        targets.renew(PAGE, report.read(options.json))
        return
    before = report.read(options.against or options.json) if not options.smoke or options.against else {}
    found: list[Row] = []
    try:
        measure(options, todo, found)
    finally:
        # what has been measured when somebody interrupts it counts, too
        changes = report.compared(found, before, options.noise)
        print("\n".join(["", *changes]))
        if not options.smoke or options.json != KEPT:
            report.write(options.json, found)
    if options.fail and any(text.startswith("slower") for text in changes):
        sys.exit(1)
