"""A database of the reference's shape, with its dirt, is taken over without losing a row."""

import asyncio
import json
from pathlib import Path

import pytest

from jsonrpc_tm.app import create_service
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.domain.recount import recount
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.tools.adopt import copying
from jsonrpc_tm.tools.adopt.adoption import adopt, drop_old, examine
from jsonrpc_tm.tools.adopt.tables import TABLES
from tests.tools.adopt import reference

pytestmark = pytest.mark.mariadb

ADMIN = Identity("admin", "prod", frozenset({"ProductionManagement"}))


def counts(mariadb, database, prefix=""):
    return {table.name: int(mariadb.sql(f"SELECT COUNT(*) FROM {prefix}{table.name}", database)) for table in TABLES}


@pytest.fixture
def build(mariadb):
    made = []

    def build(**options):
        name = reference.build(mariadb, **options)
        made.append(name)
        return name, MySQLProvider().open(mariadb.url(name), migrate=False, migrations=(), options={})

    yield build
    for name in made:
        mariadb.drop_database(name)


async def call(mariadb, database, *calls):
    """Return the answers of a server on the database."""
    async with create_service(overrides={"storage.url": mariadb.url(database)}) as service:
        return [await service.call(service.context(ADMIN), name, params) for name, *params in calls]


async def test_every_row_is_there_afterwards(mariadb, build):
    database, storage = build(files=20_000)
    before = counts(mariadb, database)
    steps = []
    report = await adopt(storage, advance=lambda *step: steps.append(step))
    assert {name: r.copied + r.aside for name, r in report.results.items()} == before
    assert counts(mariadb, database, "reference_") == before
    assert {name: r.copied for name, r in report.results.items()} == counts(mariadb, database)
    asides = {name: r.aside for name, r in report.results.items() if r.aside}
    assert asides == {
        "AdditionalParameters": 1,
        "TransformationLog": 1,
        "TransformationFiles": 3,
        "TransformationFileTasks": 2,
        "TaskInputs": 1,
    }
    for name, number in asides.items():
        assert int(mariadb.sql(f"SELECT COUNT(*) FROM orphaned_{name}", database)) == number
    for verb in ("copy", "compare"):
        assert sum(rows for what, _, rows in steps if what == verb) == sum(before.values())
    assert max(rows for _, _, rows in steps) <= 5000

    # the tables are those of a database made by this program, but for what extensions added
    schema = await storage.schema()
    assert (schema.pending, schema.differences) == ([], [])
    made = mariadb.sql("SHOW CREATE TABLE TransformationFiles", database)
    assert "REFERENCES `Transformations`" in made
    assert "REFERENCES `DataFiles`" in made
    assert "bigint" in made
    assert mariadb.sql("SHOW TRIGGERS", database) == ""
    collations = mariadb.sql(
        "SELECT DISTINCT COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
        " AND TABLE_NAME IN ('Transformations', 'DataFiles', 'TransformationFiles', 'TransformationTasks')"
        " AND COLUMN_NAME <> 'Campaign'",
        database,
    )
    assert set(collations.split()) == {"NULL", "utf8mb4_nopad_bin"}


