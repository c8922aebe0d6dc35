-- What programs need that work beside each other: counters, the log of events, leases, attributes.

ALTER TABLE TransformationTasks ADD COLUMN Lease INTEGER;
CREATE INDEX TransformationTasks_Lease ON TransformationTasks (TransformationID, Lease, TaskID)
    WHERE ExternalStatus = 'Reserved' AND Lease IS NOT NULL;

-- Changes of the numbers of files and tasks by status. A writer adds to a row of its own (Bucket), so that nobody waits;
-- they are folded into StatusCounts and StatusHistory later. A total is the sum over StatusCounts and StatusDeltas.
CREATE TABLE StatusDeltas (
    TransformationID INTEGER NOT NULL,
    Kind TEXT NOT NULL,
    Status TEXT NOT NULL,
    Minute INTEGER NOT NULL,
    Bucket INTEGER NOT NULL,
    N INTEGER NOT NULL,
    PRIMARY KEY (TransformationID, Kind, Status, Minute, Bucket)
) STRICT, WITHOUT ROWID;
CREATE INDEX StatusDeltas_Minute ON StatusDeltas (Minute);

CREATE TABLE StatusCounts (
    TransformationID INTEGER NOT NULL,
    Kind TEXT NOT NULL,
    Status TEXT NOT NULL,
    N INTEGER NOT NULL,
    PRIMARY KEY (TransformationID, Kind, Status)
) STRICT, WITHOUT ROWID;

-- Changes by minute; older ones are together, Grain minutes of them in the last one.
CREATE TABLE StatusHistory (
    TransformationID INTEGER NOT NULL,
    Kind TEXT NOT NULL,
    Status TEXT NOT NULL,
    Minute INTEGER NOT NULL,
    Grain INTEGER NOT NULL DEFAULT 1,
    N INTEGER NOT NULL,
    PRIMARY KEY (TransformationID, Kind, Status, Minute, Grain)
) STRICT, WITHOUT ROWID;
CREATE INDEX StatusHistory_Grain ON StatusHistory (Grain, Minute);

-- What was committed, in the order of its revisions: one writer commits after the other, so they are dense.
CREATE TABLE Events (
    Revision INTEGER PRIMARY KEY AUTOINCREMENT,
    Time TEXT NOT NULL,
    Type TEXT NOT NULL,
    TransformationID INTEGER,
    Data TEXT NOT NULL,
    Author TEXT NOT NULL,
    RequestID TEXT NOT NULL
) STRICT;

-- What changes whenever something changes that processes keep ready for use. Name says what; there are several rows, so
-- that writers need not wait for each other.
CREATE TABLE Versions (
    Name TEXT NOT NULL,
    Bucket INTEGER NOT NULL,
    Turn INTEGER NOT NULL,
    PRIMARY KEY (Name, Bucket)
) STRICT, WITHOUT ROWID;

-- A claim of tasks; its number is the fence.
CREATE TABLE Leases (
    Lease INTEGER PRIMARY KEY AUTOINCREMENT,
    TransformationID INTEGER NOT NULL REFERENCES Transformations,
    LeaseUntil TEXT NOT NULL,
    Deadline TEXT
) STRICT;
CREATE INDEX Leases_Transformation ON Leases (TransformationID, LeaseUntil);
CREATE INDEX Leases_Until ON Leases (LeaseUntil);

-- What changes under a key gave, so that the same call again gets it instead of a second effect.
CREATE TABLE CallKeys (
    Name TEXT PRIMARY KEY,
    CallDigest TEXT NOT NULL,
    CreatedAt TEXT NOT NULL,
    Attempt TEXT NOT NULL,
    Result TEXT
) STRICT;
CREATE INDEX CallKeys_CreatedAt ON CallKeys (CreatedAt);

