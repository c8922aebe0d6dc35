"""Row D of the reports: a DIRAC database of every age is taken over."""

import asyncio
import json

import pytest

from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.tools.adopt import copying
from jsonrpc_tm.tools.adopt.adoption import adopt, examine
from tests.tools.adopt import layouts

pytestmark = pytest.mark.mariadb


def author_of(dn):
    return "alice" if dn == layouts.ALICE else None


@pytest.fixture
def make(mariadb):
    """Make a database of a layout; return its name and its storage."""
    made = []

    def make(layout, statements=""):
        name = mariadb.create_database()
        made.append(name)
        mariadb.sql(f"ALTER DATABASE {name} CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci")
        mariadb.sql(layouts.schema(layout) + layouts.healthy(layout) + statements, name)
        return name, MySQLProvider().open(mariadb.url(name), migrate=False, migrations=(), options={})

    yield make
    for name in made:
        mariadb.drop_database(name)


def codes(found):
    return {finding.code for finding in found.findings}


def rows(mariadb, database, query):
    """Return a query's rows, each a list of texts."""
    return [line.split("\t") for line in mariadb.sql(query, database).splitlines()]


async def adopted(mariadb, make, layout, statements=""):
    """Take over healthy rows, of which nothing is said, and then dirty ones; return the database and the report."""
    database, storage = make(layout, statements)
    assert codes(await examine(storage, author_of)) == set()
    dirt, expected = layouts.dirt(layout)
    mariadb.sql(dirt, database)
    found = await examine(storage, author_of)
    assert codes(found) == expected
    report = await adopt(storage, author_of, chunk=3)
    assert codes(report.survey) == expected
    assert report.warnings == []
    # a row that lacks two owners, or whose owner lacks one, is counted once
    told = {text[3]: int(text[0]) for text in (each.text.split() for each in found.findings if each.code == "orphans")}
    assert told == {name: result.aside for name, result in report.results.items() if result.aside}
    return database, report


async def check(mariadb, make, layout, statements=""):
    database, report = await adopted(mariadb, make, layout, statements)
    has_dn = layout.author == "AuthorDN"
    dn = layouts.ALICE if has_dn else "NULL"
    assert rows(
        mariadb,
        database,
        "SELECT TransformationName, Description, LongDescription, Author, AuthorDN, GroupSize, Body"
        " FROM Transformations ORDER BY 1",
    ) == [
        ["first", 'é "1"', "long é", "alice", dn, "2", '<Workflow linked_module="">é \\\\"q\\\\" \\\\n</Workflow>'],
        ["second", "NULL", "NULL", "alice", dn, "1", ""],
        [
            *("third", "NULL", "NULL"),
            *((layouts.NOBODY, layouts.NOBODY) if has_dn else ("alice", "NULL")),
            *("1", "café" if layout.blobs else "x"),
        ],
    ]
    inherited = ["2", "1", "Processed-1" if layout.early else "Processed-inherited", "1000002"]
    others = [["3", "1", "Processed-inherited", "1"], ["3", "2", "Assigned-inherited", "2147483647"]]
    assert rows(
        mariadb, database, "SELECT TransformationID, FileID, Status, TaskID FROM TransformationFiles ORDER BY 1, 2"
    ) == [
        ["1", "1", "Processed", "1"],
        ["1", "2", "Assigned", "2"],
        ["1", "3", "Unused", "NULL"],
        inherited,
        ["2", "2", "Unused", "NULL"],
        *([["3", "1", "Unused", "NULL"]] if layout.early else others),
    ]
    log = rows(mariadb, database, "SELECT recid, Message, Author FROM TransformationLog ORDER BY recid")
    messages = ['"third é"', '"alike"', '"alike"', '"first"']
    if layout.early:
        messages.reverse()
    who = layouts.ALICE if has_dn else "alice"
    assert log == [[str(place), message, who] for place, message in enumerate(messages, 1)]
    values = dict(rows(mariadb, database, "SELECT ParameterName, ParameterValue FROM AdditionalParameters"))
    assert json.loads(values["Text"].replace("\\\\", "\\")) == 'é "x"'
    assert values["Number"] == "5"
    assert values.get("Latin") == ('"café"' if layout.blobs else None)
    asked = rows(
        mariadb,
        database,
        "SELECT MetaDataName, MetaDataValue, MetaDataType, QueryType FROM TransformationMetaQueries ORDER BY 1",
    )
    assert asked == [
        ["q", '{">":5}', "JSON", "Input"],
        ["run", "[7,8]", "JSON", "Input"],
        ["site", '"Orsay é"', "JSON", "Input"],
    ]
    inputs = rows(mariadb, database, "SELECT TaskID, LENGTH(InputVector) FROM TaskInputs ORDER BY TransformationID, 1")
    assert inputs[:2] == [["1", "6"], ["2", "NULL"]]
    assert len(rows(mariadb, database, "SELECT * FROM TransformationTasks")) == 3
    asides = {name: result.aside for name, result in report.results.items() if result.aside}
    assert asides == ({"TransformationFiles": 2, "TransformationFileTasks": 2} if layout.early else {})
    old = rows(mariadb, database, "SHOW TABLES LIKE 'reference%'")
    assert len(old) == 9


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.releases)
async def test_d1_layout_is_adopted(mariadb, make, layout):
    await check(mariadb, make, layout)


