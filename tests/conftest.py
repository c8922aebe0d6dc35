"""Fixtures that other projects have too."""

pytest_plugins = ["jsonrpc_tm.testing.plugin", "jsonrpc_tm.testing.mariadb_fixtures"]
