from jsonrpc_tm.testing.mariadb_fixtures import mariadb, mysql_url

__all__ = ["mariadb", "mysql_url"]
