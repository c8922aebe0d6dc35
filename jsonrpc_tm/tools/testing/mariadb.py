"""A private MariaDB server for tests: its own data folder, socket and port, gone when the session ends."""

import contextlib
import getpass
import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

TUNING = (
    # nobody needs the data after a crash: durability off makes a commit some 20 times faster
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-innodb-doublewrite",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=64M",
    "--performance-schema=OFF",
    "--max-connections=300",
)
START_TIMEOUT = 60.0


class MariaDBMissing(RuntimeError):
    """There is no MariaDB server on this machine."""


def find_server() -> str:
    """Return the path of ``mariadbd``.

    :raises MariaDBMissing: it is neither on PATH nor where distributions put it.
    """
    path = shutil.which("mariadbd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if path is None:
        raise MariaDBMissing("no mariadbd on PATH: install the package mariadb-server")
    return path


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MariaDB:
    """One server process.

    :param folder: its own folder, which must not exist yet; short, because a socket's path has 107 bytes at most.
    :param options: further options of ``mariadbd``, after the defaults.
    :param account: who runs it; only root can choose.
    """

    user = "root"

    def __init__(self, folder: Path, options: Sequence[str] = (), account: str | None = None) -> None:
        self.folder = folder
        self.options = tuple(options)
        self.account = account or getpass.getuser()
        self.socket = folder / "s"
        self.log = folder / "log.err"
        self.temporary = folder / "tmp"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)

    def install(self) -> None:
        """Make the data folder (0.7 s)."""
        self.folder.mkdir(parents=True)
        # of its own: a server that starts removes the temporary tables of others in the same folder
        self.temporary.mkdir()
        if self.account != getpass.getuser():
            for path in (self.folder, self.temporary):
                shutil.chown(path, self.account)
        command = ["mariadb-install-db", "--no-defaults", f"--user={self.account}", f"--datadir={self.folder / 'data'}"]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={**os.environ, "TMPDIR": str(self.temporary)},
        )
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db fails: {done.stdout[:1000]}")

    def start(self, options: Sequence[str] = ()) -> None:
        """Start the process and wait until it answers; a port taken meanwhile is replaced by another one.

        :param options: options for this start only.
        """
        for _ in range(5):
            self.port = self.port or free_port()
            self.process = subprocess.Popen(
                [find_server(), "--no-defaults", *self._defaults(), *TUNING, *self.options, *options],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._wait():
                return
            self.stop()
            self.port = 0
        raise RuntimeError(f"mariadbd does not start: {self.log.read_text(errors='replace')[-2000:]}")

    def _defaults(self) -> list[str]:
        return [
            f"--user={self.account}",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.socket}",
            f"--tmpdir={self.temporary}",
            f"--pid-file={self.folder / 'pid'}",
            f"--log-error={self.log}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
        ]

    def _wait(self) -> bool:
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                # the greeting comes only when the server takes connections
                connection.settimeout(5)
                if connection.recv(5):
                    return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        """End the process, by its id."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def sql(self, statements: str, database: str = "") -> str:
        """Run statements with the command line client; return what it prints (tab separated, no headings)."""
        command = ["mariadb", "--no-defaults", "--default-character-set=utf8mb4", "-N", "-B", f"--user={self.user}"]
        command += [f"--socket={self.socket}", *([database] if database else [])]
        done = subprocess.run(command, input=statements, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{done.stderr.strip()} in {statements[:200]!r}")
        return done.stdout

    def create_database(self) -> str:
        """Make an empty database; return its name."""
        name = f"tm_{os.getpid()}_{next(self._names)}"
        self.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin")
        return name

    def url(self, database: str, port: int | None = None) -> str:
        """Return the storage URL of a database.

        :param port: another port in front of it (a proxy).
        """
        return f"mysql://{self.user}@127.0.0.1:{port or self.port}/{database}"

    def drop_database(self, name: str) -> None:
        """Remove a database."""
        self.sql(f"DROP DATABASE {name}")


@contextlib.contextmanager
def running(folder: Path, options: Sequence[str] = ()) -> Iterator[MariaDB]:
    """Run a server as long as the context lasts.

    :param folder: see `MariaDB`.
    :raises MariaDBMissing: there is none on this machine.
    """
    find_server()
    server = MariaDB(folder, options)
    server.install()
    server.start()
    try:
        yield server
    finally:
        server.stop()
