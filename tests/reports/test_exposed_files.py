"""Files that others on the machine may read or change."""

import sqlite3
from contextlib import closing

import pytest

from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.cli.main import run
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.http import server
from jsonrpc_tm.settings import load
from jsonrpc_tm.storage.sqlite import SqliteStorage


def mode(path) -> int:
    return path.stat().st_mode & 0o777


async def test_attack_14_the_database_is_its_owners(tmp_path):
    path = tmp_path / "tm.db"
    async with SqliteStorage(path) as storage:
        await storage.ready()
        assert {file.name: mode(file) for file in tmp_path.iterdir()} == {
            "tm.db": 0o600,
            "tm.db-wal": 0o600,
            "tm.db-shm": 0o600,
        }
    path.chmod(0o640)  # a group that makes backups
    async with SqliteStorage(path):
        assert mode(tmp_path / "tm.db-wal") == 0o640


async def test_attack_14_a_database_that_everybody_may_read_is_warned_of(tmp_path, caplog):
    path = tmp_path / "tm.db"
    with closing(sqlite3.connect(path)):
        path.touch()
        path.chmod(0o644)
    async with SqliteStorage(path):
        pass
    assert caplog.messages[0] == f"everybody on this machine may read the database {path}: `chmod o-r` it"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return devcerts.ensure(tmp_path_factory.mktemp("keys")).path


@pytest.fixture
def settings(tmp_path, keys):
    (tmp_path / "config.yaml").write_text(
        f"server: {{tls: {{mode: files, certificate: {keys}/server.pem, key: {keys}/server.key,"
        f" client_ca: {keys}/ca.pem}}}}\n"
    )
    return lambda **more: load(tmp_path / "config.yaml", {}, {name.replace("__", "."): v for name, v in more.items()})


@pytest.mark.parametrize(
    ("file", "rights", "problem"),
    [
        ("server.key", 0o644, "server.tls.key: everybody on this machine may read"),
        ("server.key", 0o602, "server.tls.key: everybody on this machine may write"),
        ("ca.pem", 0o666, "server.tls.client_ca: everybody on this machine may write"),
        ("server.pem", 0o646, "server.tls.certificate: everybody on this machine may write"),
        ("", 0o707, "server.tls.key: everybody on this machine may write"),
        ("server.key", 0o640, ""),
        ("server.pem", 0o664, ""),
        ("", 0o1777, ""),
    ],
)
def test_attack_14_a_key_that_others_read_or_a_file_that_they_write_is_refused(
    settings, keys, caplog, file, rights, problem
):
    before = mode(keys / file)
    (keys / file).chmod(rights)
    try:
        if not problem:
            server.check(settings())
            return
        with pytest.raises(ConfigurationError) as caught:
            server.check(settings())
        assert f"config.yaml:1: {problem}" in str(caught.value)
        server.check(settings(server__exposed_files="warn"))
        assert problem in caplog.text
    finally:
        (keys / file).chmod(before)


@pytest.mark.parametrize(
    ("made", "rights", "told"),
    [
        ("config.yaml", 0o666, "config.yaml: `chmod o-w` it; they could let the server do anything"),
        ("mine.py", 0o646, "mine.py: `chmod o-w` it"),
        ("more", 0o777, "more: `chmod o-w` it"),
        ("more", 0o1777, "more: `chmod o-w` it"),
        ("more/package/part.py", 0o602, "part.py: `chmod o-w` it"),
        ("more/package", 0o703, "package: `chmod o-w` it"),
    ],
)
def test_attack_14_code_that_others_may_change_is_not_run(tmp_path, monkeypatch, capsys, made, rights, told):
    monkeypatch.chdir(tmp_path)
    plugin = "from pathlib import Path\nfrom jsonrpc_tm.api import hookimpl\nPath('ran').touch()\n"
    plugin += "@hookimpl\ndef register_routes():\n    return []\n"
    (tmp_path / "more/package").mkdir(parents=True)
    for name in ("mine.py", "more/package/__init__.py", "more/package/part.py"):
        (tmp_path / name).write_text(plugin)
    (tmp_path / "config.yaml").write_text("plugins: {paths: [mine.py, more]}\n")
    (tmp_path / made).chmod(rights)
    assert run(["plugins"]) == 2
    err = capsys.readouterr().err
    assert f"everybody on this machine may write {'' if made == 'config.yaml' else tmp_path}" in err
    assert told in err
    assert not (tmp_path / "ran").exists()
    assert run(["plugins", "--set", "server.exposed_files=warn"]) == 0
    assert (tmp_path / "ran").exists()


def test_attack_14_a_secret_in_a_file_that_everybody_may_read_is_warned_of(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text("storage: {url: 'mysql://tm:secret@db/tm'}\n")
    config.chmod(0o644)
    assert run(["check-config"]) == 0
    warning = "Warning: config.yaml:1: storage.url: everybody on this machine may read this secret: `chmod o-r` it\n"
    assert capsys.readouterr().err == warning
    config.chmod(0o640)
    assert run(["check-config"]) == 0
    assert capsys.readouterr().err == ""
    options = tmp_path / "tm.cnf"
    options.write_text("[client]\npassword = secret\n")
    options.chmod(0o644)
    config.write_text("storage: {url: 'mysql://tm@db/tm', read_default_file: tm.cnf}\n")
    assert run(["check-config"]) == 0
    assert capsys.readouterr().err.endswith(f"everybody on this machine may read {options}: `chmod o-r` it\n")
    options.chmod(0o640)
    assert run(["check-config"]) == 0
    assert capsys.readouterr().err == ""
