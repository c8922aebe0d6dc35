"""A database as version 1 of the schema left it."""

from jsonrpc_tm.domain.recount import recount

OLD_ROWS = (
    "INSERT INTO SchemaVersions (Owner, Version, AppliedAt) VALUES ('jsonrpc_tm', 1, '2024-10-15 12:00:00')",
    "INSERT INTO Transformations (TransformationID, TransformationName, Author, AuthorGroup) VALUES"
    " (1, 'a', 'a', 'g'), (2, 'b', 'a', 'g')",
    "INSERT INTO DataFiles (FileID, LFN) VALUES (1, '/a'), (2, '/b'), (3, '/c')",
    "INSERT INTO TransformationFiles (TransformationID, FileID, Status, LastUpdate, InsertedTime) VALUES"
    " (1, 1, 'Unused', '2024-10-15 12:00:00', '2024-10-15 12:00:00'),"
    " (1, 2, 'Unused', '2024-10-15 12:00:00', '2024-10-15 12:00:00'),"
    " (2, 3, 'Processed', '2024-10-15 12:00:00', '2024-10-15 12:00:00')",
    "INSERT INTO TransformationTasks (TransformationID, TaskID, ExternalStatus, CreationTime, LastUpdateTime) VALUES"
    " (2, 1, 'Done', '2024-10-15 12:00:00', '2024-10-15 12:00:00')",
)


async def assert_counted(storage):
    """Look whether the counters are those of the rows, and history begins with them."""
    assert [row async for row in recount(storage)] == []

    async def read(tx):
        columns = "TransformationID AS trans, Kind, Status, N"
        return [
            [tuple(row.values()) for row in await tx.fetch_all(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3")]
            for table in ("StatusCounts", "StatusHistory")
        ]

    counts, history = await storage.run("counts", read)
    assert counts == history == [(1, "file", "Unused", 2), (2, "file", "Processed", 1), (2, "task", "Done", 1)]
