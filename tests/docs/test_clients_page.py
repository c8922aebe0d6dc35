"""docs/clients.md: every command and program shown is run against a server, and prints what is shown."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jsonrpc_tm.core import errors
from tests.cli.processes import environment, server

from .blocks import ROOT, blocks, files

PAGE = "docs/clients.md"
STEPS = [
    (command, expected)
    for block in blocks(PAGE, "console")
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


class Place:
    """A folder beside a running server; what is shown runs there, with the server's port."""

    def __init__(self, folder: Path, url: str, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env
        self.port = url.removesuffix("/rpc").rsplit(":", 1)[1]

    def here(self, text: str) -> str:
        return text.replace("8443", self.port)

    def run(self, *words: str) -> str:
        done = subprocess.run(words, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    env = environment()
    with server(folder, env) as url:
        place = Place(folder, url, env)
        (function,) = blocks(PAGE, "sh")
        # the steps build on each other: they are run once, in order
        place.printed = [place.run("bash", "-c", place.here(function + command)) for command, _ in STEPS]
        yield place


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[command[:60] for command, _ in STEPS])
def test_the_command_prints_what_is_shown(place, number):
    expected = re.escape(STEPS[number][1].strip()).replace("…", ".*")
    assert re.fullmatch(expected, place.printed[number].strip()), place.printed[number]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("with_package.py", r"{'Unused': 3, 'Total': 3}\n.*no such name.*\n"),
        ("once.py", r"None\n{.*'JobDictionary': {}.*}\n"),
        ("follow.py", r"2 files.added 3\n"),
        ("standard_library.py", r"alice {'Unused': 3, 'Total': 3}\n"),
    ],
)
def test_the_python_program_runs(place, name, expected):
    (place.folder / name).write_text(place.here(files(PAGE)[name]))
    assert re.fullmatch(expected, place.run(sys.executable, name))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_node_program_runs(place):
    for text in blocks(PAGE, "js"):
        (place.folder / text.split("\n", 1)[0].removeprefix("// ")).write_text(place.here(text))
    assert place.run("node", "main.mjs").splitlines() == [
        "alice",
        "{ Unused: 3, Total: 3 }",
        "3 NotFound",
        "/a",
        "/b",
        "/c",
        "true NotFound",
    ]


def test_every_error_is_on_the_page():
    page = (ROOT / PAGE).read_text()
    for kind in (*errors.TMError.__subclasses__(), errors.TMError):
        assert re.search(rf"\b{kind.type}\b", page)
        assert str(kind.code) in page
