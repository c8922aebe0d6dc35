"""Two checkouts side by side, pair by pair over plain HTTP: how long a call takes, and the server's processor time.

    python benchmarks/pairs.py OLD NEW [--storage URL] [--rounds N] [--rows N]

OLD and NEW are folders of checkouts, each with its own ``.venv`` (``make demo`` makes one; else this Python is taken).
Each serves its own database; calls go to one and the other in turn, so that a busy machine is busy for both. Printed
is NEW ÷ OLD, the median of the rounds.
"""

import argparse
import http.client
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """A server of one checkout on this machine; whoever calls it may do everything.

    :param more: further sections of its configuration; by itself it has no TLS.
    """

    def __init__(self, checkout: Path, folder: Path, storage: str, **more: Any) -> None:
        self._id = 0
        folder.mkdir()
        own = checkout / ".venv/bin/python"
        program = [str(own if own.exists() else sys.executable), "-m", "jsonrpc_tm"]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        config = {
            "server": {"port": 0, "tls": {"mode": "off"}},
            "storage": {"url": storage.replace("{name}", folder.name), "migrate": True},
            "authentication": [{"jwt": {"issuers": [ISSUER]}}],
            "registry": {
                "users": {"admin": {"subjects": ["admin"], "groups": ["managers"]}},
                "groups": {"managers": {"properties": ["ProductionManagement"]}},
            },
            "logging": {"calls": False},
            **more,
        }
        (folder / "config.yaml").write_text(json.dumps(config))
        made = subprocess.run(
            [*program, "token", ".", "--user", "admin", "--issuer", ISSUER["issuer"], "--audience", ISSUER["audience"]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {made.stdout.split()[-1]}"}
        self.process = subprocess.Popen(
            [*program, "--config", "config.yaml", "serve"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().split()[-1]
        self.address = url.split("/")[2]
        self.context = None
        if url.startswith("https:"):
            self.context = ssl.create_default_context(cafile=folder / "dev-certs/ca.pem")
        self._connection = self.connect()

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection to it."""
        if self.context is None:
            return http.client.HTTPConnection(self.address)
        return http.client.HTTPSConnection(self.address, context=self.context)

    def call(self, method: str, *params: Any) -> Any:
        """Return the result of a call."""
        self._id += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}).encode()
        self._connection.request("POST", "/rpc", body, self.headers)
        content = json.loads(self._connection.getresponse().read())
        if "error" in content:
            raise RuntimeError(content["error"])
        return content["result"]

    def cpu(self) -> float:
        """Return the seconds of processor time that the server has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


ISSUER = {"issuer": "https://bench.example.org", "audience": "bench", "jwks": "jwks.json", "algorithms": ["ES256"]}


def fill(server: Server, rows: int) -> None:
    """Make a transformation with many files."""
    new = ["", "", "Processing", "Standard", "Manual", ""]
    server.call("addTransformation", "many", *new)
    server.call("addTransformation", "t", *new)
    for start in range(0, rows, 10_000):
        server.call(
            "addFilesToTransformation",
            "many",
            [f"/many/{number:08}" for number in range(start, min(rows, start + 10_000))],
        )


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
            Server(checkout.resolve(), Path(folder) / name, options.storage)
            for name, checkout in (("old", options.old), ("new", options.new))
        ]
        try:
            for server in servers:
                fill(server, options.rows)
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
                before, begin = server.cpu(), time.perf_counter()
                for _ in range(repeats):
                    call(server)
                wall.append(time.perf_counter() - begin)
                cpu.append(server.cpu() - before)
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
