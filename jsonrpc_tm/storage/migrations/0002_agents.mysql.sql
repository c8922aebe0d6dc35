-- What programs need that work beside each other: counters, the log of events, leases, attributes.

ALTER TABLE TransformationTasks ADD COLUMN Lease BIGINT AFTER LastUpdateTime;
ALTER TABLE TransformationTasks ADD KEY TransformationTasks_Lease (TransformationID, ExternalStatus, Lease, TaskID);

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

-- Each statement commits itself, and is done again where an upgrade was interrupted.
DELETE FROM StatusCounts;
INSERT INTO StatusCounts (TransformationID, Kind, Status, N)
    SELECT TransformationID, 'file', Status, COUNT(*) FROM TransformationFiles GROUP BY TransformationID, Status;
INSERT INTO StatusCounts (TransformationID, Kind, Status, N)
    SELECT TransformationID, 'task', ExternalStatus, COUNT(*) FROM TransformationTasks
    GROUP BY TransformationID, ExternalStatus;
DELETE FROM StatusHistory;
INSERT INTO StatusHistory (TransformationID, Kind, Status, Minute, N)
    SELECT TransformationID, Kind, Status, UNIX_TIMESTAMP() DIV 60, N FROM StatusCounts;
