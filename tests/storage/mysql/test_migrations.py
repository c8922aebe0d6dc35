"""Migrations on MariaDB: at once from two hosts, interrupted, incomplete, without the rights."""

import asyncio

import pytest

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.core.records import Migration
from jsonrpc_tm.storage import migrate
from jsonrpc_tm.storage.dialect import MYSQL

from ..version_1 import OLD_ROWS, assert_counted

pytestmark = pytest.mark.mariadb

PLUGIN = [
    Migration("notes", 1, {"mysql": ("CREATE TABLE Notes (A INT PRIMARY KEY) ENGINE=InnoDB",)}),
    Migration("notes", 2, {"mysql": ("ALTER TABLE Notes ADD COLUMN B INT", "CREATE INDEX N ON Notes (B)")}),
]
RUNNING = "UPDATE TransformationTasks SET ExternalStatus = 'Running'"


async def test_two_hosts_at_once(open_mysql):
    storages = [open_mysql(migrations=PLUGIN) for _ in range(4)]
    done = await asyncio.gather(*(storage.upgrade() for storage in storages))
    assert sorted(map(len, done)) == [0, 0, 0, 3]
    schema = await storages[0].schema()
    assert schema.present == {"jsonrpc_tm": migrate.core_steps(MYSQL)[-1].version, "notes": 2}
    assert (schema.pending, schema.differences) == ([], [])


async def test_the_full_schema_is_what_all_steps_make(open_mysql, mariadb):
    storage = open_mysql()
    await storage.upgrade()
    other = mariadb.create_database()
    for step in migrate.core_steps(MYSQL):
        mariadb.sql(";".join(step.statements), other)
    steps = await open_mysql(mariadb.url(other)).schema()
    assert list(steps.dump) == list((await storage.schema()).dump)
    mariadb.drop_database(other)


@pytest.mark.parametrize("done", [1, 2, 9])
async def test_an_interrupted_upgrade_goes_on(open_mysql, mariadb, mysql_url, done):
    database = mysql_url.rpartition("/")[2]
    mariadb.sql(";".join(migrate.full_schema(MYSQL).statements[:done]), database)
    storage = open_mysql(migrate=False)
    with pytest.raises(ConfigurationError, match="db upgrade"):
        await storage.__aenter__()
    await storage.upgrade()
    assert (await storage.schema()).differences == []
    async with storage:
        await storage.ready()


@pytest.mark.parametrize("done", [0, 2, -1, None])
async def test_files_and_tasks_of_version_1_are_counted(open_mysql, mariadb, mysql_url, done):
    """Also where an earlier upgrade was interrupted, and the old program went on."""
    database = mysql_url.rpartition("/")[2]
    first, second, *_ = migrate.core_steps(MYSQL)
    mariadb.sql(";".join((*first.statements, *OLD_ROWS, RUNNING, *second.statements[:done])), database)
    mariadb.sql("UPDATE TransformationTasks SET ExternalStatus = 'Done'", database)
    await open_mysql(migrate=False).upgrade()
    async with open_mysql(migrate=False) as storage:
        await assert_counted(storage)


async def test_a_newer_database_is_refused(open_mysql):
    await open_mysql(migrations=PLUGIN).upgrade()
    with pytest.raises(ConfigurationError, match="newer"):
        await open_mysql(migrations=PLUGIN[:1]).__aenter__()


async def test_a_step_that_fails_says_why(open_mysql, mariadb, mysql_url):
    database = mysql_url.rpartition("/")[2]
    await open_mysql().upgrade()
    mariadb.sql(f"CREATE USER weak_{database}; GRANT SELECT, INSERT ON {database}.* TO weak_{database}")
    weak = open_mysql(mysql_url.replace("root@", f"weak_{database}@"), migrations=PLUGIN)
    with pytest.raises(ConfigurationError, match=r"migration 1 of notes cannot be applied.*CREATE command denied"):
        await weak.upgrade()
    assert await open_mysql(migrations=PLUGIN).upgrade() == ["notes 1", "notes 2"]
