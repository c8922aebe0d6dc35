"""Every measurement runs to its end; what it measures is not looked at here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMALLEST = {
    "beside.py": ["--rows", "50", "--rounds", "1"],
    "body.py": ["--size", "0.01", "--rounds", "1"],
    "calls.py": ["--calls", "5", "--names", "20", "--rounds", "1"],
    "files.py": ["--files", "3", "--rounds", "1"],
    "lists.py": ["--rows", "50"],
    "matching.py": ["--files", "10", "--transformations", "10", "--rounds", "1"],
    "pairs.py": [str(ROOT), str(ROOT), "--rows", "50", "--rounds", "1"],
    "statistics_of.py": ["--files", "10", "20", "--rounds", "1"],
    "storage.py": ["0.05"],
    "tasks.py": ["--tasks", "10", "--claimers", "2", "--claimed", "20", "--batch", "5", "--rounds", "1"],
    "wire.py": ["--calls", "8", "--rounds", "1"],
}


def test_all_are_here():
    assert {path.name for path in (ROOT / "benchmarks").glob("[!_]*.py")} == SMALLEST.keys()
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"`{name}" in page for name in SMALLEST)


# these start several servers each; the others fail as well when what they share is broken
LONG = ("beside.py", "files.py", "lists.py", "pairs.py")
EACH = [
    pytest.param(name, options, marks=[pytest.mark.slow] if name in LONG else [], id=name)
    for name, options in SMALLEST.items()
]


@pytest.mark.parametrize(("name", "options"), EACH)
def test_it_runs(name, options, tmp_path):
    words = [sys.executable, str(ROOT / "benchmarks" / name), *options]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
