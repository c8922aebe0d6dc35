"""A MariaDB Galera cluster of three nodes on loopback."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jsonrpc_tm.tools.testing.mariadb import MariaDB, free_port

PROVIDERS = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib/galera-4/libgalera_smm.so")
NODES = 3


def find_provider() -> str | None:
    """Return the path of the Galera library, None without one."""
    return next((path for path in PROVIDERS if Path(path).exists()), None)


class Node(MariaDB):
    """A node. Group traffic, incremental and full state transfer each have a port."""

    def __init__(self, folder: Path, name: str) -> None:
        # rsync, which copies the data to a node that joins, refuses to do so as root
        super().__init__(folder, account="mysql" if os.geteuid() == 0 else None)
        self.name = name
        self.group, self.ist, self.sst = free_port(), free_port(), free_port()

    def join(self, nodes: list["Node"]) -> None:
        """Start, as the first node of a new cluster when no other runs."""
        others = [node for node in nodes if node is not self and node.process is not None]
        address = ",".join(f"127.0.0.1:{node.group}" for node in others)
        provider = {
            "base_port": self.group,
            "gmcast.listen_addr": f"tcp://127.0.0.1:{self.group}",
            "ist.recv_addr": f"127.0.0.1:{self.ist}",
            "gcache.size": "32M",
        }
        self.start(
            [
                "--binlog-format=ROW",
                "--innodb-autoinc-lock-mode=2",
                "--wsrep-on=ON",
                f"--wsrep-provider={find_provider()}",
                f"--wsrep-provider-options={';'.join(f'{key}={value}' for key, value in provider.items())}",
                "--wsrep-cluster-name=test",
                f"--wsrep-cluster-address=gcomm://{address}",
                f"--wsrep-node-name={self.name}",
                "--wsrep-node-address=127.0.0.1",
                "--wsrep-sst-method=rsync",
                f"--wsrep-sst-receive-address=127.0.0.1:{self.sst}",
                "--wsrep-slave-threads=2",
            ]
        )
        self.wait_ready()

    def status(self, name: str) -> str:
        """Return a status variable."""
        line = self.sql(f"SHOW STATUS LIKE '{name}'").split()
        return line[1] if len(line) > 1 else ""

    def wait_ready(self, seconds: float = 90) -> None:
        """Return when the node is synced with the cluster's primary component."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(RuntimeError):
                if self.status("wsrep_ready") == "ON" and self.status("wsrep_local_state") == "4":
                    return
            time.sleep(0.2)
        raise RuntimeError(f"{self.name} does not join: {self.log.read_text(errors='replace')[-3000:]}")

    def isolate(self, *, isolated: bool) -> None:
        """Cut the node off from the others, or connect it again."""
        self.sql(f"SET GLOBAL wsrep_provider_options = 'gmcast.isolate={int(isolated)}'")


@contextlib.contextmanager
def cluster() -> Iterator[list[Node]]:
    """Run a cluster as long as the context lasts."""
    # not below pytest's folder, which other accounts cannot enter
    folder = Path(tempfile.mkdtemp(prefix="galera"))
    folder.chmod(0o755)
    nodes = [Node(folder / f"n{number}", f"n{number}") for number in range(NODES)]
    try:
        for node in nodes:
            node.install()
            node.join(nodes)
        yield nodes
    finally:
        for node in reversed(nodes):
            node.stop()
        shutil.rmtree(folder)
