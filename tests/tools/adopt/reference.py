"""A database in the shape of the reference service's, with all the dirt that such databases have."""

import textwrap

CHARACTERS = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci"

SCHEMA = f"""
CREATE TABLE Transformations (
    TransformationID INT NOT NULL AUTO_INCREMENT, TransformationName VARCHAR(255) NOT NULL, Description VARCHAR(255),
    LongDescription TEXT, CreationDate DATETIME, LastUpdate DATETIME, Author VARCHAR(255) NOT NULL,
    AuthorDN VARCHAR(255) DEFAULT NULL, AuthorGroup VARCHAR(255) NOT NULL, Type CHAR(32) DEFAULT 'Simulation',
    Plugin CHAR(32) DEFAULT 'None', AgentType CHAR(32) DEFAULT 'Manual', Status CHAR(32) DEFAULT 'New',
    FileMask VARCHAR(255), TransformationGroup VARCHAR(255) NOT NULL DEFAULT 'General',
    TransformationFamily VARCHAR(64) DEFAULT '0', GroupSize FLOAT NOT NULL DEFAULT 1, InheritedFrom INT DEFAULT 0,
    Body LONGTEXT, MaxNumberOfTasks INT NOT NULL DEFAULT 0, EventsPerTask INT NOT NULL DEFAULT 0,
    PRIMARY KEY (TransformationID), INDEX (TransformationName), INDEX (TransformationFamily), INDEX (Status),
    INDEX (Type)) {CHARACTERS};
CREATE TABLE DataFiles (
    FileID INT NOT NULL AUTO_INCREMENT, LFN VARCHAR(255) NOT NULL DEFAULT '', Status VARCHAR(32) DEFAULT 'AprioriGood',
    PRIMARY KEY (FileID), UNIQUE (LFN), INDEX (Status)) {CHARACTERS};
CREATE TABLE AdditionalParameters (
    TransformationID INT NOT NULL, ParameterName VARCHAR(32) NOT NULL, ParameterValue LONGTEXT NOT NULL,
    ParameterType VARCHAR(32) DEFAULT 'StringType', PRIMARY KEY (TransformationID, ParameterName),
    FOREIGN KEY (TransformationID) REFERENCES Transformations (TransformationID)) {CHARACTERS};
CREATE TABLE TransformationLog (
    recid INT NOT NULL AUTO_INCREMENT, TransformationID INT NOT NULL, Message VARCHAR(255) NOT NULL,
    Author VARCHAR(255) NOT NULL DEFAULT 'Unknown', MessageDate DATETIME NOT NULL, PRIMARY KEY (recid),
    INDEX (TransformationID), INDEX (MessageDate),
    FOREIGN KEY (TransformationID) REFERENCES Transformations (TransformationID)) {CHARACTERS};
CREATE TABLE TransformationTasks (
    TransformationID INT NOT NULL, TaskID INT NOT NULL, ExternalStatus CHAR(16) DEFAULT 'Created',
    ExternalID CHAR(16) DEFAULT '', TargetSE CHAR(255) DEFAULT 'Unknown', CreationTime DATETIME NOT NULL,
    LastUpdateTime DATETIME NOT NULL, PRIMARY KEY (TransformationID, TaskID), INDEX (ExternalStatus),
    INDEX (TransformationID, ExternalStatus),
    FOREIGN KEY (TransformationID) REFERENCES Transformations (TransformationID)) {CHARACTERS};
CREATE TABLE TransformationFiles (
    TransformationID INT NOT NULL, FileID INT NOT NULL, Status VARCHAR(32) DEFAULT 'Unused',
    ErrorCount INT NOT NULL DEFAULT 0, TaskID INT, TargetSE VARCHAR(255) DEFAULT 'Unknown',
    UsedSE VARCHAR(255) DEFAULT 'Unknown', LastUpdate DATETIME, InsertedTime DATETIME,
    PRIMARY KEY (TransformationID, FileID), INDEX (Status), INDEX (FileID), INDEX (TransformationID, Status),
    FOREIGN KEY (TransformationID) REFERENCES Transformations (TransformationID),
    FOREIGN KEY (FileID) REFERENCES DataFiles (FileID)) {CHARACTERS};
CREATE TABLE TransformationFileTasks (
    TransformationID INT NOT NULL, FileID INT NOT NULL, TaskID INT NOT NULL,
    PRIMARY KEY (TransformationID, FileID, TaskID),
    FOREIGN KEY (TransformationID) REFERENCES Transformations (TransformationID),
    FOREIGN KEY (TransformationID, FileID) REFERENCES TransformationFiles (TransformationID, FileID),
    FOREIGN KEY (TransformationID, TaskID) REFERENCES TransformationTasks (TransformationID, TaskID)) {CHARACTERS};
CREATE TABLE TaskInputs (
    TransformationID INT NOT NULL, TaskID INT NOT NULL, InputVector MEDIUMTEXT, PRIMARY KEY (TransformationID, TaskID),
    FOREIGN KEY (TransformationID, TaskID) REFERENCES TransformationTasks (TransformationID, TaskID)) {CHARACTERS};
CREATE TABLE TransformationMetaQueries (
    TransformationID INT NOT NULL, MetaDataName VARCHAR(255) NOT NULL, MetaDataValue TEXT NOT NULL,
    MetaDataType VARCHAR(8) NOT NULL, QueryType ENUM('Input', 'Output') DEFAULT 'Input',
    PRIMARY KEY (TransformationID, MetaDataName, QueryType),
    FOREIGN KEY (TransformationID) REFERENCES Transformations (TransformationID)) {CHARACTERS};
"""

