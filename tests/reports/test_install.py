"""What each installation needs is what it says: run without any other package of this environment."""

import asyncio
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.cli.test_wheel import wheel

__all__ = ["wheel"]
NAME = "jsonrpc-tm"
CLIENT = ("aiohttp", "orjson")
CALL = """
from jsonrpc_tm.client import Client, SyncClient
with SyncClient(url, ca=ca, cert=cert, key=key) as client:
    print(client.call("whoami")["username"])
"""


def needed(ours: Distribution, requirement: Requirement) -> set[str]:
    """Return the names of the distributions that pip installs for a requirement on this machine, without ours."""
    found = set() if requirement.name == NAME else {requirement.name}
    wanted = ours if requirement.name == NAME else distribution(requirement.name)
    for below in map(Requirement, wanted.requires or ()):
        if any(below.marker is None or below.marker.evaluate({"extra": name}) for name in ("", *requirement.extras)):
            found |= needed(ours, below)
    return found


@pytest.fixture
def installed(wheel, tmp_path):
    """Return a function that gives the words which start Python with an installation and nothing else."""
    (metadata,) = wheel.glob("*.dist-info")
    site = tmp_path / "site"
    site.mkdir()

    def installed(*requirements: str) -> tuple[list[str], set[str]]:
        names = set().union(*(needed(Distribution.at(metadata), Requirement(name)) for name in requirements))
        files = [one.locate_file(Path(file).parts[0]) for one in map(distribution, names) for file in one.files or ()]
        for path in {Path(file) for file in files if file.name not in ("..", "__pycache__")}:
            (site / path.name).symlink_to(path)
        path = f"import sys; sys.path += {[str(wheel), str(site)]}\n"
        return [sys.executable, "-I", "-S", "-c", path], names

    return installed


def python(words: list[str], program: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*words[:-1], words[-1] + program], cwd=cwd, capture_output=True, text=True, check=False, timeout=60
    )


async def test_e6_the_client_alone_calls_a_server(installed, tm_server, tmp_path):
    words, names = installed(*CLIENT)
    assert not {"marshmallow", "pluggy", "PyYAML", "cryptography", "click"} & names
    where = tm_server.folder
    values = {"url": tm_server.url, "ca": where.ca, "cert": where.certificate("alice"), "key": where.key("alice")}
    given = "".join(f"{name} = {str(value)!r}\n" for name, value in values.items())
    done = await asyncio.to_thread(python, words, given + CALL, tmp_path)
    assert (done.stdout, done.stderr) == ("alice\n", "")


def test_e6_the_command_without_the_server_says_how_to_get_it(installed, tmp_path):
    done = python(installed(*CLIENT)[0], "from jsonrpc_tm.cli import main; main(['serve'])", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: jsonrpc-tm needs the package click: pip install jsonrpc-tm\n"


def test_e6_a_server_needs_what_the_package_says(installed, tmp_path):
    words, names = installed(NAME)
    assert {"aiohttp", "orjson"} <= names
    assert not {"rich", "pytest"} & names
    program = "from jsonrpc_tm.cli import main; main(['methods', 'ping'])"
    done = python(words, program, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ping()")
