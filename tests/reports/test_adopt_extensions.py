"""Row D of the reports: what extensions and sites added is kept, or the dry run names it."""

import pytest

from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.tools.adopt.adoption import adopt, examine
from jsonrpc_tm.tools.adopt.definitions import parse
from tests.tools.adopt import layouts

pytestmark = pytest.mark.mariadb

# LHCb's, and what sites do by hand
KEPT = """
SET foreign_key_checks = 0;
ALTER TABLE Transformations ADD COLUMN Hot BOOLEAN DEFAULT 0, ADD FULLTEXT INDEX Words (Description, LongDescription),
  ADD COLUMN Label VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_general_cs DEFAULT 'É, (x)' COMMENT 'it''s (a, b)',
  ADD COLUMN Ratio FLOAT DEFAULT 0.25, ADD COLUMN Site VARCHAR(40) NOT NULL DEFAULT 'CERN' AFTER TransformationName,
  ADD COLUMN Touched TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  ADD COLUMN Since DATETIME DEFAULT '0000-00-00 00:00:00', ADD UNIQUE INDEX LabelOfSite (Label, Site, TransformationID),
  ADD CONSTRAINT Positive CHECK (Ratio >= 0 AND EventsPerTask >= 0);
ALTER TABLE TransformationFiles ADD COLUMN RunNumber INT DEFAULT 0, ADD COLUMN Size BIGINT,
  ADD COLUMN FileType VARCHAR(32), ADD COLUMN RAWAncestors INT, ADD INDEX (RunNumber, TransformationID),
  ADD COLUMN Big TINYINT AS (Size > 1000) STORED, ADD COLUMN Kind VARCHAR(40) AS (CONCAT(FileType, '-', Status)),
  ADD COLUMN Extra LONGTEXT CHECK (JSON_VALID(Extra)), ADD COLUMN Flags BIT(9), ADD INDEX (UsedSE(20)),
  ADD COLUMN Doc JSON, ADD INDEX (UsedSE(10) DESC, LastUpdate DESC);
ALTER TABLE TransformationTasks ADD COLUMN RunNumber INT DEFAULT 0, MODIFY ExternalID VARCHAR(64) DEFAULT '';
ALTER TABLE TaskInputs DROP FOREIGN KEY TaskInputs_ibfk_1, DROP PRIMARY KEY, ADD UNIQUE (TransformationID, TaskID),
  ADD COLUMN Row INT AUTO_INCREMENT PRIMARY KEY FIRST;
CREATE TABLE BkQueries (BkQueryID INT PRIMARY KEY) ENGINE=InnoDB;
UPDATE Transformations SET Hot = 1, Label = 'é', Ratio = 16777217, Touched = '2012-01-01 00:00:00' WHERE
  TransformationID = 1;
UPDATE TransformationFiles SET Size = 5000, FileType = 'DST', Extra = '{"a": "é"}', Flags = b'101010101',
  Doc = '{"b": "é"}' WHERE FileID = 1;
"""
COLUMNS = {
    "Transformations": ["Hot", "Label", "Ratio", "Site", "Touched", "Since"],
    "TransformationFiles": ["RunNumber", "Size", "FileType", "RAWAncestors", "Big", "Kind", "Extra", "Flags", "Doc"],
    "TransformationTasks": ["RunNumber"],
}
INDEXES = {
    "Transformations": {("Description", "LongDescription"), ("Label", "Site", "TransformationID")},
    "TransformationFiles": {("RunNumber", "TransformationID"), ("UsedSE(20)",), ("UsedSE(10) DESC", "LastUpdate DESC")},
    "TaskInputs": {("Row",)},
}
VALUES = """SELECT HEX(Label), Hot, CAST(Ratio AS DOUBLE), Site, Touched, Since FROM {}Transformations ORDER BY 1;
SELECT TransformationID, FileID, RunNumber, Size, FileType, RAWAncestors, Big, Kind, Extra, Doc, HEX(Flags)
  FROM {}TransformationFiles ORDER BY 1, 2;
SELECT Row, TaskID FROM {}TaskInputs;"""

