-- The reference service's tables (names, columns and keys), and the server's own after them. Indexes name the last
-- column of the key too, which both engines add in any case: MariaDB's planner counts only on what is named.

CREATE TABLE Transformations (
    TransformationID INTEGER PRIMARY KEY AUTOINCREMENT,
    TransformationName TEXT NOT NULL UNIQUE,
    Description TEXT,
    LongDescription TEXT,
    CreationDate TEXT,
    LastUpdate TEXT,
    Author TEXT NOT NULL,
    AuthorDN TEXT,
    AuthorGroup TEXT NOT NULL,
    Type TEXT NOT NULL DEFAULT 'Simulation',
    Plugin TEXT NOT NULL DEFAULT 'None',
    AgentType TEXT NOT NULL DEFAULT 'Manual',
    Status TEXT NOT NULL DEFAULT 'New',
    FileMask TEXT,
    TransformationGroup TEXT NOT NULL DEFAULT 'General',
    TransformationFamily TEXT DEFAULT '0',
    GroupSize REAL NOT NULL DEFAULT 1,
    InheritedFrom INTEGER NOT NULL DEFAULT 0,
    Body TEXT,
    MaxNumberOfTasks INTEGER NOT NULL DEFAULT 0,
    EventsPerTask INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX Transformations_Status ON Transformations (Status);
CREATE INDEX Transformations_Type ON Transformations (Type);
CREATE INDEX Transformations_Family ON Transformations (TransformationFamily);

CREATE TABLE AdditionalParameters (
    TransformationID INTEGER NOT NULL REFERENCES Transformations,
    ParameterName TEXT NOT NULL,
    ParameterValue TEXT NOT NULL,
    ParameterType TEXT NOT NULL DEFAULT 'JSON',
    PRIMARY KEY (TransformationID, ParameterName)
) STRICT;

CREATE TABLE DataFiles (
    FileID INTEGER PRIMARY KEY AUTOINCREMENT,
    LFN TEXT NOT NULL UNIQUE,
    Status TEXT NOT NULL DEFAULT 'New'
) STRICT;

CREATE TABLE TransformationFiles (
    TransformationID INTEGER NOT NULL REFERENCES Transformations,
    FileID INTEGER NOT NULL REFERENCES DataFiles,
    Status TEXT NOT NULL DEFAULT 'Unused',
    ErrorCount INTEGER NOT NULL DEFAULT 0,
    TaskID INTEGER,
    TargetSE TEXT NOT NULL DEFAULT 'Unknown',
    UsedSE TEXT NOT NULL DEFAULT 'Unknown',
    LastUpdate TEXT,
    InsertedTime TEXT,
    PRIMARY KEY (TransformationID, FileID)
) STRICT, WITHOUT ROWID;
CREATE INDEX TransformationFiles_File ON TransformationFiles (FileID);
CREATE INDEX TransformationFiles_Status ON TransformationFiles (TransformationID, Status, FileID);
CREATE INDEX TransformationFiles_Task ON TransformationFiles (TransformationID, TaskID, FileID);

CREATE TABLE TransformationTasks (
    TransformationID INTEGER NOT NULL REFERENCES Transformations,
    TaskID INTEGER NOT NULL,
    ExternalStatus TEXT NOT NULL DEFAULT 'Created',
    ExternalID TEXT NOT NULL DEFAULT '0',
    TargetSE TEXT NOT NULL DEFAULT 'Unknown',
    CreationTime TEXT NOT NULL,
    LastUpdateTime TEXT NOT NULL,
    Lease INTEGER,
    PRIMARY KEY (TransformationID, TaskID)
) STRICT, WITHOUT ROWID;
CREATE INDEX TransformationTasks_Status ON TransformationTasks (TransformationID, ExternalStatus, TaskID);
CREATE INDEX TransformationTasks_Lease ON TransformationTasks (TransformationID, Lease, TaskID)
    WHERE ExternalStatus = 'Reserved' AND Lease IS NOT NULL;

CREATE TABLE TransformationFileTasks (
    TransformationID INTEGER NOT NULL,
    FileID INTEGER NOT NULL,
    TaskID INTEGER NOT NULL,
    PRIMARY KEY (TransformationID, FileID, TaskID),
    FOREIGN KEY (TransformationID, FileID) REFERENCES TransformationFiles,
    FOREIGN KEY (TransformationID, TaskID) REFERENCES TransformationTasks
) STRICT, WITHOUT ROWID;
CREATE INDEX TransformationFileTasks_Task ON TransformationFileTasks (TransformationID, TaskID, FileID);

CREATE TABLE TaskInputs (
    TransformationID INTEGER NOT NULL,
    TaskID INTEGER NOT NULL,
    InputVector TEXT,
    PRIMARY KEY (TransformationID, TaskID),
    FOREIGN KEY (TransformationID, TaskID) REFERENCES TransformationTasks
) STRICT;

CREATE TABLE TransformationMetaQueries (
    TransformationID INTEGER NOT NULL REFERENCES Transformations,
    MetaDataName TEXT NOT NULL,
    MetaDataValue TEXT NOT NULL,
    MetaDataType TEXT NOT NULL,
    QueryType TEXT NOT NULL DEFAULT 'Input',
    PRIMARY KEY (TransformationID, MetaDataName, QueryType)
) STRICT;
CREATE INDEX TransformationMetaQueries_Type ON TransformationMetaQueries (QueryType, TransformationID);

CREATE TABLE TransformationLog (
    recid INTEGER PRIMARY KEY AUTOINCREMENT,
    TransformationID INTEGER NOT NULL REFERENCES Transformations,
    Message TEXT NOT NULL,
    Author TEXT NOT NULL DEFAULT 'Unknown',
    MessageDate TEXT NOT NULL
) STRICT;
CREATE INDEX TransformationLog_Transformation ON TransformationLog (TransformationID);

-- The last task number given; it outlives the tasks, so that none is given twice.
CREATE TABLE TaskCounters (
    TransformationID INTEGER PRIMARY KEY REFERENCES Transformations,
    LastTaskID INTEGER NOT NULL DEFAULT 0
) STRICT;

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

CREATE TABLE CatalogFields (
    FieldName TEXT PRIMARY KEY,
    FieldType TEXT NOT NULL
) STRICT;

CREATE TABLE CatalogDirectories (
    Path TEXT PRIMARY KEY,
    Metadata TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE CatalogFiles (
    LFN TEXT PRIMARY KEY,
    Directory TEXT NOT NULL,
    Metadata TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX CatalogFiles_Directory ON CatalogFiles (Directory, LFN);

CREATE TABLE SchemaVersions (
    Owner TEXT NOT NULL,
    Version INTEGER NOT NULL,
    AppliedAt TEXT NOT NULL,
    PRIMARY KEY (Owner, Version)
) STRICT;

-- Statistics for the planner as if the tables were full, so that plans are right from the first row on and never
-- change: it takes a table without statistics for small. Nothing here runs ANALYZE later.
ANALYZE;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('Transformations', 'sqlite_autoindex_Transformations_1', '10000 1'),
    ('Transformations', 'Transformations_Status', '10000 1000'),
    ('Transformations', 'Transformations_Type', '10000 1000'),
    ('Transformations', 'Transformations_Family', '10000 1000'),
    ('AdditionalParameters', 'sqlite_autoindex_AdditionalParameters_1', '100000 10 1'),
    ('DataFiles', 'sqlite_autoindex_DataFiles_1', '10000000 1'),
    ('TransformationFiles', 'TransformationFiles', '20000000 100000 1'),
    ('TransformationFiles', 'TransformationFiles_File', '20000000 2'),
    ('TransformationFiles', 'TransformationFiles_Status', '20000000 100000 20000 1'),
    ('TransformationFiles', 'TransformationFiles_Task', '20000000 100000 10 1'),
    ('TransformationTasks', 'TransformationTasks', '2000000 10000 1'),
    ('TransformationTasks', 'TransformationTasks_Status', '2000000 10000 2000 1'),
    ('TransformationFileTasks', 'TransformationFileTasks', '20000000 100000 1 1'),
    ('TransformationFileTasks', 'TransformationFileTasks_Task', '20000000 100000 10 1'),
    ('TaskInputs', 'sqlite_autoindex_TaskInputs_1', '2000000 10000 1'),
    ('TransformationMetaQueries', 'sqlite_autoindex_TransformationMetaQueries_1', '20000 2 1 1'),
    ('TransformationMetaQueries', 'TransformationMetaQueries_Type', '20000 10000 2'),
    ('TransformationLog', 'TransformationLog_Transformation', '1000000 100'),
    ('TaskCounters', NULL, '10000'),
    ('CatalogFields', 'sqlite_autoindex_CatalogFields_1', '100 1'),
    ('CatalogDirectories', 'sqlite_autoindex_CatalogDirectories_1', '10000 1'),
    ('CatalogFiles', 'sqlite_autoindex_CatalogFiles_1', '10000000 1'),
    ('CatalogFiles', 'CatalogFiles_Directory', '10000000 1000 1'),
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
