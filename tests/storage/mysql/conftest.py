import pytest

from jsonrpc_tm.storage.mysql import MySQLProvider


@pytest.fixture
def open_mysql(mysql_url):
    """Return a function that opens a storage of the test's database; options are those below ``storage``."""

    def open_it(url=mysql_url, migrate=True, migrations=(), **options):
        return MySQLProvider().open(url, migrate=migrate, migrations=migrations, options=options)

    return open_it


@pytest.fixture
async def storage(open_mysql):
    async with open_mysql() as storage:
        yield storage


@pytest.fixture
async def alone(open_mysql):
    async with open_mysql(pool_size=1, timeout=1) as storage:
        yield storage
