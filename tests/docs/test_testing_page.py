"""docs/testing.md: its files are a test suite that passes."""

import subprocess
import sys

from jsonrpc_tm.tools.testing import plugin
from tests.cli.processes import environment

from .blocks import ROOT, blocks, files

PAGE = "docs/testing.md"


def test_the_files_are_a_suite_that_passes(tmp_path):
    for name, text in (*files(PAGE).items(), *(("pyproject.toml", text) for text in blocks(PAGE, "toml"))):
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


def test_every_fixture_is_on_the_page():
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    fixtures = [name for name in vars(plugin) if name.startswith("tm_")]
    assert len(fixtures) == 10
    for name in fixtures:
        assert f"| `{name}` |" in text
