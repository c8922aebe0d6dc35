import pytest

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.tools.harness import empty

from .announced import CONTENT
from .driver import Driver
from .pages import fill
from .served import served


@pytest.fixture(scope="session")
def one_mysql_url(mariadb):
    """The storage URL of a database that all tests of this folder share, each after emptying it."""
    name = mariadb.create_database()
    yield mariadb.url(name)
    mariadb.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
async def storage(request):
    if request.param == "sqlite":
        async with SqliteStorage(None) as storage:
            yield storage
        return
    url = request.getfixturevalue("one_mysql_url")
    async with MySQLProvider().open(url, migrate=True, migrations=(), options={}) as storage:
        await empty(storage)
        yield storage


@pytest.fixture
async def tm(storage):
    driver = Driver(storage)
    async with driver.service:
        yield driver


@pytest.fixture
async def sqlite_tm():
    """For rules that have nothing to do with the engine."""
    async with SqliteStorage(None) as storage:
        driver = Driver(storage)
        async with driver.service:
            yield driver


@pytest.fixture
async def world(tm):
    """With a small file catalog."""
    tm.catalog.current = DictCatalog(CONTENT)
    return tm


@pytest.fixture
async def small(sqlite_tm):
    """The same for rules that have nothing to do with the engine."""
    sqlite_tm.catalog.current = DictCatalog(CONTENT)
    return sqlite_tm


@pytest.fixture
async def full(tm):
    """With transformations, files and tasks."""
    return await fill(tm)


@pytest.fixture
async def full_sqlite(sqlite_tm):
    """The same for rules that have nothing to do with the engine."""
    return await fill(sqlite_tm)


@pytest.fixture
async def wire(full):
    async with served(full) as tm:
        yield tm


@pytest.fixture
async def small_wire(full_sqlite):
    async with served(full_sqlite) as tm:
        yield tm
