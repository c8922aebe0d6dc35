"""No method reads a large table from end to end to find a few rows: every plan of SQLite's is looked at.

The planner has the statistics of full tables from the first row on, so a small database shows the plans of a large one.
"""

import re

import pytest

from jsonrpc_tm.catalog.builtin import BuiltinCatalog
from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.storage.sqlite.threads import SqliteTransaction
from tests.methods.driver import Driver

LARGE = (
    "DataFiles",
    "TransformationFiles",
    "TransformationTasks",
    "TransformationFileTasks",
    "TaskInputs",
    "CatalogFiles",
    "StatusCounts",
    "StatusDeltas",
    "StatusHistory",
)
LFNS = [f"/d/{number}" for number in range(600)]
ONE = {"TransformationID": 1}

CALLS = [
    ("getTransformation", {"transName": "t", "extraParams": True}),
    ("addFilesToTransformation", {"transName": 1, "lfns": LFNS}),
    ("addFilesToTransformation", {"transName": "t", "lfns": [*LFNS, "/e/1"]}),
    ("exists", {"lfns": LFNS}),
    ("getFileSummary", {"lfns": LFNS}),
    *(
        ("getTransformationFiles", {"condDict": {**ONE, **more}, "limit": 10})
        for more in (
            {},
            {"Status": "Unused"},
            {"Status": ["Unused", "ProbInFC"]},
            {"LFN": "/d/1"},
            {"LFN": LFNS[:10]},
            {"LFN": LFNS},
            {"FileID": 7},
            {"FileID": list(range(1, 600))},
            {"TaskID": 3},
            {"TaskID": [3, 4]},
            {"Status": "Assigned", "TaskID": [3, 4]},
        )
    ),
    ("getTransformationFiles", {"condDict": {"LFN": LFNS[:10]}}),
    ("getTransformationFiles", {"condDict": {"FileID": [1, 2]}}),
    ("getTransformationFiles", {"condDict": {"Status": "Problematic"}, "limit": 10}),
    ("getTransformationFiles", {"condDict": ONE, "after": 50, "limit": 10}),
    ("getTransformationFiles", {"condDict": {**ONE, "Status": "Unused"}, "after": 50, "limit": 10}),
    ("getTransformationFiles", {"after": [1, 50], "limit": 10}),
    ("addTaskForTransformation", {"transName": 1, "lfns": LFNS[:10], "se": "CERN"}),
    ("extendTransformation", {"transName": "simulated", "nTasks": 20}),
    ("getTasksToSubmit", {"transName": "simulated", "numTasks": 5}),
    ("setTaskStatus", {"transName": "simulated", "taskID": [6, 7], "status": "Submitted"}),
    ("setTaskStatusAndWmsID", {"transName": "simulated", "taskID": 6, "status": "Done", "taskWmsID": "9"}),
    *(
        ("getTransformationTasks", {"condDict": {**ONE, **more}, "inputVector": True, "limit": 10})
        for more in ({}, {"TaskID": [1, 2]}, {"ExternalStatus": "Created"})
    ),
    ("getTransformationTasks", {"condDict": {"ExternalStatus": "Failed"}, "limit": 10}),
    ("getTransformationTasks", {"after": [1, 50], "limit": 10}),
    (
        "setFileStatusForTransformation",
        {"transName": 1, "dictOfNewFilesStatus": {"1": "Processed", "2": ["Problematic", True]}},
    ),
    ("getTransformationStats", {"transName": 1}),
    ("getTransformationTaskStats", {"transName": 1}),
    ("getTransformationFilesCount", {"transName": 1, "field": "Status"}),
    ("getTransformationProgress", {"transName": 1, "since": "2024-10-15"}),
    ("deleteTasks", {"transName": "simulated", "taskMin": 3, "taskMax": 4}),
    ("addFile", {"fileDicts": ["/c/1", "/c/2"]}),
    ("addDirectory", {"path": "/c"}),
    ("setMetadata", {"path": "/c", "querydict": {"run": 7}}),
    ("removeFile", {"lfns": LFNS[20:22]}),
    ("addTransformation", {"transName": "child", "inheritedFrom": 1}),
    ("addTransformation", {"transName": "matching", "inputMetaQuery": {"run": 7}}),
    ("getTransformationTasksSummaryWeb", {"selectDict": ONE, "sortList": [], "startItem": 0, "maxItems": 10}),
    ("getTransformationFilesSummaryWeb", {"selectDict": ONE, "sortList": [], "startItem": 0, "maxItems": 10}),
    ("getTransformationSummaryWeb", {"selectDict": {"Type": "Merge"}, "sortList": [], "startItem": 0, "maxItems": 10}),
    ("getCounters", {"table": "TransformationFiles", "attrList": ["Status"], "condDict": ONE}),
    (
        "getTableDistinctAttributeValues",
        {"table": "TransformationTasks", "attributes": ["TargetSE"], "selectDict": ONE},
    ),
    ("getTransformationLogging", {"transName": 1}),
    ("cleanTransformation", {"transName": "child"}),
    ("deleteTransformation", {"transName": "simulated"}),
]
NEW = {
    "description": "",
    "longDescription": "",
    "transType": "Merge",
    "plugin": "",
    "agentType": "Manual",
    "fileMask": "",
}