NAMED = """
ALTER TABLE Transformations MODIFY Plugin CHAR(32) DEFAULT 'LHCbStandard', ADD COLUMN Campaign VARCHAR(40) NOT NULL,
  ADD CONSTRAINT Known CHECK (Status IN ('New', 'Active')), ADD INDEX Wide (FileMask, Description, Author, AuthorGroup),
  MODIFY LastUpdate DATETIME ON UPDATE CURRENT_TIMESTAMP, COMMENT = 'of the site';
ALTER TABLE DataFiles ADD COLUMN Place POINT NOT NULL DEFAULT POINT(1, 1), ADD SPATIAL INDEX (Place);
CREATE TABLE Campaigns (ID INT PRIMARY KEY) ENGINE=InnoDB;
ALTER TABLE TransformationTasks ADD COLUMN Campaign INT, ADD CONSTRAINT Campaigned FOREIGN KEY (Campaign)
  REFERENCES Campaigns (ID);
CREATE TABLE BkQueriesNew (TransformationID INT PRIMARY KEY, CONSTRAINT Bk FOREIGN KEY (TransformationID)
  REFERENCES Transformations (TransformationID)) ENGINE=InnoDB;
INSERT INTO BkQueriesNew VALUES (1);
ALTER TABLE TransformationLog ADD COLUMN Since TIMESTAMP(6) GENERATED ALWAYS AS ROW START, ADD SYSTEM VERSIONING,
  ADD COLUMN Until TIMESTAMP(6) GENERATED ALWAYS AS ROW END, ADD PERIOD FOR SYSTEM_TIME (Since, Until);
CREATE TRIGGER Watch BEFORE UPDATE ON Transformations FOR EACH ROW SET NEW.LastUpdate = NOW();
"""


@pytest.fixture
def make(mariadb):
    """Make a database with an extension; return its name and its storage."""
    made = []

    def make(statements, layout=layouts.OCTOBER):
        name = mariadb.create_database()
        made.append(name)
        text = layouts.schema(layout) + layouts.healthy(layout)
        mariadb.sql(f"ALTER DATABASE {name} CHARACTER SET utf8mb3; USE {name}; SET sql_mode = '';" + text + statements)
        return name, MySQLProvider().open(mariadb.url(name), migrate=False, migrations=(), options={})

    yield make
    for name in made:
        mariadb.drop_database(name)


def definition(mariadb, database, table):
    return parse(mariadb.sql(f"SHOW CREATE TABLE {table}", database).partition("\t")[2].replace("\\n", "\n"))


def charset_of(mariadb, database, table, columns):
    names = ", ".join(f"'{name}'" for name in columns)
    return mariadb.sql(
        "SELECT COLUMN_NAME, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA ="
        f" DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME IN ({names}) ORDER BY 1",
        database,
    )


async def test_d3_what_extensions_added_is_kept(mariadb, make):
    database, storage = make(KEPT)
    found = await examine(storage)
    assert {finding.code for finding in found.findings} == {"extra-columns", "extra-indexes", "extra-tables"}
    before = mariadb.sql(VALUES.replace("{}", ""), database)
    report = await adopt(storage, chunk=2)
    assert mariadb.sql(VALUES.replace("{}", ""), database) == before
    assert mariadb.sql(VALUES.replace("{}", "reference_"), database) == before
    for table, names in COLUMNS.items():
        old = definition(mariadb, database, f"reference_{table}")
        new = definition(mariadb, database, table)
        for name in names:
            # what the table's character set said before, the column says now
            plain = new.columns[name].replace(" CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci", "")
            assert plain.replace("convert(`FileType` using utf8mb4)", "`FileType`") == old.columns[name]
        charsets = [charset_of(mariadb, database, name, names) for name in (f"reference_{table}", table)]
        assert charsets[0] == charsets[1]
        assert old.constraints.get("Positive") == new.constraints.get("Positive")
        planned = report.survey.plans[table].definition
        assert list(new.columns) == list(planned.columns)
        assert {key.columns for key in new.keys} == {key.columns for key in planned.keys}
    for table, keys in INDEXES.items():
        kinds = {key.columns: key.kind for key in definition(mariadb, database, f"reference_{table}").keys}
        made = {key.columns: key.kind for key in definition(mariadb, database, table).keys}
        for key in keys:
            assert made[key] == kinds[key].replace("PRIMARY", "UNIQUE")
    assert "varchar(64)" in definition(mariadb, database, "TransformationTasks").columns["ExternalID"]
    # the extension's programs go on: a row without its columns gets the defaults
    mariadb.sql("INSERT INTO TransformationFiles (TransformationID, FileID) VALUES (2, 3)", database)
    assert (
        mariadb.sql("SELECT RunNumber FROM TransformationFiles WHERE FileID = 3 AND TransformationID = 2", database)
        == "0\n"
    )


