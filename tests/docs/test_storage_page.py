"""docs/storage.md: the plugin works on both engines, the suite shown runs, every verb and helper is on the page."""

import subprocess
import sys

import pytest

from jsonrpc_tm.app import create_service
from jsonrpc_tm.core.errors import Forbidden
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.storage.base import Transaction
from jsonrpc_tm.storage.dialect import Dialect

from .blocks import ROOT, files

PAGE = "docs/storage.md"
MANAGER = Identity("alice", "production", ("ProductionManagement",))
READER = Identity("bob", "production", ())
ADD = ["t", "", "", "Simulation", "", "", ""]


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.mariadb)])
def url(request, tmp_path):
    return f"sqlite:///{tmp_path}/tm.db" if request.param == "sqlite" else request.getfixturevalue("mysql_url")


async def test_the_plugin_keeps_notes(url, tmp_path):
    (tmp_path / "notes.py").write_text(files(PAGE)["notes.py"])
    overrides = {"storage.url": url, "storage.migrate": True, "plugins.paths": [str(tmp_path / "notes.py")]}
    for turn in range(2):
        async with create_service(overrides=overrides) as service:
            if turn == 0:
                await service.call(service.context(MANAGER), "addTransformation", ADD)
                await service.call(service.context(MANAGER), "extendTransformation", ["t", 3])
                await service.call(service.context(MANAGER), "notes.add", ["t", [1, 2], "first"])
                await service.call(service.context(MANAGER), "notes.add", ["t", [2], "second"])
                with pytest.raises(Forbidden):
                    await service.call(service.context(READER), "notes.add", ["t", [2], "no"])
            assert await service.call(service.context(READER), "notes.get", ["t", [3, 2, 1]]) == {
                "1": "first",
                "2": "second",
            }
            assert (await service.storage.schema()).present["notes"] == 1
            if turn == 1:
                await service.call(service.context(MANAGER), "cleanTransformation", ["t"])
                assert await service.call(service.context(READER), "notes.get", ["t", [1, 2]]) == {}


def test_the_suite_shown_runs(tmp_path):
    (tmp_path / "test_my_storage.py").write_text(files(PAGE)["test_my_storage.py"])
    (tmp_path / "my_storage.py").write_text("from jsonrpc_tm.storage.sqlite import SqliteStorage as MyStorage\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-k",
        "verbs or helpers",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_every_verb_and_helper_is_on_the_page():
    text = (ROOT / PAGE).read_text()
    verbs = [name for name in vars(Transaction) if not name.startswith("_")]
    helpers = [name for name in {**vars(Dialect), **Dialect.__annotations__} if not name.startswith("_")]
    assert [name for name in verbs if f"tx.{name}(" not in text] == []
    assert [name for name in helpers if name != "name" and f"`{name}" not in text] == []
