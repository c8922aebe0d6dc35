"""The catalogs of the project keep the catalogs' contract."""

import pytest

from jsonrpc_tm.catalog import feed
from jsonrpc_tm.catalog.builtin import BuiltinCatalog
from jsonrpc_tm.catalog.guard import GuardedCatalog
from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.tools.testing.catalog_contract import CONTENT, CatalogContract


async def fed(storage):
    async def body(tx):
        # types that are declared later: so a value that cannot be read as its field's type is possible
        await feed.add_files(tx, CONTENT["files"])
        await feed.add_fields(tx, CONTENT["fields"])
        for path, metadata in CONTENT["directories"].items():
            await feed.set_metadata(tx, path, metadata)

    await storage.run("feed", body)
    return GuardedCatalog(BuiltinCatalog(storage))


class TestBuiltinOnSQLite(CatalogContract):
    @pytest.fixture
    async def catalog(self):
        async with SqliteStorage(None) as storage:
            yield await fed(storage)


@pytest.mark.mariadb
class TestBuiltinOnMariaDB(CatalogContract):
    @pytest.fixture
    async def catalog(self, mysql_url):
        async with MySQLProvider().open(mysql_url, migrate=True, migrations=(), options={}) as storage:
            yield await fed(storage)


class TestDict(CatalogContract):
    @pytest.fixture
    async def catalog(self):
        return DictCatalog(CONTENT)
