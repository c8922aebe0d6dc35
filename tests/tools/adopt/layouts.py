"""Databases of the reference's older releases: each layout as what it changes of the next newer one."""

import re
from dataclasses import dataclass, replace

from .reference import SCHEMA, TRIGGER


@dataclass(frozen=True)
class Layout:
    """A layout, and what its rows look like.

    :param changes: statements that make it of the next newer one; the newest is that of October 2024.
    :param author: the column that says who made a transformation.
    :param blobs: columns that are BLOBs, as (table, column).
    """

    releases: str
    changes: str = ""
    author: str = "Author"
    blobs: tuple[tuple[str, str], ...] = ()
    old_queries: bool = False
    unique_lfn: bool = True
    early: bool = False
    """No foreign keys, no trigger, no numbers in the log, text task numbers, MyISAM and latin1."""


OCTOBER = Layout("Oct 2024")
TEXTS = (
    ("Transformations", "LongDescription"),
    ("Transformations", "Body"),
    ("AdditionalParameters", "ParameterValue"),
    ("TransformationMetaQueries", "MetaDataValue"),
)
TABLES = re.findall(r"CREATE TABLE (\w+)", SCHEMA)


def _older(newer, releases, changes="", **facts):
    return replace(newer, releases=releases, changes=newer.changes + changes, **facts)