# the effect that REFERENCE_SCHEMA describes: the highest number of the transformation, plus one
TRIGGER = """
CREATE TRIGGER TaskID_Generator BEFORE INSERT ON TransformationTasks FOR EACH ROW
SET NEW.TaskID = (SELECT @last := COALESCE(MAX(TaskID), 0) + 1 FROM TransformationTasks
                  WHERE TransformationID = NEW.TransformationID);
"""

TRANSFORMATIONS = 10
TASK_SIZE = 20
"""Files in a task."""


def rows(files: int) -> str:
    """Return the statements that fill the tables: every file is in two transformations, every third one in a task."""
    tasks = files // (3 * TASK_SIZE)
    return f"""
    INSERT INTO Transformations (TransformationName, Description, CreationDate, LastUpdate, Author, AuthorDN,
        AuthorGroup, Type, Plugin, AgentType, Status, GroupSize, Body, MaxNumberOfTasks)
      SELECT CONCAT('production ', seq), 'ä "quoted" \\\\ text', '2015-03-01 12:00:00', '2024-01-01 00:00:00',
        'alice', '/DC=org/CN=Alice', 'prod', IF(seq % 2, 'MCSimulation', 'DataReprocessing'), 'Standard', 'Automatic',
        'Active', 0.1 * seq, REPEAT('<xml/>', 500), seq FROM seq_1_to_{TRANSFORMATIONS};
    INSERT INTO DataFiles (LFN, Status) SELECT CONCAT('/vo/data/', LPAD(seq, 9, '0'), '.dat'), 'New'
      FROM seq_1_to_{files};
    SET foreign_key_checks = 0;
    INSERT INTO TransformationFiles (TransformationID, FileID, Status, TaskID, UsedSE, LastUpdate, InsertedTime)
      SELECT 1 + seq % {TRANSFORMATIONS}, seq, IF(seq % 3, 'Unused', 'Assigned'), NULL, 'CERN-DST',
        '2023-06-01 10:00:00', '2023-05-01 10:00:00' FROM seq_1_to_{files};
    INSERT INTO TransformationFiles (TransformationID, FileID, Status, LastUpdate)
      SELECT 1 + (seq + 1) % {TRANSFORMATIONS}, seq, 'Processed', '2022-06-01 10:00:00' FROM seq_1_to_{files};
    INSERT INTO TransformationTasks (TransformationID, TaskID, ExternalStatus, ExternalID, TargetSE, CreationTime,
        LastUpdateTime)
      SELECT t.seq, n.seq, 'Done', CONCAT(100000 + n.seq), 'CERN-DST', '2023-06-01 10:00:00', '2023-06-02 10:00:00'
        FROM seq_1_to_{TRANSFORMATIONS} AS t JOIN seq_1_to_{max(tasks // TRANSFORMATIONS, 3)} AS n
        ORDER BY t.seq, n.seq;
    UPDATE TransformationFiles SET TaskID = 1 + FileID % {max(tasks // TRANSFORMATIONS, 3)} WHERE Status = 'Assigned';
    INSERT INTO TransformationFileTasks SELECT TransformationID, FileID, TaskID FROM TransformationFiles
      WHERE TaskID IS NOT NULL;
    INSERT INTO TaskInputs SELECT TransformationID, TaskID, CONCAT('/vo/data/', TaskID, ';/vo/data/x')
      FROM TransformationTasks WHERE TaskID % 2;
    SET foreign_key_checks = 1;
    INSERT INTO TransformationLog (TransformationID, Message, Author, MessageDate)
      SELECT 1 + seq % {TRANSFORMATIONS}, CONCAT('"message ', seq, '"'), 'alice', '2023-06-01 10:00:00'
        FROM seq_1_to_100;
    INSERT INTO AdditionalParameters VALUES
      (1, 'Text', 'some "text" with ä', 'StringType'), (1, 'List', "['a', 'b']", 'StringType'),
      (1, 'Empty', '', 'StringType'),
      (2, 'Number', '42', 'IntType'), (2, 'Long', '5000000000L', 'LongType'), (2, 'Broken', 'many', 'IntType'),
      (3, 'Json-like', '{{"a": 1}}', 'StringType');
    INSERT INTO TransformationMetaQueries VALUES
      (1, 'run', '7', 'Integer', 'Input'), (1, 'runs', '7;;;8;;;9', 'Integer', 'Input'),
      (1, 'particle', 'gamma', 'String', 'Input'), (1, 'site', 'Paranal;;;LaPalma', 'String', 'Input'),
      (1, 'zenith', "{{'>=': 20, '<': 40.5}}", 'Dict', 'Input'), (1, 'energy', "{{'in': [1L, 2L]}}", 'Dict', 'Input'),
      (1, 'run', '8', 'Integer', 'Output'),
      (2, 'evil', "__import__('os').system('touch /tmp/evil')", 'Dict', 'Input');
    """


