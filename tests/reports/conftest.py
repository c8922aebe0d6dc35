"""The methods' fixtures, for reports about what calls mean."""

from tests.methods.conftest import full_sqlite, one_mysql_url, small, sqlite_tm, storage, tm, world

__all__ = ["full_sqlite", "one_mysql_url", "small", "sqlite_tm", "storage", "tm", "world"]