class Recorder:
    """Explains every statement just before it runs."""

    def __init__(self, monkeypatch):
        self.bad = []
        self.statements = 0
        run, many = SqliteTransaction._run, SqliteTransaction.executemany

        def recorded(tx, sql, parameters, most=None):
            self.explain(tx, sql, parameters)
            return run(tx, sql, parameters, most)

        async def recorded_many(tx, sql, parameters):
            self.explain(tx, sql, parameters[0])
            return await many(tx, sql, parameters)

        monkeypatch.setattr(SqliteTransaction, "_run", recorded)
        monkeypatch.setattr(SqliteTransaction, "executemany", recorded_many)

    def explain(self, tx, sql, parameters):
        self.statements += 1
        aliases = {name: name for name in LARGE}
        aliases.update({alias: table for table, alias in re.findall(rf"({'|'.join(LARGE)}) (?:AS )?(\w+)", sql)})
        # a step on a subquery's rows looks like one on a table of its alias
        subqueries = []
        for *_, step in tx._connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters):
            made, scanned = (re.match(rf"{word} (\w+)", step) for word in ("(?:CO-ROUTINE|MATERIALIZE)", "SCAN"))
            if made:
                subqueries.append(made[1])
            elif scanned and scanned[1] in subqueries:
                subqueries.remove(scanned[1])
            elif (scanned and scanned[1] in aliases) or "AUTOMATIC" in step:
                self.bad.append((step, " ".join(sql.split())))


@pytest.fixture
async def driver():
    async with SqliteStorage(None) as storage:
        driver = Driver(storage)
        async with driver.service:
            driver.catalog.current = BuiltinCatalog(driver.storage)
            await driver("addTransformation", transName="t", **NEW)
            await driver("addTransformation", transName="simulated", **{**NEW, "transType": "Simulation"})
            yield driver


async def test_no_method_scans_a_large_table(driver, monkeypatch):
    async def content(tx):
        await tx.execute("INSERT INTO CatalogFields (FieldName, FieldType) VALUES ('run', 'int')")
        for path in ("/", "/c"):
            await tx.execute("INSERT INTO CatalogDirectories (Path, Metadata) VALUES (:path, '{}')", {"path": path})
        rows = [{"lfn": f"/c/{number}"} for number in (1, 2, 3)]
        await tx.executemany(
            "INSERT INTO CatalogFiles (LFN, Directory, Metadata) VALUES (:lfn, '/c', '{\"run\": 7}')", rows
        )

    await driver.storage.storage.run("content", content)
    recorder = Recorder(monkeypatch)
    for method, params in CALLS:
        before = recorder.statements
        await driver(method, **({**NEW, **params} if method == "addTransformation" else params))
        assert recorder.statements > before, method
        assert recorder.bad == [], method


async def test_the_recorder_finds_a_scan(driver, monkeypatch):
    recorder = Recorder(monkeypatch)

    async def scan(tx):
        await tx.fetch_all("SELECT COUNT(*) FROM TransformationFiles f WHERE f.UsedSE = 'x'")

    await driver.storage.storage.run("scan", scan)
    assert len(recorder.bad) == 1
