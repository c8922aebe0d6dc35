"""Real processes of the command line."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY = "listening on "


def environment(**more: str) -> dict[str, str]:
    """Return the environment for a process: the source tree's package, and no settings of the user's."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("JSONRPC_TM")}
    loop = os.environ.get("TM_LOOP", "asyncio")
    return {**plain, "PYTHONPATH": str(ROOT), "JSONRPC_TM__SERVER__EVENT_LOOP": loop, **more}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "jsonrpc_tm", *words]


@contextmanager
def server(folder: Path, env: Mapping[str, str], *words: str) -> Iterator[str]:
    """Run ``jsonrpc-tm serve`` in *folder* on any free port; give its URL."""
    log = folder / "server.log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            command("--set", "server.port=0", "serve", *words),
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            line = process.stdout.readline()
            assert line.startswith(READY), log.read_text()
            yield line.removeprefix(READY).strip()
        finally:
            process.terminate()
            process.wait(30)


def on_terminal(folder: Path, env: Mapping[str, str], *words: str) -> str:
    """Run a command with both outputs on a terminal of its own; return what it shows."""
    terminal, end = pty.openpty()
    with subprocess.Popen(command(*words), cwd=folder, env=env, stdout=end, stderr=end):
        os.close(end)
        shown = b""
        while chunk := _read(terminal):
            shown += chunk
    os.close(terminal)
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end was closed
        return b""