async def test_the_server_goes_on_where_the_reference_ended(mariadb, build):
    database, storage = build(files=600)
    await adopt(storage)
    answers = await call(
        mariadb,
        database,
        ("getTransformation", "production 3", True),
        ("getAdditionalParameters", 1),
        ("getAdditionalParameters", 2),
        ("getTransformationMetaQuery", 1, "Input"),
        ("getTransformationMetaQuery", 1, "Output"),
        ("getTransformationMetaQuery", 2, "Input"),
        ("getTransformation", "twice"),
        ("getTransformation", "Twice"),
        ("getTransformation", "twice "),
        ("getTransformation", "twice__102"),
        ("getTransformationFiles", {"TransformationID": 3000}),
        ("addTaskForTransformation", 1, []),
        ("addTaskForTransformation", 3000, []),
        ("addTransformation", "new", "", "", "T", "P", "A", ""),
        ("addFilesToTransformation", 3000, ["/vo/data/000000005.dat", "/new"]),
        ("getTransformationTasks", {"TransformationID": 1}),
    )
    (
        third,
        first,
        second,
        asked,
        output,
        evil,
        kept,
        other,
        trailing,
        renamed,
        files,
        task,
        inherited,
        new,
        added,
        tasks,
    ) = answers
    assert third["Description"] == 'ä "quoted" \\ text'
    assert third["GroupSize"] == 0.3
    assert third["Json-like"] == '{"a": 1}'
    assert first == {"Text": 'some "text" with ä', "List": "['a', 'b']", "Empty": ""}
    assert second == {"Number": 42, "Long": 5000000000, "Broken": "many"}
    assert asked == {
        "run": 7,
        "runs": [7, 8, 9],
        "particle": "gamma",
        "site": ["Paranal", "LaPalma"],
        "zenith": {">=": 20, "<": 40.5},
        "energy": {"in": [1, 2]},
    }
    assert output == {"run": 8}
    assert evil == {"evil": "unreadable: __import__('os').system('touch /tmp/evil')"}
    assert not Path("/tmp/evil").exists()
    assert [row["TransformationID"] for row in (kept, other, trailing, renamed)] == [101, 103, 104, 102]
    assert renamed["Body"] == 'it\'s \\"escaped\\"'
    assert (renamed["Type"], renamed["Status"]) == ("Simulation", "New")
    assert [(row["FileID"], row["Status"], row["TaskID"]) for row in files] == [
        (1, "Assigned-inherited", 2147483647),
        (2, "Processed", 1000007),
        (3, "Unused", None),
        (4, "Assigned", 12),
    ]
    assert files[0]["LastUpdate"] is None
    highest = int(
        mariadb.sql("SELECT MAX(TaskID) FROM reference_TransformationTasks WHERE TransformationID = 1", database)
    )
    assert task == highest + 1
    assert inherited == 13
    assert new == 3001
    assert added["Successful"]["/new"] == "Added"
    assert tasks[0]["ExternalID"] == "7" * 40
    assert tasks[1]["ExternalStatus"] == "Bookkept"
    assert (
        mariadb.sql("SELECT Hot, Campaign FROM Transformations WHERE TransformationID = 2", database) == "1\tÉ-2015\n"
    )
    assert mariadb.sql("SELECT * FROM RunDestination", database) == "1\t2\n"


async def test_looking_changes_nothing(mariadb, build):
    database, storage = build(files=200)
    before = mariadb.sql("SHOW TABLES", database), mariadb.sql("CHECKSUM TABLE Transformations", database)
    found = await examine(storage)
    assert not found.blocked
    assert {finding.code for finding in found.findings} == {
        "duplicate-names",
        "similar-names",
        "odd-names",
        "cut-task-ids",
        "orphans",
        "parameters",
        "queries",
        "bodies",
        "extra-columns",
        "extra-tables",
        "foreign-keys",
        "statuses",
        "nulls",
        "dates",
        "definitions",
    }
    assert found.renamed == {102: "twice__102"}
    after = mariadb.sql("SHOW TABLES", database), mariadb.sql("CHECKSUM TABLE Transformations", database)
    assert after == before


