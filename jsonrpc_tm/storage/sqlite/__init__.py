"""SQLite, the embedded default."""

from .storage import SqliteProvider, SqliteStorage, register_storage

__all__ = ["SqliteProvider", "SqliteStorage", "register_storage"]
