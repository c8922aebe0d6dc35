"""The methods' fixtures: the domain is driven through them."""

from tests.methods.conftest import one_mysql_url, small, sqlite_tm, storage, tm, world

__all__ = ["one_mysql_url", "small", "sqlite_tm", "storage", "tm", "world"]