@pytest.mark.parametrize("interruption", [1, 9, 33])
async def test_an_interrupted_adoption_goes_on(mariadb, build, interruption):
    database, storage = build(files=300)
    before = counts(mariadb, database)
    steps = []

    def advance(verb, table, rows):
        steps.append(verb)
        if len(steps) == interruption:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
        await adopt(storage, chunk=50, advance=advance)
    done = []
    report = await adopt(storage, chunk=70, advance=lambda *step: done.append(step))
    assert {name: r.copied + r.aside for name, r in report.results.items()} == before
    assert sum(rows for verb, _, rows in done if verb == "copy") == sum(before.values())
    assert counts(mariadb, database) == {name: r.copied for name, r in report.results.items()}
    async with storage:
        assert [row async for row in recount(storage)] == []
    assert mariadb.sql("SELECT SUM(N) FROM StatusHistory WHERE Kind = 'file'", database) == mariadb.sql(
        "SELECT COUNT(*) FROM TransformationFiles", database
    )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE TransformationFiles SET Status = 'Changed' WHERE FileID = 7",
        "DELETE FROM TransformationLog WHERE recid = 5",
        "UPDATE AdditionalParameters SET ParameterValue = 'y' WHERE ParameterName = 'Text'",
    ],
)
async def test_a_change_meanwhile_is_noticed(mariadb, build, change):
    database, storage = build(files=100)
    changed = []

    def advance(verb, table, rows):
        if verb == "compare" and not changed:
            changed.append(mariadb.sql(change, database))

    with pytest.raises(copying.Changed, match="restart"):
        await adopt(storage, advance=advance)
    with pytest.raises(copying.Changed, match="restart"):
        await adopt(storage)
    report = await adopt(storage, restart=True)
    assert report.results["Transformations"].copied == 17


async def test_old_databases_have_their_queries_elsewhere(mariadb, build):
    dirt = """
    DROP TABLE TransformationMetaQueries;
    ALTER TABLE Transformations DROP COLUMN AuthorDN, MODIFY Body LONGBLOB;
    UPDATE Transformations SET Body = 'bödy' WHERE TransformationID = 1;
    CREATE TABLE TransformationInputDataQuery (TransformationID INT NOT NULL, ParameterName VARCHAR(512) NOT NULL,
      ParameterValue BLOB NOT NULL, ParameterType VARCHAR(8) NOT NULL, PRIMARY KEY (TransformationID, ParameterName));
    INSERT INTO TransformationInputDataQuery VALUES (1, 'run', '7;;;8', 'Integer'), (1, 'q', 'ä', 'String');
    """
    database, storage = build(files=60, dirt=dirt)
    report = await adopt(storage)
    assert report.results["TransformationMetaQueries"].copied == 2
    calls = ("getTransformationMetaQuery", 1, "Input"), ("getTransformationParameters", 1, "Body")
    assert await call(mariadb, database, *calls) == [{"run": [7, 8], "q": "ä"}, "bödy"]


async def test_what_has_to_be_mended_blocks(mariadb, build):
    database, storage = build(
        files=60, dirt="ALTER TABLE DataFiles DROP INDEX LFN; UPDATE DataFiles SET LFN = '/x' WHERE FileID < 3;"
    )
    found = await examine(storage)
    assert found.blocked
    with pytest.raises(ConfigurationError, match="cannot be adopted"):
        await adopt(storage)
    assert "adopt_" not in mariadb.sql("SHOW TABLES", database)


async def test_other_databases_are_refused(mysql_url, build):
    empty = MySQLProvider().open(mysql_url, migrate=True, migrations=(), options={})
    with pytest.raises(ConfigurationError, match="no TransformationDB"):
        await adopt(empty)
    await empty.upgrade()
    with pytest.raises(ConfigurationError, match="already"):
        await adopt(empty, restart=True)
    _, storage = build(files=60)
    with pytest.raises(ConfigurationError, match="db adopt"):
        await storage.__aenter__()


async def test_the_old_tables_are_dropped_on_request(mariadb, build):
    database, storage = build(files=60)
    with pytest.raises(ConfigurationError, match="not been adopted"):
        await drop_old(storage)
    await adopt(storage)
    assert len(await drop_old(storage)) == 9
    tables = mariadb.sql("SHOW TABLES", database).split()
    assert not [name for name in tables if name.startswith(("reference_", "adopt_"))]
    assert "orphaned_TransformationFiles" in tables
    assert json.loads("[]") == await drop_old(storage)


async def test_two_adoptions_do_not_mix(build):
    _, storage = build(files=60)
    results = await asyncio.gather(adopt(storage), adopt(storage), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["AdoptionReport", "ConfigurationError"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_a_million_files(mariadb, build):
    _, storage = build(files=1_000_000)
    report = await adopt(storage)
    assert report.results["DataFiles"].copied == 1_000_000
    assert report.results["TransformationFiles"].copied >= 2_000_000
