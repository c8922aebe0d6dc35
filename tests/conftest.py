"""Fixtures that other projects have too; no test fails because the machine is busy."""

from hypothesis import settings

pytest_plugins = ["jsonrpc_tm.tools.testing.plugin", "jsonrpc_tm.tools.testing.mariadb_fixtures"]

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
