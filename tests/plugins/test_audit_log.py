"""The audit log: what is written, what is not, rotation, and reading it back."""

import errno
import json
import multiprocessing
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jsonrpc_tm.api import ANONYMOUS, CallRecord, Identity
from jsonrpc_tm.app import create_service, load_plugins
from jsonrpc_tm.core.errors import ConfigurationError, Forbidden, InvalidParams, NotFound, TMError

MANAGER = Identity("alice", "prod", ("ProductionManagement",), dn="/CN=alice")
VISITOR = Identity("eve", "visitors")
ADD = ["t", "d", "l", "Processing", "Standard", "Manual", ""]


def server(folder: Path, **more: object):
    overrides = {
        "storage.url": "sqlite://:memory:",
        "audit_log.enabled": True,
        "audit_log.path": str(folder / "logs" / "audit.jsonl"),
    }
    return create_service(None, {}, overrides | more)


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "logs" / "audit.jsonl").read_text().splitlines()]


async def call(service, method: str, params, who: Identity, request_id: str = "", address: str | None = None):
    return await service.call(service.context(who, request_id, address), method, params)


async def refused(service, error: type[TMError], *what) -> None:
    with pytest.raises(error):
        await call(service, *what)


async def test_changes_and_refusals_are_written_and_reads_are_not(tmp_path):
    async with server(tmp_path) as service:
        await call(service, "addTransformation", ADD, MANAGER, "request-1", "192.0.2.1")
        await call(service, "getTransformation", ["t"], MANAGER)
        await refused(service, Forbidden, "deleteTransformation", ["t"], VISITOR)
        await refused(service, NotFound, "getTransformation", ["u"], VISITOR)
        await refused(service, InvalidParams, "setTaskStatus", ["t", None, "Done"], MANAGER)
        await refused(service, TMError, "noSuchMethod", [], ANONYMOUS)
        service.report(
            CallRecord("", None, ANONYMOUS, "r", "Unauthenticated", "bad token", 0.0, False, datetime.now(UTC))
        )
    # lines about changes come from the database: they may be later in the file than those about what was refused
    written = sorted(lines(tmp_path), key=lambda line: line["outcome"] != "ok")
    assert [(line["user"], line["method"], line["target"], line["outcome"]) for line in written] == [
        ("alice", "addTransformation", "t", "ok"),
        ("eve", "deleteTransformation", "t", "Forbidden"),
        ("eve", "getTransformation", "u", "NotFound"),
        ("alice", "setTaskStatus", None, "InvalidParams"),
        (None, "noSuchMethod", None, "MethodNotFound"),
        (None, "", None, "Unauthenticated"),
    ]
    assert written[0]["request_id"] == "request-1"
    assert written[0]["DN"] == "/CN=alice"
    assert [line["address"] for line in written[:2]] == ["192.0.2.1", None]
    assert written[0]["time"].endswith("Z")
    assert all(line["reason"] for line in written[1:])


async def test_the_target_is_the_path_or_the_files_where_there_is_no_transformation(tmp_path):
    async with server(tmp_path) as service:
        await call(service, "removeFile", [["/a", "/b", "/c"]], MANAGER)
        await call(service, "addFile", ["/a"], MANAGER)
        await refused(service, NotFound, "setMetadata", ["/no/such", {}], MANAGER)
    assert {line["target"] for line in lines(tmp_path)} == {"/a and 2 more", "/a", "/no/such"}


async def test_tail_reads_back_and_filters_for_managers_only(tmp_path):
    async with server(tmp_path) as service:
        for number in range(5):
            await refused(service, NotFound, "getTransformation", [f"t{number}"], VISITOR)
        await call(service, "addTransformation", ADD, MANAGER)
    async with server(tmp_path) as service:
        tail = await call(service, "audit.tail", {"limit": 2}, MANAGER)
        assert [line["method"] for line in tail] == ["getTransformation", "addTransformation"]
        eve = await call(service, "audit.tail", {"username": "eve", "limit": 3}, MANAGER)
        assert [line["target"] for line in eve] == ["t2", "t3", "t4"]
        assert await call(service, "audit.tail", {"outcome": "ok", "method": "getTransformation"}, MANAGER) == []
        await refused(service, Forbidden, "audit.tail", [], VISITOR)
        await refused(service, InvalidParams, "audit.tail", [10_001], MANAGER)