DIRT = textwrap.dedent(
    """
    INSERT INTO Transformations (TransformationID, TransformationName, Author, AuthorGroup, Type, Status, Body) VALUES
      (101, 'twice', 'a', 'g', 'Replication', 'New', 'x'),
      (102, 'twice', 'a', 'g', NULL, NULL, 'it''s \\\\"escaped\\\\"'),
      (103, 'Twice', 'a', 'g', 'T', 'S', 'x'), (104, 'twice ', 'a', 'g', 'T', 'S', 'x'),
      (105, 'twice_102', 'a', 'g', 'T', 'S', 'x'), (106, '77', 'a', 'g', 'T', 'S', '"<a b=\\\\"1\\\\"/>"'),
      (3000, 'derived', 'a', 'g', 'T', 'S', 'x');
    ALTER TABLE Transformations ADD COLUMN Hot TINYINT DEFAULT 0, ADD COLUMN Campaign VARCHAR(40) NOT NULL;
    UPDATE Transformations SET Hot = 1, Campaign = 'É-2015' WHERE TransformationID = 2;
    ALTER TABLE TransformationTasks MODIFY ExternalID VARCHAR(64);
    UPDATE TransformationTasks SET ExternalID = REPEAT('7', 40) WHERE TransformationID = 1 AND TaskID = 1;
    UPDATE TransformationTasks SET ExternalStatus = 'Bookkept' WHERE TransformationID = 1 AND TaskID = 2;
    CREATE TABLE RunDestination (RunNumber INT PRIMARY KEY, TransformationID INT,
      FOREIGN KEY (TransformationID) REFERENCES Transformations (TransformationID)) ENGINE=InnoDB;
    INSERT INTO RunDestination VALUES (1, 2);
    SET foreign_key_checks = 0, sql_mode = '';
    INSERT INTO TransformationFiles (TransformationID, FileID, Status) VALUES (1, 9000001, 'Unused'),
      (9001, 1, 'Unused'),      (1, 9000002, 'Assigned');
    INSERT INTO TransformationFileTasks VALUES (1, 9000002, 1), (1, 1, 777777);
    INSERT INTO TransformationLog (TransformationID, Message, MessageDate) VALUES
      (9001, '"orphan"', '0000-00-00 00:00:00');
    INSERT INTO AdditionalParameters VALUES (9001, 'Orphan', 'x', 'StringType');
    INSERT INTO TaskInputs VALUES (1, 888888, '/x');
    INSERT INTO TransformationFiles (TransformationID, FileID, Status, TaskID) VALUES
      (3000, 1, 'Assigned-inherited', 2147483647), (3000, 2, 'Processed', 1000007), (3000, 3, NULL, NULL),
      (3000, 4, 'Assigned', 12);
    UPDATE TransformationFiles SET LastUpdate = '0000-00-00 00:00:00' WHERE TransformationID = 3000 AND FileID = 1;
    """
)


def build(mariadb, files=1000, dirt=DIRT):
    """Make a database of the reference's shape; return its name."""
    name = mariadb.create_database()
    mariadb.sql(f"ALTER DATABASE {name} CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci")
    mariadb.sql(SCHEMA + rows(files) + TRIGGER + dirt, name)
    return name
