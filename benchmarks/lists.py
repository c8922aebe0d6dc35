"""A million rows over HTTPS, in every form: how long, what the server's memory grows by, and what others notice.

    python benchmarks/lists.py [--mariadb] [--rows N] [--forms FORM,FORM…]

Others call getTransformation meanwhile; their p99 is told, in the floor's line that without a list. The floor, in the
same run, reads as many rows with ``sqlite3`` alone and writes the bytes of the NDJSON answer with aiohttp alone, over
TLS.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import sqlite3
import ssl
import statistics
import tempfile
import time
from pathlib import Path

from aiohttp import web
from beside import HERE, storage
from pairs import Server, fill

FORMS = {
    "ndjson": "application/x-ndjson",
    "arrow": "application/vnd.apache.arrow.stream",
    "json": "application/json",
}
PART = 2**20


def read(address: str, ca: str, headers: dict[str, str], body: bytes | None, kept: str | None, out) -> None:
    """Read an answer whole; put seconds and bytes into *out*."""
    connection = http.client.HTTPSConnection(address, context=ssl.create_default_context(cafile=ca))
    connection.connect()
    begin = time.perf_counter()
    connection.request("POST" if body else "GET", "/rpc", body, headers)
    response = connection.getresponse()
    size, last = 0, b""
    with open(kept or "/dev/null", "wb") as file:
        while part := response.read(PART):
            size += len(part)
            last = (last + part)[-400:]
            file.write(part)
    whole = response.status == 200 and (b'"error"' not in last)
    out.put((time.perf_counter() - begin if whole else None, size, last))


def memory(pid: int) -> float:
    """Return the MiB that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


def ping(server: Server) -> float:
    """Return the milliseconds of a small call, and rest."""
    begin = time.perf_counter()
    server.call("getTransformation", 1)
    end = time.perf_counter()
    time.sleep(0.01)
    return 1000 * (end - begin)


def measured(server: Server, folder: Path, form: str, kept: str | None) -> tuple[float, int, float, float]:
    """Return seconds, bytes, MiB that the server grew by, and milliseconds that 99 of 100 pings take."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "getTransformationFiles", "params": [{"TransformationID": 1}]}
    headers = {**server.headers, "Accept": FORMS[form]}
    queue = multiprocessing.Queue()
    given = (server.address, str(folder / "dev-certs/ca.pem"), headers, json.dumps(body).encode(), kept, queue)
    process = multiprocessing.Process(target=read, args=given)
    before = most = memory(server.process.pid)
    process.start()
    pings = []
    while (process.is_alive() and queue.empty()) or len(pings) < 2:
        pings.append(ping(server))
        most = max(most, memory(server.process.pid))
    seconds, size, last = queue.get()
    process.join()
    if seconds is None:
        raise RuntimeError(f"the list broke off: {last!r}")
    return seconds, size, most - before, statistics.quantiles(pings, n=100)[98]


def serve_floor(database: str, kept: str, certificate: str, port) -> None:
    """Answer with the bytes of *kept*, a part for each 2,000 rows that are read of *database*."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        connection = await asyncio.to_thread(sqlite3.connect, database, check_same_thread=False)
        cursor = await asyncio.to_thread(connection.execute, "SELECT * FROM Rows")
        rows = (await asyncio.to_thread(connection.execute, "SELECT COUNT(*) FROM Rows")).fetchone()[0]
        part = 2000 * Path(kept).stat().st_size // rows + 1
        with open(kept, "rb") as file:  # noqa: ASYNC230 - the floor
            while await asyncio.to_thread(cursor.fetchmany, 2000):
                text = file.read(part)
                for start in range(0, len(text), 2**16):
                    await response.write(text[start : start + 2**16])
        return response

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/rpc", answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def floor(folder: Path, kept: Path, rows: int) -> float:
    """Return the seconds of the floor."""
    database = kept.with_suffix(".db")
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE Rows (a, b, c, d, e, f, g, h, i, j, k)")
    some = ("2026-01-01 00:00:00", 1, "Unused", 0, "Unknown", None, 0, "", "2026-01-01 00:00:00")
    made = ((f"/many/{number:08}", number, *some) for number in range(rows))
    connection.executemany("INSERT INTO Rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", made)
    connection.commit()
    connection.close()
    port, out = multiprocessing.Queue(), multiprocessing.Queue()
    given = (str(database), str(kept), str(folder / "dev-certs/server"), port)
    server = multiprocessing.Process(target=serve_floor, args=given, daemon=True)
    server.start()
    read(f"127.0.0.1:{port.get()}", str(folder / "dev-certs/ca.pem"), {}, None, None, out)
    server.terminate()
    return out.get()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", default="sqlite:///tm.db")
    parser.add_argument("--mariadb", action="store_true", help="on a MariaDB server that is started for it")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--forms", default="ndjson,arrow,json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, storage(options, Path(name)) as url:
        folder = Path(name) / "server"
        server = Server(HERE, folder, url, server={"port": 0, "max_answer": 0})
        try:
            fill(server, options.rows)
            kept = Path(name) / "kept"
            alone = statistics.quantiles([ping(server) for _ in range(200)], n=100)[98]
            print(f"{'form':8} {'s':>7} {'MiB':>6} {'memory, MiB':>12} {'p99 beside, ms':>15} {'ratio':>6}")
            least = None
            for form in options.forms.split(","):
                seconds, size, grown, p99 = measured(server, folder, form, str(kept) if least is None else None)
                if least is None:
                    least = floor(folder, kept, options.rows)
                ratio = seconds / least
                print(f"{form:8} {seconds:7.2f} {size / 2**20:6.0f} {grown:12.0f} {p99:15.1f} {ratio:6.2f}", flush=True)
            print(f"{'floor':8} {least:7.2f} {'':6} {'':12} {alone:15.1f}")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
