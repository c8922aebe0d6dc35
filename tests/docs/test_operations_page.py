"""docs/operations.md: the set-up works with the grants shown, a backup comes back, the queries run."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from jsonrpc_tm.app import create_service
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.storage.mysql import pool as mysql_pool
from jsonrpc_tm.storage.mysql import session

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
MANAGER = Identity("alice", "production", frozenset({"ProductionManagement"}))

pytestmark = pytest.mark.mariadb


def blocks(language: str) -> list[str]:
    """Return the blocks of the page, those inside lists too."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(text) for _, text in found]


@pytest.fixture
def here(mariadb, tmp_path, monkeypatch):
    """A database and an account as the page makes them; gone afterwards."""
    mariadb.sql(blocks("sql")[0])
    (tmp_path / ".my.cnf").write_text(f"[client]\nsocket={mariadb.socket}\nuser=root\n")
    (tmp_path / "database.cnf").write_text(blocks("ini")[0])
    (tmp_path / "owner.cnf").write_text("[client]\nuser=tm_owner\npassword=more-secret\n")
    config = (
        blocks("yaml")[0]
        .replace("db1.example.org", f"127.0.0.1:{mariadb.port}")
        .replace("db2.example.org", "127.0.0.1")
    )
    (tmp_path / "config.yaml").write_text(config.replace("/etc/jsonrpc-tm/database.cnf", "database.cnf"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    mariadb.sql("DROP DATABASE IF EXISTS tm; DROP USER tm, tm_owner")


def shell(commands: str, folder: Path) -> str:
    """Run a block as it is shown."""
    words = re.sub(r"^jsonrpc-tm", f"{sys.executable} -m jsonrpc_tm", commands, flags=re.MULTILINE)
    env = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(["sh", "-ec", words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def answers(folder: Path, *calls: tuple) -> list:
    async with create_service(folder / "config.yaml") as service:
        return [await service.call(service.context(MANAGER), name, params) for name, *params in calls]


LOOK = (("getTransformations",), ("getTransformationFiles",), ("getTransformationTasks",))


async def test_set_up_backup_and_restore(here, mariadb):
    set_up, dump, restore, repair = (text for text in blocks("sh") if "tm-backup.db" not in text)
    assert "up to date" in shell(set_up, here)
    # with no more than the rights shown
    await answers(
        here,
        ("addTransformation", "tä", "d", "l", "MCSimulation", "P", "A", ""),
        ("addFilesToTransformation", "tä", ["/a", "/A", "/😀"]),
        ("addTaskForTransformation", "tä", ["/a"]),
        ("extendTransformation", "tä", 2),
    )
    before = await answers(here, *LOOK)
    shell(dump, here)
    await answers(here, ("deleteTransformation", "tä"))
    assert (await answers(here, *LOOK))[0] == []
    assert "up to date" in shell(restore, here)
    mariadb.sql("UPDATE StatusDeltas SET N = 9", "tm")
    assert "mended counter" in shell(repair, here)
    assert shell("jsonrpc-tm db check", here) == "The database is up to date.\n"
    assert await answers(here, *LOOK) == before
    assert await answers(here, ("addTaskForTransformation", "tä", ["/A"])) == [4]


def test_the_server_cannot_change_tables(here):
    shell(blocks("sh")[0], here)
    with pytest.raises(AssertionError, match="denied"):
        shell("jsonrpc-tm db upgrade --set 'plugins.paths=[x.py]'", _with_plugin(here))


def _with_plugin(folder: Path) -> Path:
    (folder / "x.py").write_text(
        "from jsonrpc_tm.api import hookimpl\nfrom jsonrpc_tm.api import Migration\n\n"
        "@hookimpl\ndef register_migrations():\n"
        "    yield Migration('x', 1, {'mysql': ('CREATE TABLE X (A INT PRIMARY KEY)',), 'sqlite': ()})\n"
    )
    return folder


def test_the_queries_run(here, mariadb):
    for query in blocks("sql")[1:]:
        mariadb.sql(query)


def test_the_numbers_are_those_of_the_code():
    minimum = ".".join(map(str, session.MINIMUM_VERSIONS["MariaDB"]))
    assert f"{minimum} or later" in PAGE
    assert mysql_pool.HOST_PENALTY == 10
    assert mysql_pool.LIFETIME == 3600
