"""The servers that are measured, their floors and databases, each a process of its own; and what they use."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jsonrpc_tm.auth import devcerts

from .load import Target

ROOT = Path(__file__).resolve().parents[2]
GROUP = "production"
DN = "/DC=org/DC=bench/CN=manager"
WIRE = "/Transformation/TransformationManager"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
ISSUER = {"issuer": "https://bench.example.org", "audience": "bench", "jwks": "jwks.json", "algorithms": ["ES256"]}
_PAGE = os.sysconf("SC_PAGE_SIZE")


def processor_time(pids: Iterable[int]) -> float:
    """Return the seconds of processor time that processes have used, exactly."""
    # the number of a process's clock, see clock_getcpuclockid(3)
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def memory(pids: Iterable[int]) -> float:
    """Return the MiB that processes have in memory."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * _PAGE / 2**20


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *map(int, children.read_text().split())] if children.exists() else [pid]


class Process:
    """A server process that says on its first line where it listens."""

    def __init__(self, words: list[str], folder: Path, checkout: Path = ROOT) -> None:
        self._log = (folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            words,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().strip()
        if not self.said:
            raise RuntimeError((folder / "server.log").read_text()[-2000:])
        self.pids = family(self.process.pid)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()
        self._log.close()


class Server(Process):
    """A server of a checkout, with DIRAC's wire; whoever calls it may do everything.

    :param folder: its own, which is made.
    :param storage: URL of the database.
    :param tls: HTTPS and client certificates, else HTTP and a token.
    :param more: further sections of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        storage: str,
        *,
        tls: bool = True,
        workers: int = 1,
        checkout: Path = ROOT,
        more: Mapping[str, Any] = {},
    ) -> None:
        folder.mkdir()
        self._id = 0
        own = checkout / ".venv/bin/python"
        program = [str(own if own.exists() else sys.executable), "-m", "jsonrpc_tm"]
        authentication: dict[str, Any] = {"x509": {}}
        certificates = None
        self._headers = {"Content-Type": "application/json"}
        if tls:
            certificates = devcerts.ensure(folder / "tls", {"manager": DN}).path
        else:
            authentication = {"jwt": {"issuers": [ISSUER]}}
        config = {
            "server": {
                "port": 0,
                "workers": workers,
                "max_body": 2**28,
                "max_answer": 0,
                "tls": {"folder": "tls"} if tls else {"mode": "off"},
            },
            "storage": {"url": storage, "migrate": True},
            "authentication": [authentication],
            "registry": {
                "users": {"manager": {"dns": [DN], "subjects": ["manager"], "groups": [GROUP]}},
                "groups": {GROUP: {"properties": ["ProductionManagement", "FileCatalogManagement"]}},
            },
            "dirac_https": {"enabled": True},
            **more,
        }
        (folder / "config.yaml").write_text(json.dumps(config))
        if not tls:
            words = ["token", ".", "--user", "manager", "--issuer", ISSUER["issuer"], "--audience", ISSUER["audience"]]
            made = subprocess.run(
                [*program, *words],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(checkout)},
                capture_output=True,
                text=True,
                check=True,
            )
            self._headers["Authorization"] = f"Bearer {made.stdout.split()[-1]}"
        super().__init__([*program, "--config", "config.yaml", "serve"], folder, checkout)
        token = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items() if name == "Authorization")
        self.target = Target(int(self.said.split("/")[2].rpartition(":")[2]), certificates, token)
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, *params: Any, accept: str = "application/json") -> bytes:
        """Return the bytes of a JSON-RPC request."""
        headers = f"Content-Type: application/json\r\nAccept: {accept}\r\n"
        return self.target.request("/rpc", self._body(method, params), headers)

    def _body(self, method: str, params: Sequence[Any]) -> bytes:
        self._id += 1
        return json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}).encode()

    def wire(self, method: str, *params: Any) -> bytes:
        """Return the bytes of a request on DIRAC's wire."""
        fields = {"method": method, "args": json.dumps(params), "extraCredentials": json.dumps(GROUP)}
        return self.target.request(WIRE, urlencode(fields, quote_via=quote).encode(), FORM)

    def call(self, method: str, *params: Any) -> Any:
        """Return the result of a call."""
        if self._connection is None:
            context = self.target.context()
            address = f"127.0.0.1:{self.target.port}"
            self._connection = (
                http.client.HTTPSConnection(address, context=context)
                if context
                else http.client.HTTPConnection(address)
            )
        self._connection.request("POST", "/rpc", self._body(method, params), self._headers)
        content = json.loads(self._connection.getresponse().read())
        if "error" in content:
            raise RuntimeError(content["error"])
        return content["result"]

    def stop(self) -> None:
        """End it."""
        if self._connection is not None:
            self._connection.close()
        super().stop()


class Bare(Process):
    """A bare aiohttp handler.

    :param tls: folder of the certificates of the server that it is compared with; None for plain HTTP.
    :param storage: URL of the database of that server.
    """

    def __init__(self, folder: Path, tls: Path | None, storage: str) -> None:
        folder.mkdir(exist_ok=True)
        options = json.dumps({"tls": tls and str(tls), "url": storage})
        super().__init__([sys.executable, "-m", "benchmarks.common.bare", options], folder)
        self.target = Target(int(self.said), tls)


@contextlib.contextmanager
def mariadb(folder: Path, durable: bool) -> Iterator[Any]:
    """Run a MariaDB server; give None where it is not installed.

    :param durable: a commit is on disk when it is answered.
    """
    from jsonrpc_tm.tools.testing.mariadb import MariaDBMissing, running

    options = ["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=256M", "--local-infile=ON"]
    if durable:
        options.append("--innodb-flush-log-at-trx-commit=1")
    try:
        with running(folder, options) as server:
            yield server
    except MariaDBMissing:
        yield None
