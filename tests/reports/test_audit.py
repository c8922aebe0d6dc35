"""The audit trail: complete over kills, and no caller can push it away."""

import asyncio
import collections
import errno
import json
import os
import time

import pytest
import yaml

from jsonrpc_tm.client import Client, ConnectionFailed
from jsonrpc_tm.core.errors import InternalError, MethodNotFound, StorageUnavailable
from jsonrpc_tm.tools.demo.server import configure, start, stop
from tests.plugins.test_audit_log import ADD, MANAGER, VISITOR, audit_log, call, refused, server

CALLERS = 4


def targets(path) -> collections.Counter:
    return collections.Counter(json.loads(line)["target"] for line in path.read_text().splitlines())


async def make_many(client, caller, acknowledged, enough):
    """Make transformations until the server is gone; say when there are 40."""
    for number in range(10_000):
        name = f"c{caller}-{number}"
        try:
            await client.call("addTransformation", name, *ADD[1:])
        except ConnectionFailed:
            enough.set()
            return
        acknowledged.append(name)
        if len(acknowledged) == 40:
            enough.set()


async def test_attack_12_a_killed_server_has_a_line_for_every_acknowledged_change(tmp_path):
    config = configure(tmp_path, f"sqlite:///{tmp_path}/tm.db")
    settings = yaml.safe_load(config.read_text()) | {"audit_log": {"enabled": True, "path": "audit.jsonl"}}
    config.write_text(yaml.safe_dump(settings))
    acknowledged: list[str] = []
    enough = asyncio.Event()
    process, running = await start(config)
    async with Client(**running.client("manager")) as client:
        callers = [asyncio.create_task(make_many(client, caller, acknowledged, enough)) for caller in range(CALLERS)]
        await enough.wait()
        process.kill()
        await process.wait()
        await asyncio.gather(*callers)
    process, _ = await start(config)
    await stop(process)
    written = targets(tmp_path / "audit.jsonl")
    assert set(acknowledged) <= set(written)
    assert set(written.values()) == {1}


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def url(request, tmp_path):
    return f"sqlite:///{tmp_path}/tm.db" if request.param == "sqlite" else request.getfixturevalue("mysql_url")


async def test_attack_12_lines_are_written_once_though_the_database_fails_in_between(tmp_path, url):
    async with server(tmp_path, **{"storage.url": url, "storage.migrate": True}) as service:
        run, trouble = service.storage.run, [True]

        async def failing(name, body, *args, **more):
            if body.__name__ == "done" and trouble:
                trouble.pop()
                raise StorageUnavailable("gone")
            return await run(name, body, *args, **more)

        service.storage.run = failing
        await call(service, "addTransformation", ADD, MANAGER)
        await call(service, "audit.tail", [], MANAGER)
        assert not trouble
        await call(service, "addTransformation", ["u", *ADD[1:]], MANAGER)
        assert len(await call(service, "audit.tail", [], MANAGER)) == 2
        del service.storage.run
    assert targets(tmp_path / "logs" / "audit.jsonl") == {"t": 1, "u": 1}


async def test_attack_12_a_database_that_hangs_does_not_keep_the_server_from_stopping(tmp_path, monkeypatch, caplog):
    url = f"sqlite:///{tmp_path}/tm.db"
    async with server(tmp_path, **{"storage.url": url}) as service:
        owners = (getattr(getattr(one, "__wrapped__", one), "__self__", None) for one in service.lifetimes)
        (audit,) = (owner for owner in owners if hasattr(owner, "outbox"))
        monkeypatch.setitem(audit.outbox.carry.__globals__, "FAREWELL", 0.2)
        await call(service, "audit.tail", [], MANAGER)
        run = service.storage.run

        async def hanging(name, body, *args, **more):
            if name == "audit_log":
                await asyncio.Event().wait()
            return await run(name, body, *args, **more)

        service.storage.run = hanging
        await call(service, "addTransformation", ADD, MANAGER)
    assert "changes wait in the database: the next start writes them" in caplog.text
    async with server(tmp_path, **{"storage.url": url}):
        pass
    assert targets(tmp_path / "logs" / "audit.jsonl") == {"t": 1}


