"""Parts of the server without the server, in this process: transactions of the storage, matching of files."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from jsonrpc_tm.matching.engine import Engine
from jsonrpc_tm.matching.query import Query
from jsonrpc_tm.storage.base import Transaction
from jsonrpc_tm.storage.sqlite import SqliteStorage

from ..common.measure import SQLITE, Bench, Row, Sample, measurement, row
from ..common.raw import Database
from .files import FIELDS, WANTED_BY, announced, query

COUNT = "UPDATE TaskCounters SET LastTaskID = LastTaskID + 1 WHERE TransformationID = 1"
INSERT = "INSERT INTO DataFiles (LFN) VALUES ({})"
POINT = "SELECT TransformationName FROM Transformations WHERE TransformationID = 1"


async def prepare(tx: Transaction) -> None:
    """Make the rows that are changed."""
    await tx.execute("INSERT INTO Transformations (TransformationName, Author, AuthorGroup) VALUES ('t', 'a', 'g')")
    await tx.execute("INSERT INTO TaskCounters (TransformationID) VALUES (1)")


async def write(tx: Transaction, lfn: str) -> None:
    """Change a counter and insert a row."""
    await tx.execute(COUNT)
    await tx.execute(INSERT.format(":lfn"), {"lfn": lfn})


async def read(tx: Transaction, _lfn: str) -> Any:
    """Read a value."""
    return await tx.fetch_value(POINT)


@measurement("transactions of the storage", (SQLITE,))
def transactions(bench: Bench) -> Iterator[Row]:
    """Two statements each; compared with a commit for each, one after the other."""
    path, number, serial = bench.folder / "engine.db", max(64, bench.size(640)), itertools.count()

    async def together(body: Callable[..., Awaitable[Any]], callers: int) -> None:
        async with SqliteStorage(Path(path)) as storage:

            async def caller() -> None:
                for _ in range(number // callers):
                    await storage.run("one", body, f"/engine/{next(serial)}", read=body is read)

            await asyncio.gather(*(caller() for _ in range(callers)))

    def ours(body: Callable[..., Awaitable[Any]], callers: int, _turn: int) -> Sample:
        return bench.alone(lambda: asyncio.run(together(body, callers)), number // callers * callers)

    async def first() -> None:
        async with SqliteStorage(Path(path)) as storage:
            await storage.run("prepare", prepare)

    asyncio.run(first())
    raw = Database(f"sqlite:///{path}")

    def commits() -> None:
        for _ in range(number):
            with raw.transaction():
                raw.run(COUNT)
                raw.run(INSERT.format("?"), [f"/raw/{next(serial)}"])

    for callers in (1, 16, 64):
        wrote, looked, base = bench.turns(
            partial(ours, write, callers), partial(ours, read, callers), lambda _: bench.alone(commits, number)
        )
        what = "raw, a commit each"
        yield row("transaction that writes", wrote, base, callers=callers, floor=what)
        yield row("transaction that reads", looked, base, callers=callers, floor=what)
    raw.close()


@measurement("matching of files", (SQLITE,))
def matching(bench: Bench) -> Iterator[Row]:
    """Which of many queries want a file; and compiling the queries."""
    for of in (10, 1000, 10_000):
        many = bench.size(of)
        queries = {number: Query(query(number, many)) for number in range(many)}
        files = list(announced(0, bench.size(1000), many).values())
        engine = Engine(queries, FIELDS)
        assert sum(len(engine.matching(file)) for file in files) == len(files) * min(WANTED_BY, many)
        matched, compiled = bench.turns(
            lambda _, e=engine, f=files: bench.alone(lambda: [e.matching(file) for file in f], len(f)),
            lambda _, q=queries: bench.alone(lambda: Engine(q, FIELDS)),
        )
        yield row(f"matching a file with {of:,} queries", matched)
        yield row(f"compiling {of:,} queries", compiled)
