"""Files of transformations: added, reported, announced, cleaned."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..common.measure import MARIADB, Bench, Row, Sample, measurement, row
from ..common.processes import Server
from ..common.raw import NOW, Database
from .calls import NEW, one

FIELDS = {"particle": "string", "zenith": "int", "run": "int"}
ROWS = "TransformationFiles (TransformationID, FileID, LastUpdate, InsertedTime)"
WANTED_BY = 10
"""Transformations that want a file."""


def names(serial: int | str, count: int) -> list[str]:
    """Return names of usual length."""
    return [f"/bench/{serial}/a-file-name-of-usual-length-{number:06}.root" for number in range(count)]


def insert(database: Database, trans: int, lfns: Sequence[str], loaded: Path | None = None) -> None:
    """Add new files to a transformation as any server has to: names, rows, counter, event.

    :param loaded: a file for LOAD DATA, in place of INSERTs.
    """
    with database.transaction():
        if loaded is None:
            database.insert("DataFiles (LFN)", [(lfn,) for lfn in lfns])
        else:
            load(database, loaded, "DataFiles (LFN)", [(lfn,) for lfn in lfns])
        ids = database.among("SELECT FileID FROM DataFiles WHERE LFN IN {}", lfns)
        rows = [(trans, file, NOW, NOW) for (file,) in ids]
        if loaded is None:
            database.insert(ROWS, rows)
        else:
            load(database, loaded, ROWS, rows)
        database.count([(trans, "file", "Unused", len(lfns))])
        database.tell(str(ids[:1000]))


def load(database: Database, path: Path, into: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert with LOAD DATA."""
    path.write_text("".join("\t".join(map(str, values)) + "\n" for values in rows))
    table, columns = into.split(" ", 1)
    database.run(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table} {columns}")


def fill(server: Server, trans: str, count: int) -> int:
    """Make a transformation with many files; return its number."""
    number: int = server.call("addTransformation", trans, *NEW)
    lfns = names(trans, count)
    for start in range(0, count, 10_000):
        server.call("addFilesToTransformation", trans, lfns[start : start + 10_000])
    return number


@measurement("addFilesToTransformation 10,000")
def add_files(bench: Bench) -> Iterator[Row]:
    """New names; compared with the same INSERTs, and these with LOAD DATA."""
    server, _ = one(bench)
    raw, count = bench.raw(), bench.size(10_000)

    def floor(serial: int, loaded: Path | None = None) -> Sample:
        lfns = names(f"{serial}{loaded and 'loaded'}", count)
        return bench.alone(lambda: insert(raw, 1, lfns, loaded))

    ways = [
        lambda n: bench.load(server, [server.request("addFilesToTransformation", "t", names(n, count))]),
        lambda n: bench.load(server, [server.wire("addFilesToTransformation", "t", names(f"w{n}", count))]),
        floor,
    ]
    if bench.storage == MARIADB:
        ways.append(lambda n: floor(n, bench.folder / "loaded"))
    ours, wire, base, *loaded = bench.turns(*ways)
    beside = bench.beside(
        server,
        [server.request("addFilesToTransformation", "t", names("beside", count))],
        server.request("getTransformation", "t"),
    )
    yield row(bench.name, ours, base, wire="TLS", floor="raw INSERTs, one transaction", **beside)
    yield row(bench.name, wire, base, wire="DIRAC's wire", floor="raw INSERTs, one transaction")
    if loaded:
        yield row(f"{bench.name}: LOAD DATA", loaded[0], base, floor="raw INSERTs, one transaction")


@measurement("addFilesToTransformation 100,000")
def add_more_files(bench: Bench) -> Iterator[Row]:
    """What others notice of a call with very many names."""
    server, _ = one(bench)
    raw, count = bench.raw(), bench.size(100_000)
    ours, base = bench.turns(
        lambda n: bench.send(server, [server.request("addFilesToTransformation", "t", names(n, count))]),
        lambda n: bench.alone(partial(insert, raw, 1, names(n, count))),
        rounds=1,
    )
    request = server.request("addFilesToTransformation", "t", names("beside", count))
    beside = bench.beside(server, [request], server.request("getTransformation", "t"))
    yield row(bench.name, ours, base, wire="TLS", floor="raw INSERTs, one transaction", **beside)


