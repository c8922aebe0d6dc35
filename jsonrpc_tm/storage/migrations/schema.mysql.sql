-- The reference service's tables (names, columns and keys), and the server's own after them. Indexes name the last
-- column of the key too, which both engines add in any case: MariaDB's planner counts only on what is named.

-- First: a database whose making was interrupted is known by it.
CREATE TABLE SchemaVersions (
    Owner VARCHAR(255) NOT NULL,
    Version BIGINT NOT NULL,
    AppliedAt DATETIME NOT NULL,
    PRIMARY KEY (Owner, Version)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE Transformations (
    TransformationID BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    TransformationName VARCHAR(255) NOT NULL,
    Description VARCHAR(255),
    LongDescription MEDIUMTEXT,
    CreationDate DATETIME,
    LastUpdate DATETIME,
    Author VARCHAR(255) NOT NULL,
    AuthorDN VARCHAR(255),
    AuthorGroup VARCHAR(255) NOT NULL,
    Type VARCHAR(32) NOT NULL DEFAULT 'Simulation',
    Plugin VARCHAR(32) NOT NULL DEFAULT 'None',
    AgentType VARCHAR(32) NOT NULL DEFAULT 'Manual',
    Status VARCHAR(32) NOT NULL DEFAULT 'New',
    FileMask VARCHAR(255),
    TransformationGroup VARCHAR(255) NOT NULL DEFAULT 'General',
    TransformationFamily VARCHAR(64) DEFAULT '0',
    GroupSize DOUBLE NOT NULL DEFAULT 1,
    InheritedFrom BIGINT NOT NULL DEFAULT 0,
    Body LONGTEXT,
    MaxNumberOfTasks BIGINT NOT NULL DEFAULT 0,
    EventsPerTask BIGINT NOT NULL DEFAULT 0,
    UNIQUE KEY Transformations_Name (TransformationName),
    KEY Transformations_Status (Status),
    KEY Transformations_Type (Type),
    KEY Transformations_Family (TransformationFamily)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE AdditionalParameters (
    TransformationID BIGINT NOT NULL,
    ParameterName VARCHAR(32) NOT NULL,
    ParameterValue LONGTEXT NOT NULL,
    ParameterType VARCHAR(32) NOT NULL DEFAULT 'JSON',
    PRIMARY KEY (TransformationID, ParameterName),
    CONSTRAINT AdditionalParameters_Transformation FOREIGN KEY (TransformationID)
        REFERENCES Transformations (TransformationID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE DataFiles (
    FileID BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    LFN VARCHAR(255) NOT NULL,
    Status VARCHAR(32) NOT NULL DEFAULT 'New',
    UNIQUE KEY DataFiles_LFN (LFN)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE TransformationFiles (
    TransformationID BIGINT NOT NULL,
    FileID BIGINT NOT NULL,
    Status VARCHAR(32) NOT NULL DEFAULT 'Unused',
    ErrorCount BIGINT NOT NULL DEFAULT 0,
    TaskID BIGINT,
    TargetSE VARCHAR(255) NOT NULL DEFAULT 'Unknown',
    UsedSE VARCHAR(255) NOT NULL DEFAULT 'Unknown',
    LastUpdate DATETIME,
    InsertedTime DATETIME,
    PRIMARY KEY (TransformationID, FileID),
    KEY TransformationFiles_File (FileID),
    KEY TransformationFiles_Status (TransformationID, Status, FileID),
    KEY TransformationFiles_Task (TransformationID, TaskID, FileID),
    CONSTRAINT TransformationFiles_Transformation FOREIGN KEY (TransformationID)
        REFERENCES Transformations (TransformationID),
    CONSTRAINT TransformationFiles_DataFile FOREIGN KEY (FileID) REFERENCES DataFiles (FileID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE TransformationTasks (
    TransformationID BIGINT NOT NULL,
    TaskID BIGINT NOT NULL,
    ExternalStatus VARCHAR(16) NOT NULL DEFAULT 'Created',
    ExternalID VARCHAR(16) NOT NULL DEFAULT '0',
    TargetSE VARCHAR(255) NOT NULL DEFAULT 'Unknown',
    CreationTime DATETIME NOT NULL,
    LastUpdateTime DATETIME NOT NULL,
    Lease BIGINT,
    PRIMARY KEY (TransformationID, TaskID),
    KEY TransformationTasks_Status (TransformationID, ExternalStatus, TaskID),
    KEY TransformationTasks_Lease (TransformationID, ExternalStatus, Lease, TaskID),
    CONSTRAINT TransformationTasks_Transformation FOREIGN KEY (TransformationID)
        REFERENCES Transformations (TransformationID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE TransformationFileTasks (
    TransformationID BIGINT NOT NULL,
    FileID BIGINT NOT NULL,
    TaskID BIGINT NOT NULL,
    PRIMARY KEY (TransformationID, FileID, TaskID),
    KEY TransformationFileTasks_Task (TransformationID, TaskID, FileID),
    CONSTRAINT TransformationFileTasks_File FOREIGN KEY (TransformationID, FileID)
        REFERENCES TransformationFiles (TransformationID, FileID),
    CONSTRAINT TransformationFileTasks_Task FOREIGN KEY (TransformationID, TaskID)
        REFERENCES TransformationTasks (TransformationID, TaskID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE TaskInputs (
    TransformationID BIGINT NOT NULL,
    TaskID BIGINT NOT NULL,
    InputVector LONGTEXT,
    PRIMARY KEY (TransformationID, TaskID),
    CONSTRAINT TaskInputs_Task FOREIGN KEY (TransformationID, TaskID)
        REFERENCES TransformationTasks (TransformationID, TaskID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE TransformationMetaQueries (
    TransformationID BIGINT NOT NULL,
    MetaDataName VARCHAR(255) NOT NULL,
    MetaDataValue MEDIUMTEXT NOT NULL,
    MetaDataType VARCHAR(8) NOT NULL,
    QueryType VARCHAR(8) NOT NULL DEFAULT 'Input',
    PRIMARY KEY (TransformationID, MetaDataName, QueryType),
    KEY TransformationMetaQueries_Type (QueryType, TransformationID),
    CONSTRAINT TransformationMetaQueries_Transformation FOREIGN KEY (TransformationID)
        REFERENCES Transformations (TransformationID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE TransformationLog (
    recid BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    TransformationID BIGINT NOT NULL,
    Message VARCHAR(255) NOT NULL,
    Author VARCHAR(255) NOT NULL DEFAULT 'Unknown',
    MessageDate DATETIME NOT NULL,
    KEY TransformationLog_Transformation (TransformationID),
    CONSTRAINT TransformationLog_Transformation FOREIGN KEY (TransformationID)
        REFERENCES Transformations (TransformationID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- The last task number given; it outlives the tasks, so that none is given twice.
CREATE TABLE TaskCounters (
    TransformationID BIGINT NOT NULL PRIMARY KEY,
    LastTaskID BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT TaskCounters_Transformation FOREIGN KEY (TransformationID)
        REFERENCES Transformations (TransformationID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Changes of the numbers of files and tasks by status. A writer adds to a row of its own (Bucket), so that nobody waits;
-- they are folded into StatusCounts and StatusHistory later. A total is the sum over StatusCounts and StatusDeltas.
CREATE TABLE StatusDeltas (
    TransformationID BIGINT NOT NULL,
    Kind VARCHAR(8) NOT NULL,
    Status VARCHAR(32) NOT NULL,
    Minute BIGINT NOT NULL,
    Bucket BIGINT NOT NULL,
    N BIGINT NOT NULL,
    PRIMARY KEY (TransformationID, Kind, Status, Minute, Bucket),
    KEY StatusDeltas_Minute (Minute)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE StatusCounts (
    TransformationID BIGINT NOT NULL,
    Kind VARCHAR(8) NOT NULL,
    Status VARCHAR(32) NOT NULL,
    N BIGINT NOT NULL,
    PRIMARY KEY (TransformationID, Kind, Status)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Changes by minute; older ones are together, Grain minutes of them in the last one.
CREATE TABLE StatusHistory (
    TransformationID BIGINT NOT NULL,
    Kind VARCHAR(8) NOT NULL,
    Status VARCHAR(32) NOT NULL,
    Minute BIGINT NOT NULL,
    Grain BIGINT NOT NULL DEFAULT 1,
    N BIGINT NOT NULL,
    PRIMARY KEY (TransformationID, Kind, Status, Minute, Grain),
    KEY StatusHistory_Grain (Grain, Minute)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- What was committed. Serials are given when a row is written, and a lower one may be committed later; revisions are
-- given after the commit, and are dense.
CREATE TABLE Events (
    Serial BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    Revision BIGINT,
    Time DATETIME NOT NULL,
    Type VARCHAR(255) NOT NULL,
    TransformationID BIGINT,
    Data LONGTEXT NOT NULL,
    Author VARCHAR(255) NOT NULL,
    RequestID VARCHAR(255) NOT NULL,
    UNIQUE KEY Events_Revision (Revision)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE EventHead (
    Name VARCHAR(8) NOT NULL PRIMARY KEY,
    Revision BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- What changes whenever something changes that processes keep ready for use. Name says what; there are several rows, so
-- that writers need not wait for each other.
CREATE TABLE Versions (
    Name VARCHAR(16) NOT NULL,
    Bucket BIGINT NOT NULL,
    Turn BIGINT NOT NULL,
    PRIMARY KEY (Name, Bucket)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- A claim of tasks; its number is the fence.
CREATE TABLE Leases (
    Lease BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    TransformationID BIGINT NOT NULL,
    LeaseUntil DATETIME NOT NULL,
    Deadline DATETIME,
    KEY Leases_Transformation (TransformationID, LeaseUntil),
    KEY Leases_Until (LeaseUntil),
    CONSTRAINT Leases_Transformation FOREIGN KEY (TransformationID)
        REFERENCES Transformations (TransformationID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- What changes under a key gave, so that the same call again gets it instead of a second effect. A row tells also,
-- like those of CommitMarkers, whether a transaction (Attempt) happened.
CREATE TABLE CallKeys (
    Name VARCHAR(32) NOT NULL PRIMARY KEY,
    CallDigest VARCHAR(32) NOT NULL,
    CreatedAt DATETIME NOT NULL,
    Attempt VARCHAR(32) NOT NULL,
    Result LONGTEXT,
    KEY CallKeys_CreatedAt (CreatedAt)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Changes of many objects, and which objects: Former and Later are what an operation found and left, to be undone.
CREATE TABLE BulkOperations (
    BulkID BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    What VARCHAR(16) NOT NULL,
    Action VARCHAR(16) NOT NULL,
    Arguments LONGTEXT NOT NULL,
    Conditions LONGTEXT,
    State VARCHAR(16) NOT NULL,
    Total BIGINT NOT NULL DEFAULT 0,
    Done BIGINT NOT NULL DEFAULT 0,
    Skipped BIGINT NOT NULL DEFAULT 0,
    Refused VARCHAR(255) NOT NULL DEFAULT '{}',
    Position BIGINT NOT NULL DEFAULT 0,
    Author VARCHAR(255) NOT NULL,
    AuthorGroup VARCHAR(255),
    AuthorDN VARCHAR(255),
    AuthorProperties TEXT NOT NULL,
    RequestID VARCHAR(255) NOT NULL,
    Started DATETIME NOT NULL,
    Finished DATETIME,
    KEY BulkOperations_State (State, BulkID),
    KEY BulkOperations_Finished (Finished)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE BulkItems (
    BulkID BIGINT NOT NULL,
    Position BIGINT NOT NULL,
    TransformationID BIGINT NOT NULL,
    ObjectID BIGINT NOT NULL,
    Outcome VARCHAR(8),
    Former LONGTEXT,
    Later LONGTEXT,
    PRIMARY KEY (BulkID, Position),
    CONSTRAINT BulkItems_Operation FOREIGN KEY (BulkID) REFERENCES BulkOperations (BulkID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Attributes of files (ObjectID is the FileID) and tasks; those of transformations are AdditionalParameters.
CREATE TABLE ObjectAttributes (
    TransformationID BIGINT NOT NULL,
    Kind VARCHAR(8) NOT NULL,
    ObjectID BIGINT NOT NULL,
    Name VARCHAR(255) NOT NULL,
    Value LONGTEXT NOT NULL,
    PRIMARY KEY (TransformationID, Kind, ObjectID, Name),
    CONSTRAINT ObjectAttributes_Transformation FOREIGN KEY (TransformationID)
        REFERENCES Transformations (TransformationID)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE CatalogFields (
    FieldName VARCHAR(255) NOT NULL PRIMARY KEY,
    FieldType VARCHAR(8) NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE CatalogDirectories (
    Path VARCHAR(255) NOT NULL PRIMARY KEY,
    Metadata LONGTEXT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE CatalogFiles (
    LFN VARCHAR(255) NOT NULL PRIMARY KEY,
    Directory VARCHAR(255) NOT NULL,
    Metadata LONGTEXT NOT NULL,
    KEY CatalogFiles_Directory (Directory, LFN)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- What transactions on several nodes of a cluster hold against each other (see storage.base.exclude_other_nodes).
CREATE TABLE ClusterClaims (
    Name VARCHAR(255) NOT NULL PRIMARY KEY,
    Turn BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- One row a transaction whose outcome its caller may have to look up; Abandoned: it did not happen and must not.
CREATE TABLE CommitMarkers (
    Marker CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    CreatedAt DATETIME NOT NULL,
    Abandoned TINYINT NOT NULL DEFAULT 0,
    KEY CommitMarkers_CreatedAt (CreatedAt)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
