"""Attack 10: what is written down twice is compared, and rows whose owner is gone are found."""

import json
import sqlite3

import pytest

from jsonrpc_tm.cli.main import run
from jsonrpc_tm.domain.verify import CHECKS, EXAMPLES, verify
from jsonrpc_tm.storage.sqlite import SqliteStorage

from ..methods.driver import Driver

LFNS = [f"/vo/a/{number}" for number in range(8)]


async def books(tm):
    """Transformations with files in tasks, some of them back, gone, inherited; and a catalog."""
    await tm.add("t")
    await tm("addFilesToTransformation", "t", LFNS)
    for at in (0, 2, 4):
        await tm("addTaskForTransformation", "t", LFNS[at : at + 2], "CERN")
    await tm("deleteTasks", "t", 3, 3)
    for _ in range(2):
        await tm("addTaskForTransformation", "t", [], "CERN")
    await tm("setFileStatusForTransformation", "t", {"1": "Processed"})
    await tm("removeFile", [LFNS[1]])
    await tm.add("child", inheritedFrom="t")
    await tm("setTransformationParameter", "t", "Extra", 1)
    return tm


async def found(tm):
    return {finding.check: finding async for finding in verify(tm.storage.storage)}


async def test_attack_10_books_as_the_methods_leave_them_agree(tm):
    assert await found(await books(tm)) == {}


BROKEN = {
    "orphans.AdditionalParameters": "UPDATE AdditionalParameters SET TransformationID = 99",
    "orphans.TransformationLog": "UPDATE TransformationLog SET TransformationID = 99 WHERE TransformationID = 2",
    "orphans.TransformationTasks": "INSERT INTO TransformationTasks (TransformationID, TaskID, CreationTime,"
    " LastUpdateTime) VALUES (99, 1, '2024-10-15', '2024-10-15')",
    "orphans.TransformationFiles": "UPDATE TransformationFiles SET TransformationID = 99 WHERE TransformationID = 2",
    "orphans.TransformationMetaQueries": "INSERT INTO TransformationMetaQueries (TransformationID, MetaDataName,"
    " MetaDataValue, MetaDataType) VALUES (99, 'a', '1', 'JSON')",
    "orphans.TaskCounters": "UPDATE TaskCounters SET TransformationID = 99 WHERE TransformationID = 2",
    **{
        f"orphans.{table}": f"INSERT INTO {table} (TransformationID, Kind, Status{columns}, N) VALUES (99, 'file',"
        f" 'Unused'{', 7' * columns.count(',')}, 1)"
        for table, columns in (
            ("StatusDeltas", ", Minute, Bucket"),
            ("StatusCounts", ""),
            ("StatusHistory", ", Minute"),
        )
    },
    "counts": "UPDATE StatusDeltas SET N = N + 1 WHERE TransformationID = 1 AND Kind = 'task' AND Status = 'Created'",
    "counter": "UPDATE TaskCounters SET LastTaskID = 1 WHERE TransformationID = 1",
    "file": "UPDATE TransformationFiles SET FileID = 99 WHERE TransformationID = 1 AND FileID = 7",
    "file.task": "UPDATE TransformationFiles SET TaskID = 99 WHERE TransformationID = 1 AND FileID = 8",
    "file.history": "UPDATE TransformationFiles SET TaskID = 4 WHERE TransformationID = 1 AND FileID = 6",
    "history.file": "UPDATE TransformationFileTasks SET FileID = 98 WHERE FileID = 3",
    "history.task": "UPDATE TransformationFileTasks SET TaskID = 99 WHERE FileID = 4",
    "inputs.task": "UPDATE TaskInputs SET TaskID = 99 WHERE TaskID = 1",
    "inputs.history": "UPDATE TaskInputs SET InputVector = '/vo/a/2' WHERE TaskID = 2",
    "catalog.directory": "INSERT INTO CatalogFiles (LFN, Directory, Metadata) VALUES ('/vo/ü/b/1', '/vo/ü', '{}'),"
    " ('/r', '/', '{}'), ('/vo/ü/2', '/vo/ü', '{}'), ('/vo/x/1', '/vo/y', '{}')",
}


async def break_it(tm, statement):
    """Change rows as nobody should, without foreign keys."""
    storage = tm.storage.storage
    if isinstance(storage, SqliteStorage):
        connection = storage._threads[-1].connection
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement)
    else:

        async def body(tx):
            await tx.execute("SET SESSION foreign_key_checks = 0")
            await tx.execute(statement)
            await tx.execute("SET SESSION foreign_key_checks = 1")

        await storage.run("break", body)


async def test_attack_10_whatever_does_not_agree_is_found(tm):
    """Each in turn; what was broken before stays so."""
    await books(tm)
    assert set(BROKEN) == {check.name for check in CHECKS} | {"inputs.history"}
    seen = set()
    for name, statement in BROKEN.items():
        await break_it(tm, statement)
        findings = await found(tm)
        assert name in findings, name
        seen.add(name)
        assert seen <= set(findings)
    for finding in findings.values():
        assert 1 <= len(finding.examples) <= EXAMPLES <= max(finding.count, EXAMPLES)
        assert finding.count >= len(finding.examples)
    assert findings["catalog.directory"].count == 2
    assert findings["orphans.TransformationFiles"].count > EXAMPLES


@pytest.fixture
async def file(tmp_path):
    """A database of books in a file, that is closed."""
    async with SqliteStorage(tmp_path / "tm.db") as storage:
        driver = Driver(storage)
        async with driver.service:
            await books(driver)
    return tmp_path / "tm.db"


def verified(file, capsys, *words):
    code = run(["db", "verify", *words, "--set", f"storage.url=sqlite:///{file}"])
    return code, capsys.readouterr().out


def test_attack_10_db_verify_tells_what_does_not_agree(file, capsys):
    assert verified(file, capsys) == (0, "The books agree with themselves.\n")
    assert verified(file, capsys, "--json") == (0, "[]\n")
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(BROKEN["inputs.history"])
    connection.close()
    text = "tasks whose inputs are not the files that the history gives them"
    example = {"TransformationID": 1, "TaskID": 2}
    code, said = verified(file, capsys)
    assert (code, said) == (1, f"1 {text}, such as {json.dumps(example, separators=(',', ':'))} (inputs.history)\n")
    code, said = verified(file, capsys, "--json")
    assert code == 1
    assert json.loads(said) == [{"check": "inputs.history", "text": text, "count": 1, "examples": [example]}]


def test_attack_10_db_verify_makes_and_migrates_nothing(tmp_path, capsys):
    assert verified(tmp_path / "none.db", capsys)[0] == 2
    assert not list(tmp_path.iterdir())