def move(database: Database, ids: Sequence[int], status: str) -> None:
    """Report the status of files as any server has to: look at them, move them, count, tell."""
    with database.transaction():
        look = "SELECT FileID, Status, ErrorCount FROM TransformationFiles WHERE TransformationID = 1 AND FileID IN {}"
        database.among(look if database.sqlite else f"{look} FOR UPDATE", ids)
        if database.sqlite:
            database.many(
                "UPDATE TransformationFiles SET Status = ?, LastUpdate = ? WHERE TransformationID = 1 AND FileID = ?",
                [(status, NOW, file) for file in ids],
            )
        else:
            change = (
                "UPDATE TransformationFiles SET Status = ?, LastUpdate = ? WHERE TransformationID = 1 AND FileID IN {}"
            )
            database.among(change, ids, (status, NOW))
        database.count([(1, "file", status, len(ids))])
        database.tell(str(ids[:1000]))


@measurement("setFileStatus 10,000")
def set_status(bench: Bench) -> Iterator[Row]:
    """Every file changes; by ids as DIRAC's agents do it (setFileStatusForTransformation), and by names."""
    server, count = bench.server(), bench.size(10_000)
    trans = fill(server, "many", count)
    listed = server.call("getTransformationFiles", {"TransformationID": trans})
    ids, lfns = [file["FileID"] for file in listed], [file["LFN"] for file in listed]
    raw = bench.raw()
    insert(raw, 1, names(0, count))

    def by_id(number: object) -> tuple[int, dict[str, str]]:
        return trans, {str(file): f"I{number}" for file in ids}

    ours, named, wire, base = bench.turns(
        lambda n: bench.load(server, [server.request("setFileStatusForTransformation", *by_id(n))]),
        lambda n: bench.load(server, [server.request("setFileStatus", trans, dict.fromkeys(lfns, f"N{n}"))]),
        lambda n: bench.load(server, [server.wire("setFileStatusForTransformation", *by_id(f"w{n}"))]),
        lambda n: bench.alone(lambda: move(raw, range(1, count + 1), f"S{n}")),
    )
    beside = bench.beside(
        server,
        [server.request("setFileStatusForTransformation", *by_id("beside"))],
        server.request("getTransformation", trans),
    )
    what = "raw SELECTs and UPDATEs, one transaction"
    yield row(bench.name, ours, base, wire="TLS, ids", floor=what, **beside)
    yield row(bench.name, named, base, wire="TLS, names", floor=what)
    yield row(bench.name, wire, base, wire="DIRAC's wire", floor=what)


def delete(database: Database) -> None:
    """Delete all files of a transformation."""
    with database.transaction():
        database.run("DELETE FROM TransformationFiles WHERE TransformationID = 1")
        database.run("DELETE FROM StatusDeltas WHERE TransformationID = 1")
        database.tell("")


@measurement("cleanTransformation 100,000")
def clean(bench: Bench) -> Iterator[Row]:
    """A transformation with many files is cleaned; and what others notice of it."""
    server, count = bench.server(), bench.size(100_000)
    raw, lfns = bench.raw(), names(0, count)
    server.call("addTransformation", "other", *NEW)

    def ours(serial: int) -> Sample:
        fill(server, f"c{serial}", count)
        return bench.load(server, [server.request("cleanTransformation", f"c{serial}")])

    def floor(_: int) -> Sample:
        raw.run("DELETE FROM DataFiles")
        insert(raw, 1, lfns)
        return bench.alone(lambda: delete(raw))

    found, base = bench.turns(ours, floor, rounds=min(2, bench.rounds))
    fill(server, "beside", count)
    beside = bench.beside(
        server, [server.request("cleanTransformation", "beside")], server.request("getTransformation", "other")
    )
    yield row(bench.name, found, base, wire="TLS", floor="raw DELETEs, one transaction", **beside)


