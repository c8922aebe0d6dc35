"""The wheel alone, in an empty folder, does what the project promises."""

import subprocess
import sys
import zipfile

import pytest

from .processes import ROOT, command, environment, server


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel and unpack it; give the folder."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.fixture
def tm(wheel, tmp_path):
    env = environment(PYTHONPATH=str(wheel), HOME=str(tmp_path))

    def tm(*words: str) -> str:
        done = subprocess.run(command(*words), cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    tm.folder, tm.env = tmp_path, env
    return tm


def test_what_is_in_it(wheel):
    names = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    assert "jsonrpc_tm/storage/migrations/schema.sqlite.sql" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    sources = {f"{folder}/": ROOT / folder for folder in ("jsonrpc_tm", "plugins")}
    wanted = {
        prefix.replace("plugins/", "jsonrpc_tm/shipped/") + path.relative_to(folder).as_posix()
        for prefix, folder in sources.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("jsonrpc_tm/")} == wanted


def test_it_serves_and_calls(tm, wheel):
    with server(tm.folder, tm.env) as url:
        assert tm("call", "echo", "hello", "--url", url) == '"hello"\n'
    where = subprocess.run(
        [sys.executable, "-c", "import jsonrpc_tm; print(jsonrpc_tm.__file__)"],
        cwd=tm.folder,
        env=tm.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(wheel))


def test_it_makes_certificates_and_tokens(tm):
    assert "alice.pem" in tm("dev-certs", "certs", "--user", "alice")
    assert tm("token", "tokens", "--user", "alice").startswith("ey")


def test_it_replays(tm):
    scenario = sorted((ROOT / "tests/conformance").rglob("*.jsonl"))[0]
    out = tm("replay", str(scenario))
    assert out.splitlines()[-1].startswith("1 scenarios, ")


def test_shipped_plugins_are_in_it(tm):
    assert "private_reads (shipped, plugins/private_reads.py)" in tm("plugins")
