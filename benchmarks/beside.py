"""What others notice of one long answer: the slowest of their pings while somebody lists many rows.

    python benchmarks/beside.py [--storage URL | --mariadb] [--rows N] [--rounds N]

Over JSON-RPC and over DIRAC's wire. The floor, in the same run, is the slowest ping of as long a time without the list.
"""

import argparse
import contextlib
import http.client
import json
import statistics
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from pairs import Server, fill

PAUSE = 0.005
"""Seconds between two pings."""
HERE = Path(__file__).resolve().parents[1]


def listing(server: Server, dirac: bool, times: list[float]) -> None:
    """List all files, read the answer without looking at it, and note the seconds."""
    condition = {"TransformationID": 1}
    if dirac:
        path, kind = "/Transformation/TransformationManager", "application/x-www-form-urlencoded"
        body = urllib.parse.urlencode({"method": "getTransformationFiles", "args": json.dumps([condition])})
    else:
        path, kind = "/rpc", "application/json"
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getTransformationFiles", "params": [condition]})
    connection = http.client.HTTPConnection(server.address)
    begin = time.perf_counter()
    connection.request("POST", path, body, server.headers | {"Content-Type": kind})
    response = connection.getresponse()
    size = 0
    while part := response.read(2**20):
        size += len(part)
    if response.status != 200 or size < 100:
        raise RuntimeError(f"HTTP {response.status}, {size} bytes")
    times.append(time.perf_counter() - begin)


def slowest_ping(server: Server, seconds: float, beside: threading.Thread | None = None) -> float:
    """Ping for so long, or as long as *beside* runs; return the seconds of the slowest."""
    worst = 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end if beside is None else beside.is_alive():
        begin = time.perf_counter()
        server.call("ping")
        worst = max(worst, time.perf_counter() - begin)
        time.sleep(PAUSE)
    return worst


@contextlib.contextmanager
def storage(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Give the URL of a database, on a MariaDB of our own where that is asked for."""
    if not options.mariadb:
        yield options.storage
        return
    from jsonrpc_tm.tools.testing.mariadb import running

    with running(folder / "mariadb") as mariadb:
        yield mariadb.url(mariadb.create_database())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", default="sqlite:///tm.db")
    parser.add_argument("--mariadb", action="store_true", help="on a MariaDB server that is started for it")
    parser.add_argument("--rows", type=int, default=240_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, storage(options, Path(name)) as url:
        server = Server(HERE, Path(name) / "server", url, dirac_https={"enabled": True})
        try:
            fill(server, options.rows)
            print(f"{'wire':10} {'list s':>8} {'slowest ping, ms: median and worst':>36} {'without':>16}")
            for wire in ("JSON-RPC", "DIRAC's"):
                times: list[float] = []
                beside, alone = [], []
                for _ in range(options.rounds):
                    thread = threading.Thread(target=listing, args=(server, wire != "JSON-RPC", times))
                    thread.start()
                    beside.append(slowest_ping(server, 0, thread))
                    thread.join()
                    alone.append(slowest_ping(server, times[-1]))
                ms = [f"{1000 * f(v):.0f}" for v in (beside, alone) for f in (statistics.median, max)]
                print(
                    f"{wire:10} {statistics.median(times):8.2f} {ms[0]:>26} {ms[1]:>9} {ms[2]:>8} {ms[3]:>7}",
                    flush=True,
                )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