async def test_attack_12_a_change_whose_line_cannot_be_written_is_undone(tmp_path):
    async with server(tmp_path) as service:

        async def rename(tx, old, new):
            await tx.execute(f"ALTER TABLE {old} RENAME TO {new}")

        await service.storage.run("test", rename, "AuditOutbox", "Elsewhere")
        await refused(service, InternalError, "addTransformation", ADD, MANAGER)
        assert await call(service, "getTransformations", [], MANAGER) == []
        await service.storage.run("test", rename, "Elsewhere", "AuditOutbox")


async def test_attack_12_lines_are_in_the_file_when_descriptors_run_out(tmp_path, monkeypatch, caplog):
    async with server(tmp_path) as service:
        await call(service, "audit.tail", [], MANAGER)
        opened = os.open

        def none_left(path, *more, **options):
            if "audit" in str(path):
                raise OSError(errno.EMFILE, "Too many open files")
            return opened(path, *more, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", none_left)
            await refused(service, MethodNotFound, "noSuchMethod", [], VISITOR)
            await call(service, "addTransformation", ADD, MANAGER)
            await call(service, "audit.tail", [], MANAGER)
        assert "changes wait in the database to be written" in caplog.text
    assert sorted(targets(tmp_path / "logs" / "audit.jsonl"), key=str) == [None, "t"]


async def test_attack_4_no_caller_pushes_lines_out_of_the_audit_log(tmp_path, monkeypatch):
    small = {"audit_log.max_bytes": 4000, "audit_log.keep_days": 1}
    async with server(tmp_path, **small) as service:
        await call(service, "addTransformation", ADD, MANAGER)
        await call(service, "audit.tail", [], MANAGER)
        for _ in range(200):
            await refused(service, MethodNotFound, "x" * 10_000, [], VISITOR)
    folder = tmp_path / "logs"
    files = list(folder.glob("audit.jsonl*[0-9l]"))
    assert len(files) >= 2  # how many depends on how many lines the thread found at once
    assert any("addTransformation" in file.read_text() for file in files)
    assert max(len(line) for file in files for line in file.read_text().splitlines()) < 1000
    # what is older than the time to keep goes
    old = time.time() - 2 * 86_400
    for file in files:
        os.utime(file, (old, old))
    async with server(tmp_path, **small) as service:
        for _ in range(30):
            await refused(service, MethodNotFound, "x" * 10_000, [], VISITOR)
    assert not any("addTransformation" in file.read_text() for file in folder.glob("audit.jsonl*[0-9l]"))


def test_attack_4_reading_back_is_bounded(tmp_path):
    journal = audit_log().Journal(tmp_path / "audit.jsonl", 300, 0)
    journal.open()
    for number in range(100):
        journal.append([b'{"number": %d}' % number])
    journal.close()
    assert len(journal.read(1000, lambda line: True)) == 100
    assert 30 < len(journal.read(1000, lambda line: True, at_most=500)) < 40


@pytest.mark.parametrize("name", ["audit.jsonl", "audit[1].jsonl"])
def test_attack_4_rotation_overwrites_nothing_whatever_the_file_is_called(tmp_path, name):
    journal = audit_log().Journal(tmp_path / name, 30, 0)
    journal.open()
    for number in range(20):
        journal.append([b'{"number": %d}' % number])
    journal.close()
    assert [line["number"] for line in journal.read(100, lambda line: True)] == list(range(20))


def test_attack_12_refused_calls_do_not_hide_which_changes_are_written(tmp_path):
    parts = audit_log()
    journal = parts.Journal(tmp_path / "audit.jsonl", 2**30, 0)
    journal.open()
    change = b'{"change":1,"method":"m"}'
    journal.append([change, *[b'{"change":null}'] * 3000])
    parts.Outbox(journal)._append([change], doubtful=True)
    journal.close()
    assert (tmp_path / "audit.jsonl").read_bytes().count(change) == 1
