"""Running the console blocks of a page against a server in development mode."""

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from jsonrpc_tm.cli.main import run


def steps(blocks: list[str]) -> list[tuple[str, str]]:
    """Return the commands of console blocks, each with what it prints."""
    return [step for block in blocks for step in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)]


def check(command: str, expected: str, folder: Path, env: Mapping[str, str], monkeypatch, capsys) -> None:
    """Run a command in *folder* and compare; ``…`` stands for anything, the exit code for itself."""
    if "|" in command:
        words = command.replace("jsonrpc-tm ", f"{sys.executable} -m jsonrpc_tm ")
        done = subprocess.run(["sh", "-c", words], cwd=folder, env=env, capture_output=True, text=True, check=False)
        code, printed = done.returncode, done.stderr + done.stdout
    else:  # in this process, which is much faster
        monkeypatch.chdir(folder)
        monkeypatch.setattr("os.environ", env)
        code = run(shlex.split(command)[1:])
        out, err = capsys.readouterr()
        printed = err + out
    shown = re.search(r"^\[exit code (\d+)\]\n", expected, re.MULTILINE)
    assert code == (int(shown[1]) if shown else 0), f"{command}\n{printed}"
    pattern = re.escape(re.sub(r"\[exit code \d+\]\n", "", expected)).replace("…", ".*")
    assert re.fullmatch(pattern, printed, re.DOTALL), f"{command}\n{printed}"