async def test_the_file_is_rotated_by_size_and_nothing_is_lost(tmp_path):
    small = {"audit_log.max_bytes": 1000}
    async with server(tmp_path, **small) as service:
        for number in range(10):
            await refused(service, NotFound, "getTransformation", [f"t{number}"], VISITOR)
    rotated = sorted(path.name for path in (tmp_path / "logs").glob("audit.jsonl.[0-9]"))
    assert rotated == ["audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"][: len(rotated)] != []
    async with server(tmp_path, **small) as service:
        targets = [line["target"] for line in await call(service, "audit.tail", [], MANAGER)]
    assert targets == [f"t{number}" for number in range(10)]


async def test_a_torn_line_takes_no_other_with_it(tmp_path):
    async with server(tmp_path) as service:
        await call(service, "addTransformation", ADD, MANAGER)
    with (tmp_path / "logs" / "audit.jsonl").open("a") as file:
        file.write('{"time": "20')
    async with server(tmp_path) as service:
        await refused(service, NotFound, "deleteTransformation", ["t"], MANAGER)
    async with server(tmp_path) as service:
        tail = await call(service, "audit.tail", [], MANAGER)
    assert [line["method"] for line in tail] == ["addTransformation", "deleteTransformation"]


def test_lines_wait_while_the_file_cannot_be_written(tmp_path, caplog, monkeypatch):
    journal = audit_log().Journal(tmp_path / "audit.jsonl", 10_000, 0)
    append, failures = journal.append, [errno.ENOSPC, errno.ENOSPC]

    def full_for_a_moment(lines, durable=False) -> None:
        if failures:
            raise OSError(failures.pop(), "No space left on device")
        append(lines, durable)

    monkeypatch.setattr(journal, "append", full_for_a_moment)
    journal.open()
    scribe = audit_log().Scribe(journal)
    scribe.start()
    for name in ("first", "second", "third"):
        scribe.put(b'{"method": "%s"}' % name.encode())
    while failures:
        time.sleep(0.01)
    scribe.finish()
    journal.close()
    assert [line["method"] for line in journal.read(10, lambda line: True)] == ["first", "second", "third"]
    assert caplog.text.count("audit.jsonl cannot be written: No space left on device; lines wait in memory") == 1


def test_what_never_can_be_written_is_counted(tmp_path, caplog, monkeypatch):
    journal = audit_log().Journal(tmp_path / "audit.jsonl", 10_000, 0)

    def full(lines, durable=False) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal, "append", full)
    scribe = audit_log().Scribe(journal)
    scribe.put(b"{}")
    scribe.put(b"{}")
    scribe.start()
    scribe.finish()
    assert "audit.jsonl lacks 2 line(s) about refused calls" in caplog.text


async def test_a_file_that_cannot_be_written_stops_the_start(tmp_path):
    (tmp_path / "logs").write_text("no folder")
    with pytest.raises(ConfigurationError, match=r"audit_log\.path: .*audit\.jsonl cannot be written"):
        async with server(tmp_path):
            pass


def write_many(path: str, name: str) -> None:
    journal = audit_log().Journal(Path(path), 2000, 0)
    journal.open()
    for number in range(100):
        journal.append([b'{"writer": "%s", "number": %d}' % (name.encode(), number)])


def audit_log():
    return load_plugins(entry_points=False).manager.get_plugin("audit_log")


def test_several_processes_may_write_and_rotate_one_file(tmp_path):
    path = tmp_path / "audit.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(str(path), f"w{number}")) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    found = audit_log().Journal(path, 2000, 0).read(1000, lambda line: True)
    assert sorted((line["writer"], line["number"]) for line in found) == [
        (f"w{writer}", number) for writer in range(3) for number in range(100)
    ]