BY_HAND = {
    "latin1": "".join(f"ALTER TABLE {table} CONVERT TO CHARACTER SET latin1;" for table in layouts.TABLES),
    "utf8mb4": "".join(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4;" for table in layouts.TABLES),
    "wider": "ALTER TABLE TransformationTasks MODIFY ExternalID VARCHAR(300) DEFAULT '';"
    "ALTER TABLE Transformations MODIFY Description LONGTEXT, MODIFY FileMask VARCHAR(2000), MODIFY Type VARCHAR(99)"
    " DEFAULT 'Simulation';",
    "bigint": "ALTER TABLE TransformationLog MODIFY TransformationID BIGINT NOT NULL;"
    "ALTER TABLE TransformationFiles MODIFY ErrorCount SMALLINT UNSIGNED NOT NULL DEFAULT 0;",
}
"""What sites did to their tables."""


# keys of MyISAM are too short for names of 512 characters in utf8mb4
CROSSED = [
    (layout, change) for layout in layouts.LAYOUTS for change in BY_HAND if not layout.early or change != "utf8mb4"
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "change"), CROSSED, ids=[f"{layout.releases} {change}" for layout, change in CROSSED]
)
async def test_d1_every_layout_with_changes_by_hand(mariadb, make, layout, change):
    statements = BY_HAND[change]
    if layout.old_queries:
        statements = statements.replace("TransformationMetaQueries", "TransformationInputDataQuery")
    keys = "ALTER TABLE TransformationLog DROP FOREIGN KEY IF EXISTS TransformationLog_ibfk_1;"
    await check(mariadb, make, layout, f"SET foreign_key_checks = 0; {keys} {statements}")


async def test_d1_a_log_without_numbers_goes_on_after_an_interruption(mariadb, make):
    database, storage = make(layouts.V6R0)

    def interrupt(verb, table, rows):
        if verb == "copy" and table.name == "TransformationLog" and rows:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
        await adopt(storage, author_of, chunk=2, advance=interrupt)

    def change(verb, *_):
        if verb == "compare":
            mariadb.sql("UPDATE TransformationLog SET Author = 'x' WHERE TransformationID = 2 LIMIT 1", database)

    with pytest.raises(copying.Changed, match="TransformationLog changed"):
        await adopt(storage, author_of, advance=change)
    report = await adopt(storage, author_of, restart=True)
    assert report.results["TransformationLog"].copied == 4
    assert len(rows(mariadb, database, "SELECT DISTINCT recid FROM TransformationLog")) == 4


async def test_d1_the_old_query_table_may_still_be_there(mariadb, make):
    # with its foreign key, which would follow the old table
    old = layouts.V6R22.changes.rpartition("DROP TABLE TransformationMetaQueries;")[2]
    database, storage = make(layouts.V7R0, old)
    assert codes(await examine(storage, author_of)) == set()
    await adopt(storage, author_of)
    assert "reference_" not in mariadb.sql("SHOW CREATE TABLE TransformationInputDataQuery", database)