R80 = _older(
    OCTOBER,
    "8.0",
    "ALTER TABLE Transformations DROP COLUMN Author, MODIFY AuthorDN VARCHAR(255) NOT NULL;",
    author="AuthorDN",
)
V7R2 = _older(
    R80,
    "v7r2, v7r3",
    """ALTER TABLE Transformations MODIFY LongDescription BLOB, MODIFY Body LONGBLOB, DROP INDEX Status,
      DROP INDEX Type;
    ALTER TABLE AdditionalParameters MODIFY ParameterValue LONGBLOB NOT NULL;
    ALTER TABLE TransformationMetaQueries MODIFY MetaDataValue BLOB NOT NULL;""",
    blobs=TEXTS,
)
V7R0 = _older(
    V7R2,
    "v7r0, v7r1",
    """ALTER TABLE Transformations MODIFY GroupSize INT NOT NULL DEFAULT 1, DROP INDEX TransformationFamily;
    ALTER TABLE TransformationTasks DROP INDEX TransformationID;
    ALTER TABLE TransformationFiles DROP INDEX TransformationID;""",
)
V6R22 = _older(
    V7R0,
    "v6r22",
    """DROP TABLE TransformationMetaQueries;
    CREATE TABLE TransformationInputDataQuery (TransformationID INT NOT NULL, ParameterName VARCHAR(255) NOT NULL,
      ParameterValue BLOB NOT NULL, ParameterType VARCHAR(8) NOT NULL, PRIMARY KEY (TransformationID, ParameterName),
      FOREIGN KEY (TransformationID) REFERENCES Transformations (TransformationID))
      ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb3;""",
    old_queries=True,
)
V6R19 = _older(V6R22, "v6r19-v6r21", "ALTER TABLE Transformations MODIFY TransformationGroup VARCHAR(64) NOT NULL;")
V6R15 = _older(V6R19, "v6r15-v6r18", "ALTER TABLE DataFiles DROP INDEX LFN, ADD INDEX (LFN);", unique_lfn=False)
V6R10 = _older(
    V6R15,
    "v6r10-v6r14",
    "ALTER TABLE TaskInputs MODIFY InputVector BLOB;",
    blobs=(*TEXTS, ("TaskInputs", "InputVector")),
)
V6R0 = _older(
    V6R10,
    "v6r0-v6r9",
    """ALTER TABLE TransformationLog DROP COLUMN recid;
    ALTER TABLE TransformationTasks MODIFY TaskID INT NOT NULL AUTO_INCREMENT;
    ALTER TABLE TransformationFiles MODIFY TaskID VARCHAR(32), DROP INDEX FileID;
    ALTER TABLE DataFiles DROP PRIMARY KEY, ADD PRIMARY KEY (FileID, LFN), ADD UNIQUE (LFN);
    ALTER TABLE TransformationInputDataQuery MODIFY ParameterName VARCHAR(512) NOT NULL;
    CREATE TABLE Replicas (FileID INT, PFN VARCHAR(255)) ENGINE=MyISAM DEFAULT CHARACTER SET latin1;""",
    early=True,
    unique_lfn=True,
)
R91 = replace(
    OCTOBER,
    releases="9.1.22",
    changes="SET foreign_key_checks = 0;"
    + "".join(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4;" for table in TABLES)
    + "SET foreign_key_checks = 1;",
)
LAYOUTS = (R91, OCTOBER, R80, V7R2, V7R0, V6R22, V6R19, V6R15, V6R10, V6R0)

ALICE, NOBODY = "/DC=org/CN=Alice", "/DC=org/CN=Nobody"


def schema(layout):
    """Return the statements that make the tables."""
    text = SCHEMA + layout.changes
    if layout.early:
        text = re.sub(r",\s+FOREIGN KEY \(.*?\)\s+REFERENCES \w+ \(.*?\)", "", text)
        text = re.sub(r"(?s)(CREATE TABLE (?!Transformations ).*?ENGINE=)InnoDB", r"\1MyISAM", text)
        return re.sub(r"utf8mb3( COLLATE utf8mb3_general_ci)?", "latin1", text)
    return text + TRIGGER


def healthy(layout):
    """Return the statements that put rows into the tables with which nothing is wrong."""
    who = ALICE if layout.author == "AuthorDN" else "alice"
    inherited = ("'Processed-1'", "'00000001_00000002'") if layout.early else ("'Processed-inherited'", "1000002")
    tasks = "(1, 1, 'Done', '77', '2012-03-01', '2012-03-02'), (1, 2, 'Done', '78', '2012-03-01', '2012-03-02')"
    queries = "(1, 'run', '7;;;8', 'Integer'), (1, 'site', 'Orsay é', 'String'), (1, 'q', '{''>'': 5L}', 'Dict')"
    table, prefix = ("TransformationInputDataQuery", "Parameter") if layout.old_queries else (TABLES[-1], "MetaData")
    return f"""
    INSERT INTO Transformations (TransformationID, TransformationName, Description, LongDescription, {layout.author},
        AuthorGroup, Type, Status, TransformationGroup, GroupSize, Body, CreationDate, InheritedFrom) VALUES
      (1, 'first', 'é "1"', 'long é', '{who}', 'prod', 'MCSimulation', 'Active', 'General', 2,
       '<Workflow linked_module="">é \\\\"q\\\\" \\\\n</Workflow>', '2012-03-01 10:00:00', 0),
      (2, 'second', NULL, NULL, '{who}', 'prod', 'Replication', 'New', 'General', 1, '', NULL, 1);
    INSERT INTO DataFiles (FileID, LFN, Status) VALUES (1, '/é', 'New'), (2, '/b', 'New'), (3, '/c', 'New');
    INSERT INTO TransformationTasks (TransformationID, TaskID, ExternalStatus, ExternalID, CreationTime,
        LastUpdateTime) VALUES {tasks};
    INSERT INTO TransformationFiles (TransformationID, FileID, Status, TaskID) VALUES (1, 1, 'Processed', 1),
      (1, 2, 'Assigned', 2), (1, 3, 'Unused', NULL), (2, 1, {", ".join(inherited)}), (2, 2, 'Unused', NULL);
    INSERT INTO TransformationFileTasks VALUES (1, 1, 1), (1, 2, 2);
    INSERT INTO TaskInputs VALUES (1, 1, '/é;/b'), (1, 2, NULL);
    INSERT INTO TransformationLog (TransformationID, Message, Author, MessageDate) VALUES
      (1, '"third é"', '{who}', '2012-03-03'), (2, '"alike"', '{who}', '2012-03-02'),
      (2, '"alike"', '{who}', '2012-03-02'), (1, '"first"', '{who}', '2012-03-01');
    INSERT INTO AdditionalParameters (TransformationID, ParameterName, ParameterValue, ParameterType) VALUES
      (1, 'Text', 'é "x"', 'StringType'), (1, 'Number', '5', 'IntType');
    INSERT INTO {table} (TransformationID, {prefix}Name, {prefix}Value, {prefix}Type) VALUES {queries};
    """


def dirt(layout):
    """Return the statements that add what is usual in old databases, and the codes of what is found then."""
    who = NOBODY if layout.author == "AuthorDN" else "alice"
    statements = [
        f"INSERT INTO Transformations (TransformationID, TransformationName, {layout.author}, AuthorGroup,"
        f" TransformationGroup, Body) VALUES (3, 'third', '{who}', 'prod', 'General', 'x')",
        "INSERT INTO TransformationTasks (TransformationID, TaskID, CreationTime, LastUpdateTime)"
        " VALUES (3, 1, '2012-03-04', '2012-03-04')",
    ]
    codes = {"authors"} if layout.author == "AuthorDN" else set()
    if layout.blobs:
        statements += [
            "UPDATE Transformations SET Body = x'636166E9' WHERE TransformationID = 3",
            "INSERT INTO AdditionalParameters VALUES (3, 'Latin', x'636166E9', 'StringType')",
        ]
        codes.add("latin-1")
    if ("TaskInputs", "InputVector") in layout.blobs:
        statements.append("INSERT INTO TaskInputs VALUES (3, 1, REPEAT('/x;/y', 13107))")
        codes.add("cut-texts")
    if layout.early:
        statements += [
            "INSERT INTO TransformationFiles (TransformationID, FileID, Status, TaskID) VALUES (3, 1, 'Unused', 'odd')",
            # no owner at all; no file, and so no owner of what belongs to it
            "INSERT INTO TransformationFiles (TransformationID, FileID) VALUES (9, 9), (3, 9)",
            "INSERT INTO TransformationFileTasks VALUES (9, 9, 9), (3, 9, 1)",
        ]
        codes |= {"task-numbers", "orphans"}
    else:
        statements.append(
            "INSERT INTO TransformationFiles (TransformationID, FileID, Status, TaskID) VALUES"
            " (3, 1, 'Processed-inherited', 1), (3, 2, 'Assigned-inherited', 2147483647)"
        )
        codes |= {"inherited-task-ids", "cut-task-ids"}
    return ";\n".join(statements) + ";", codes
