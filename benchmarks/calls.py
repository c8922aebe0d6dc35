"""Whole calls over HTTP against floors measured in the same run: a bare aiohttp handler, and raw sqlite3.

    python benchmarks/calls.py [--calls N] [--names N] [--rounds N]

Prints the median of the rounds in microseconds a call, and the ratio to the floor. Quote the ratios.
"""

import argparse
import asyncio
import contextlib
import itertools
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from jsonrpc_tm.app import build_service, configure
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.http.server import build_app

MANAGER = Identity("bench", "bench", ("ProductionManagement",))
ROW = "SELECT * FROM Transformations WHERE TransformationName = ?"


class Everyone:
    """Takes every request for the manager's: authentication is not what is measured."""

    name = "everyone"

    async def authenticate(self, _credentials: Any) -> Identity:
        return MANAGER


@contextlib.asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/rpc"
    finally:
        await runner.cleanup()


async def bare(request: web.Request) -> web.Response:
    """The floor: read the body, parse it, answer something."""
    call = orjson.loads(await request.read())
    answer = {"jsonrpc": "2.0", "id": call["id"], "result": "Hello"}
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def timed(rounds: int, calls: int, one: Callable[[int], Awaitable[None]]) -> float:
    """Return the median over the rounds of the microseconds that a call takes."""
    results = []
    serial = 0
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(calls):
            await one(serial)
            serial += 1
        results.append((time.perf_counter() - begin) / calls * 1e6)
    return statistics.median(results)


def raw_database(path: Path) -> sqlite3.Connection:
    """A database with the two tables that adding files writes, as durable as ours."""
    database = sqlite3.connect(path)
    database.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE DataFiles (FileID INTEGER PRIMARY KEY AUTOINCREMENT, LFN TEXT NOT NULL UNIQUE, Status TEXT);"
        "CREATE TABLE TransformationFiles (TransformationID INTEGER, FileID INTEGER, Status TEXT, LastUpdate TEXT,"
        " PRIMARY KEY (TransformationID, FileID)) WITHOUT ROWID;"
    )
    return database


def raw_add(database: sqlite3.Connection, names: list[str]) -> None:
    with database:
        database.executemany("INSERT INTO DataFiles (LFN, Status) VALUES (?, 'New')", ((name,) for name in names))
        first = database.execute("SELECT MIN(FileID) FROM DataFiles WHERE LFN = ?", names[:1]).fetchone()[0]
        database.executemany(
            "INSERT INTO TransformationFiles VALUES (1, ?, 'Unused', '2026-01-01 00:00:00')",
            ((first + number,) for number in range(len(names))),
        )


async def main(calls: int, count: int, rounds: int) -> None:
    floor_app = web.Application(client_max_size=1 << 26)
    floor_app.router.add_post("/rpc", bare)
    with tempfile.TemporaryDirectory() as folder:
        settings, plugins = configure(overrides={"storage.url": f"sqlite:///{folder}/bench.db"})
        service = build_service(settings, plugins=plugins, authenticators=[Everyone()])
        async with (
            service,
            served(floor_app) as floor_url,
            served(build_app(service)) as url,
            aiohttp.ClientSession() as session,
        ):

            async def post(target: str, method: str, *params: Any, key: str | None = None) -> Any:
                body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
                headers = {"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key})
                async with session.post(target, data=body, headers=headers) as response:
                    answer = orjson.loads(await response.read())
                    if "error" in answer:
                        raise SystemExit(f"{method}: {answer['error']}")
                    return answer["result"]

            def names(serial: int) -> list[str]:
                return [
                    f"/bench/run{serial:05d}/a-file-name-of-usual-length-{number:06d}.root" for number in range(count)
                ]

            add = ("t", "d", "l", "Processing", "Standard", "Manual", "")
            await post(url, "addTransformation", *add)
            raw = raw_database(Path(folder) / "raw.db")
            ours = sqlite3.connect(f"file:{folder}/bench.db?mode=ro", uri=True)

            async def raw_get(_: int) -> None:
                ours.execute(ROW, ("t",)).fetchone()

            async def raw_files(serial: int) -> None:
                raw_add(raw, names(serial))

            floor = await timed(rounds, calls, lambda _: post(floor_url, "echo", "Hello"))
            echo = await timed(rounds, calls, lambda _: post(url, "echo", "Hello"))
            get = await timed(rounds, calls, lambda _: post(url, "getTransformation", "t"))
            select = await timed(rounds, calls, raw_get)
            files = await timed(rounds, 3, lambda serial: post(url, "addFilesToTransformation", "t", names(serial)))
            insert = await timed(rounds, 3, raw_files)
            long_body = await timed(rounds, 3, lambda serial: post(floor_url, "echo", "t", names(serial)))
            raw.close()
            ours.close()
            change = ("setTransformationParameter", "t", "Description", "d")
            keys = itertools.count()
            ways = (
                lambda _: post(url, *change),
                lambda _: post(url, *change, key=f"k{next(keys)}"),
                lambda _: post(url, *change, key="k0"),
            )
            # in turn: the disk is slower at some times than at others
            found = [[await timed(1, calls, way) for way in ways] for _ in range(rounds)]
            plain, keyed, again = map(statistics.median, zip(*found, strict=True))
    print(f"{'call':<42}{'us':>12}{'floor us':>12}{'ratio':>8}  floor")
    for title, value, base, what in (
        ("echo", echo, floor, "bare aiohttp handler"),
        ("getTransformation", get, floor + select, "bare handler + raw sqlite3 SELECT"),
        (
            f"addFilesToTransformation ({count:,} names)",
            files,
            long_body + insert,
            "bare handler + raw sqlite3 INSERTs",
        ),
        ("setTransformationParameter with a key", keyed, plain, "the same without"),
        ("the same again", again, plain, "the same without"),
    ):
        print(f"{title:<42}{value:>12,.0f}{base:>12,.0f}{value / base:>8.2f}  {what}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--names", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(main(options.calls, options.names, options.rounds))
