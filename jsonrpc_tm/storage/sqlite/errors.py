"""What SQLite's exceptions mean."""

import sqlite3

from ..circuit import Failure
from .threads import Interrupted

DAMAGED = "The database file is damaged"
_GONE = {
    sqlite3.SQLITE_FULL: "The disk of the database is full",
    sqlite3.SQLITE_READONLY: "The database cannot be written: it is read-only, or was moved",
    sqlite3.SQLITE_IOERR: "The database cannot be read or written",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: "The database file is damaged, or none of SQLite's",
    sqlite3.SQLITE_CANTOPEN: "The server may not open or make the database file, or lacks file handles",
    sqlite3.SQLITE_PERM: "The server may not open the database file",
    sqlite3.SQLITE_NOMEM: "The database ran out of memory",
    sqlite3.SQLITE_INTERRUPT: "The database took too long",
}


def classify(error: Exception) -> Failure | None:
    """Return what an exception of SQLite means; None for one that is a bug of ours."""
    if isinstance(error, Interrupted):
        return Failure("busy", "The database failed while it wrote for another call")
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Failure("busy", "The database is busy")
    return Failure("gone", _GONE[code]) if code in _GONE else None


def damaged(error: Exception) -> bool:
    """Whether SQLite found that the file is not what it wrote."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def findings(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite finds wrong with the whole file, at most 100 points; it reads all of it.

    :raises sqlite3.Error: it could not read to the end.
    """
    try:
        rows = [row[0] for row in connection.execute("PRAGMA quick_check(100)")]
    except sqlite3.DatabaseError as error:
        if not damaged(error):
            raise
        return [str(error)]
    return [] if rows == ["ok"] else [line for row in rows for line in str(row).splitlines()]