-- Changes of many objects, and which objects: Former and Later are what an operation found and left, to be undone.
CREATE TABLE BulkOperations (
    BulkID INTEGER PRIMARY KEY AUTOINCREMENT,
    What TEXT NOT NULL,
    Action TEXT NOT NULL,
    Arguments TEXT NOT NULL,
    Conditions TEXT,
    State TEXT NOT NULL,
    Total INTEGER NOT NULL DEFAULT 0,
    Done INTEGER NOT NULL DEFAULT 0,
    Skipped INTEGER NOT NULL DEFAULT 0,
    Refused TEXT NOT NULL DEFAULT '{}',
    Position INTEGER NOT NULL DEFAULT 0,
    Author TEXT NOT NULL,
    AuthorGroup TEXT,
    AuthorDN TEXT,
    AuthorProperties TEXT NOT NULL,
    RequestID TEXT NOT NULL,
    Started TEXT NOT NULL,
    Finished TEXT
) STRICT;
CREATE INDEX BulkOperations_State ON BulkOperations (State, BulkID);
CREATE INDEX BulkOperations_Finished ON BulkOperations (Finished);

CREATE TABLE BulkItems (
    BulkID INTEGER NOT NULL REFERENCES BulkOperations,
    Position INTEGER NOT NULL,
    TransformationID INTEGER NOT NULL,
    ObjectID INTEGER NOT NULL,
    Outcome TEXT,
    Former TEXT,
    Later TEXT,
    PRIMARY KEY (BulkID, Position)
) STRICT, WITHOUT ROWID;

-- Attributes of files (ObjectID is the FileID) and tasks; those of transformations are AdditionalParameters.
CREATE TABLE ObjectAttributes (
    TransformationID INTEGER NOT NULL REFERENCES Transformations,
    Kind TEXT NOT NULL,
    ObjectID INTEGER NOT NULL,
    Name TEXT NOT NULL,
    Value TEXT NOT NULL,
    PRIMARY KEY (TransformationID, Kind, ObjectID, Name)
) STRICT, WITHOUT ROWID;

INSERT INTO StatusCounts (TransformationID, Kind, Status, N)
    SELECT TransformationID, 'file', Status, COUNT(*) FROM TransformationFiles GROUP BY TransformationID, Status;
INSERT INTO StatusCounts (TransformationID, Kind, Status, N)
    SELECT TransformationID, 'task', ExternalStatus, COUNT(*) FROM TransformationTasks
    GROUP BY TransformationID, ExternalStatus;
INSERT INTO StatusHistory (TransformationID, Kind, Status, Minute, N)
    SELECT TransformationID, Kind, Status, CAST(strftime('%s', 'now') AS INTEGER) / 60, N FROM StatusCounts;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('TransformationTasks', 'TransformationTasks_Lease', '2000000 10000 100 1'),
    ('StatusDeltas', 'StatusDeltas', '100000 20 10 4 2 1'),
    ('StatusDeltas', 'StatusDeltas_Minute', '100000 10000'),
    ('StatusCounts', 'StatusCounts', '100000 10 5 1'),
    ('StatusHistory', 'StatusHistory', '10000000 1000 500 100 1 1'),
    ('StatusHistory', 'StatusHistory_Grain', '10000000 2000000 1000'),
    ('Events', NULL, '10000000'),
    ('Versions', 'Versions', '16 16 1'),
    ('Leases', 'Leases_Transformation', '100000 100 1'),
    ('Leases', 'Leases_Until', '100000 1'),
    ('CallKeys', 'sqlite_autoindex_CallKeys_1', '10000000 1'),
    ('CallKeys', 'CallKeys_CreatedAt', '10000000 100'),
    ('BulkOperations', 'BulkOperations_State', '10000 2500 1'),
    ('BulkOperations', 'BulkOperations_Finished', '10000 1'),
    ('BulkItems', 'BulkItems', '10000000 1000 1'),
    ('ObjectAttributes', 'ObjectAttributes', '20000000 10000 5000 2 1');
ANALYZE sqlite_schema;