async def test_d3_what_is_not_kept_is_named(mariadb, make):
    database, storage = make(NAMED)
    found = {finding.code: finding for finding in (await examine(storage)).findings}
    assert set(found) == {"definitions", "extra-columns", "extra-indexes", "extra-tables", "foreign-keys", "triggers"}
    lost = "\n".join(found["definitions"].examples)
    for what in (
        "Transformations.Plugin: DEFAULT 'LHCbStandard': is DEFAULT 'None' from now on",
        "Transformations.LastUpdate: ON UPDATE current_timestamp()",
        "Transformations.Campaign: is NULL where no value is given",
        "CONSTRAINT `Known` CHECK (`Status` in ('New','Active')): left out",
        "KEY `Wide` (`FileMask`,`Description`,`Author`,`AuthorGroup`): left out, 4080 bytes",
        "Transformations: COMMENT='of the site': left out",
        "TransformationLog.Until: timestamp(6) GENERATED ALWAYS AS ROW END: left out",
        "TransformationLog: PRIMARY KEY (`recid`,`Until`): left out",
        "TransformationLog: WITH SYSTEM VERSIONING PERIOD FOR SYSTEM_TIME (`Since`, `Until`): left out",
        "SPATIAL KEY `Place` (`Place`): left out",
        "CONSTRAINT `Campaigned` FOREIGN KEY (`Campaign`) REFERENCES `Campaigns` (`ID`): left out",
    ):
        assert what in lost
    assert found["foreign-keys"].examples == ("BkQueriesNew.Bk",)
    assert found["triggers"].examples == ("Watch on Transformations",)
    report = await adopt(storage)
    assert report.results["Transformations"].copied == 2
    assert report.results["TransformationLog"].copied == 4
    assert mariadb.sql("SELECT * FROM BkQueriesNew", database) == "1\n"


async def test_d5_queries_left_in_the_old_table_are_counted(mariadb, make):
    old = """CREATE TABLE TransformationInputDataQuery (TransformationID INT, ParameterName VARCHAR(512),
      ParameterValue BLOB NOT NULL, ParameterType VARCHAR(8), PRIMARY KEY (TransformationID, ParameterName));"""
    database, storage = make(old)
    assert (await examine(storage)).findings == []
    mariadb.sql(
        "INSERT INTO TransformationInputDataQuery VALUES (1, 'a', '1', 'Integer'), (1, 'b', '1', 'Integer'),"
        " (2, 'c', '1', 'Integer')",
        database,
    )
    (finding,) = (await examine(storage)).findings
    assert (finding.code, finding.examples) == ("old-queries", ("1", "2"))
    assert "3 row(s) of 2 transformation(s)" in finding.text
    report = await adopt(storage)
    assert report.results["TransformationMetaQueries"].copied == 3
    assert mariadb.sql("SELECT COUNT(*) FROM TransformationInputDataQuery", database) == "3\n"


MIXTURES = {
    # upgraded by hand: columns of one release, values of another
    "author of some": (
        layouts.OCTOBER,
        f"UPDATE Transformations SET Author = '', AuthorDN = '{layouts.ALICE}' WHERE TransformationID = 2",
        "SELECT Author FROM Transformations",
        "alice\nalice\n",
    ),
    "no AuthorDN": (
        layouts.R91,
        "ALTER TABLE Transformations DROP AuthorDN",
        "SELECT Author, AuthorDN FROM Transformations WHERE TransformationID = 1",
        "alice\tNULL\n",
    ),
    "text task numbers in InnoDB": (
        layouts.R80,
        "ALTER TABLE TransformationFiles MODIFY TaskID VARCHAR(32);"
        "UPDATE TransformationFiles SET TaskID = '00003000_00000012' WHERE TransformationID = 2 AND FileID = 1",
        "SELECT TaskID FROM TransformationFiles ORDER BY TransformationID, FileID",
        "1\n2\nNULL\n3000000012\nNULL\n",
    ),
    "no recid in InnoDB": (
        layouts.R80,
        "ALTER TABLE TransformationLog DROP COLUMN recid",
        "SELECT Message FROM TransformationLog ORDER BY recid",
        '"first"\n"alike"\n"alike"\n"third é"\n',
    ),
    "latin1 in InnoDB": (
        layouts.V7R2,
        "".join(
            f"SET foreign_key_checks = 0; ALTER TABLE {table} CONVERT TO CHARACTER SET latin1;"
            for table in layouts.TABLES
        )
        + "UPDATE DataFiles SET LFN = 'Ã©' WHERE FileID = 3",
        "SELECT LFN FROM DataFiles ORDER BY FileID",
        "/é\n/b\nÃ©\n",
    ),
    "odd numbers": (
        layouts.OCTOBER,
        "ALTER TABLE Transformations MODIFY GroupSize DECIMAL(8,3) NOT NULL, MODIFY EventsPerTask INT(8) ZEROFILL"
        " NOT NULL DEFAULT 5; UPDATE Transformations SET GroupSize = 0.1 WHERE TransformationID = 1",
        "SELECT GroupSize, EventsPerTask FROM Transformations ORDER BY TransformationID",
        "0.1\t0\n1\t0\n",
    ),
}


@pytest.mark.parametrize("mixture", MIXTURES)
async def test_d1_mixtures_of_layouts_are_adopted(mariadb, make, mixture):
    layout, statements, query, expected = MIXTURES[mixture]
    database, storage = make(statements, layout)

    def author_of(dn):
        return "alice" if dn == layouts.ALICE else None

    found = await examine(storage, author_of)
    assert [finding.code for finding in found.findings] == (["definitions"] if mixture == "odd numbers" else [])
    await adopt(storage, author_of, chunk=3)
    assert mariadb.sql(query, database) == expected