def query(number: int, of: int) -> dict[str, Any]:
    """Return the query of one of so many transformations: one run of about *of* ÷ 10."""
    return {"particle": "gamma", "zenith": {">=": number % 20, "<=": 60}, "run": number % max(1, of // WANTED_BY)}


def announced(serial: object, count: int, of: int) -> dict[str, dict[str, Any]]:
    """Return files with metadata."""
    return {
        lfn: {"particle": "gamma", "zenith": 20 + number % 40, "run": number % max(1, of // WANTED_BY)}
        for number, lfn in enumerate(names(serial, count))
    }


def accept(url: str, of: int) -> None:
    """Make transformations that accept files, with a query each."""
    with contextlib.closing(Database(url)) as database, database.transaction():
        database.insert(
            "Transformations (TransformationName, Description, LongDescription, CreationDate, LastUpdate,"
            " Author, AuthorGroup, Type, Status, FileMask, TransformationGroup, Body)",
            [(f"t{number}", "", "", NOW, NOW, "a", "g", "Processing", "Active", "", "", "") for number in range(of)],
        )
        ids = dict(database.run("SELECT TransformationName, TransformationID FROM Transformations"))
        database.insert(
            "TransformationMetaQueries",
            [
                (ids[f"t{number}"], field, json.dumps(asked), "JSON", "Input")
                for number in range(of)
                for field, asked in query(number, of).items()
            ],
        )


def add_file(bench: Bench, count: int, of: int) -> Iterator[Row]:
    """Announce files, each wanted by ten of the transformations."""
    url = bench.url()
    server = bench.server(url=url)
    accept(url, of)
    server.call("catalog.addFields", FIELDS)
    raw, step = bench.raw(), max(1, of // WANTED_BY)
    calls = 1 if count > 1 else 10

    def ours(serial: int, first: object = "") -> list[bytes]:
        made = []
        for number in range(calls):
            files = announced(f"{first}{serial}-{number}", count, of)
            server.call("catalog.addFiles", files)
            made.append(server.request("addFile", list(files)))
        return made

    def write(serial: int) -> None:
        for number in range(calls):
            files = announced(f"{serial}-{number}", count, of)
            with raw.transaction():
                raw.insert("DataFiles (LFN)", [(lfn,) for lfn in files])
                ids = dict(raw.among("SELECT LFN, FileID FROM DataFiles WHERE LFN IN {}", list(files)))
                wanted = [(trans, lfn) for lfn, meta in files.items() for trans in range(meta["run"], of, step)]
                raw.insert(ROWS, [(trans, ids[lfn], NOW, NOW) for trans, lfn in wanted])
                counts = Counter(trans for trans, _ in wanted)
                raw.count([(trans, "file", "Unused", number) for trans, number in counts.items()])
                raw.tell(str(counts))

    found, base = bench.turns(lambda n: bench.load(server, ours(n)), lambda n: bench.alone(lambda: write(n), calls))
    same = "SELECT COUNT(*), COUNT(DISTINCT TransformationID) FROM TransformationFiles"
    assert bench.look(url, same) == raw.run(same), "not every file is wanted"
    beside = bench.beside(server, ours(0, "beside"), server.request("getTransformation", "t0"))
    yield row(bench.name, found, base, wire="TLS", floor="raw INSERTs, one transaction", **beside)


@measurement("addFile 1,000 × 100 transformations")
def add_many(bench: Bench) -> Iterator[Row]:
    """Many files, few queries."""
    return add_file(bench, bench.size(1000), bench.size(100))


@measurement("addFile 1 × 10,000 transformations")
def add_one(bench: Bench) -> Iterator[Row]:
    """A file, many queries."""
    return add_file(bench, 1, bench.size(10_000))
