"""Migrations: one step for a blank database, the same end by all steps, plugins, refusals, two at once."""

import asyncio
import sqlite3
import sys

import pytest

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.core.records import Migration
from jsonrpc_tm.storage import migrate
from jsonrpc_tm.storage.dialect import MYSQL, SQLITE
from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.tools.testing.storage_contract import add_transformation, count

from .version_1 import OLD_ROWS, assert_counted

V1 = Migration("shop", 1, {"sqlite": ("CREATE TABLE Shop (Id INTEGER PRIMARY KEY) STRICT",)})
V2 = Migration("shop", 2, {"sqlite": ("ALTER TABLE Shop ADD COLUMN Name TEXT", "INSERT INTO Shop (Id) VALUES (7)")})
BROKEN = Migration("shop", 2, {"sqlite": ("INSERT INTO Shop (Id) VALUES (8)", "DROP TABLE NoSuchTable")})


def made(statements):
    connection = sqlite3.connect(":memory:")
    for statement in statements:
        connection.execute(statement)
    return connection


def shape(statements):
    """Return the schema that statements make on a blank SQLite, whatever their layout."""
    connection = made(statements)
    found = {}
    for name, strict, without_rowid in connection.execute(
        "SELECT name, strict, wr FROM pragma_table_list WHERE schema = 'main' AND substr(name, 1, 7) <> 'sqlite_'"
    ).fetchall():
        indexes = sorted(
            (index, unique, tuple(row[2] for row in connection.execute(f"PRAGMA index_info({index})")))
            for _, index, unique, *_ in connection.execute(f"PRAGMA index_list({name})")
        )
        parts = [
            connection.execute(f"PRAGMA {what}({name})").fetchall() for what in ("table_xinfo", "foreign_key_list")
        ]
        found[name] = strict, without_rowid, indexes, parts
    connection.close()
    return found


def statistics(statements):
    connection = made(statements)
    found = connection.execute("SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY tbl, idx").fetchall()
    connection.close()
    return found


def test_the_full_schema_is_what_all_migrations_make():
    steps = migrate.core_steps(SQLITE)
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    by_steps = [statement for step in steps for statement in step.statements]
    assert shape(migrate.full_schema(SQLITE).statements) == shape(by_steps)
    assert statistics(migrate.full_schema(SQLITE).statements) == statistics(by_steps)


def test_the_planner_is_told_about_every_index():
    """An index that the statistics leave out would be taken for one of a small table."""
    schema = migrate.full_schema(SQLITE).statements
    told = {(table, index) for table, index, _ in statistics(schema)}
    for table, (_, _, indexes, _) in shape(schema).items():
        if table != "SchemaVersions":
            names = {
                (table, table if name.startswith("sqlite_") and (table, table) in told else name)
                for name, *_ in indexes
            }
            assert names <= told


def test_both_engines_have_the_same_tables_columns_and_versions():
    sqlite, mysql = (migrate.columns(migrate.full_schema(dialect).statements) for dialect in (SQLITE, MYSQL))
    assert mysql.pop("CommitMarkers")
    assert mysql.pop("ClusterClaims")
    assert mysql.pop("EventHead")
    mysql["Events"].remove("Serial")
    assert sqlite == mysql
    assert len(migrate.core_steps(SQLITE)) == len(migrate.core_steps(MYSQL))


async def test_columns_are_read_off_the_statements_rightly():
    async with SqliteStorage(None) as storage:

        async def body(tx):
            return await tx.fetch_all(tx.dialect.columns)

        found = {}
        for row in await storage.run("columns", body):
            found.setdefault(row["table_name"], set()).add(row["column_name"])
        found = {name: names for name, names in found.items() if not name.startswith("sqlite_")}
        assert found == migrate.columns(migrate.full_schema(SQLITE).statements)


def test_scripts_are_split_at_line_ends_only():
    assert migrate.split("-- a; b\nSELECT ';' ;\n\n  -- c\nSELECT\n 2;\n") == ("SELECT ';'", "SELECT\n 2")


async def test_files_and_tasks_of_version_1_are_counted(tmp_path):
    path = tmp_path / "tm.db"
    connection = sqlite3.connect(path)
    for statement in (*migrate.core_steps(SQLITE)[0].statements, *OLD_ROWS):
        connection.execute(statement)
    connection.commit()
    connection.close()
    storage = SqliteStorage(path)
    assert await storage.upgrade() == [f"jsonrpc_tm {step.version}" for step in migrate.core_steps(SQLITE)[1:]]
    async with storage:
        await assert_counted(storage)


async def test_plugins_bring_tables_and_later_versions(tmp_path):
    path = tmp_path / "tm.db"
    async with SqliteStorage(path, migrations=[V1]) as storage:
        assert (await storage.schema()).present["shop"] == 1
    async with SqliteStorage(path, migrations=[V2, V1]) as storage:
        assert await storage.run("count", count, "Shop") == 1
        assert (await storage.schema()).present == {"jsonrpc_tm": len(migrate.core_steps(SQLITE)), "shop": 2}
    async with SqliteStorage(path) as storage:  # without the plugin, its tables stay
        assert await storage.run("count", count, "Shop") == 1


async def test_a_failing_step_undoes_all_steps(tmp_path):
    path = tmp_path / "tm.db"
    await SqliteStorage(path, migrations=[V1]).upgrade()
    with pytest.raises(ConfigurationError, match="NoSuchTable"):
        await SqliteStorage(path, migrations=[V1, BROKEN]).upgrade()
    async with SqliteStorage(path, migrations=[V1]) as storage:
        assert await storage.run("count", count, "Shop") == 0
        assert (await storage.schema()).present["shop"] == 1


@pytest.mark.parametrize("migrations", [[V2], [V1, V1], [Migration("jsonrpc_tm", 1, {"sqlite": ()})]])
async def test_plugin_versions_count_from_one(tmp_path, migrations):
    with pytest.raises(ConfigurationError, match="numbered 1, 2, 3"):
        await SqliteStorage(tmp_path / "tm.db", migrations=migrations).upgrade()


async def test_a_plugin_without_this_engine_is_refused(tmp_path):
    only_mysql = Migration("shop", 1, {"mysql": ("CREATE TABLE Shop (Id BIGINT)",)})
    with pytest.raises(ConfigurationError, match="'shop' has no migration 1 for sqlite"):
        await SqliteStorage(tmp_path / "tm.db", migrations=[only_mysql]).upgrade()


async def test_a_newer_database_is_refused(tmp_path):
    path = tmp_path / "tm.db"
    await SqliteStorage(path, migrations=[V1, V2]).upgrade()
    for call in ("__aenter__", "upgrade", "schema"):
        with pytest.raises(ConfigurationError, match="newer than this program: shop is at version 2"):
            await getattr(SqliteStorage(path, migrations=[V1]), call)()


async def test_a_foreign_database_is_refused(tmp_path):
    path = tmp_path / "tm.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE Transformations (TransformationID INTEGER)")
    connection.close()
    with pytest.raises(ConfigurationError, match="db adopt"):
        await SqliteStorage(path).upgrade()


async def test_without_leave_to_migrate_the_server_says_what_to_do(tmp_path):
    path = tmp_path / "tm.db"
    with pytest.raises(ConfigurationError, match="db upgrade"):
        await SqliteStorage(path, migrate_on_open=False).__aenter__()
    assert not path.exists()
    with pytest.raises(ConfigurationError, match="db upgrade"):
        await SqliteStorage(path).schema()
    assert await SqliteStorage(path, migrations=[V1]).upgrade() == [
        f"jsonrpc_tm {len(migrate.core_steps(SQLITE))}",
        "shop 1",
    ]
    assert await SqliteStorage(path, migrations=[V1]).upgrade() == []
    with pytest.raises(ConfigurationError, match=r"lacks shop 2.*db upgrade"):
        await SqliteStorage(path, migrations=[V1, V2], migrate_on_open=False).__aenter__()
    schema = await SqliteStorage(path, migrations=[V1, V2]).schema()
    assert (schema.present["shop"], schema.wanted["shop"], list(schema.pending)) == (1, 2, ["shop 2"])
    async with SqliteStorage(path, migrations=[V1], migrate_on_open=False) as storage:
        await storage.run("add", add_transformation)


async def test_missing_tables_and_columns_are_found(tmp_path):
    path = tmp_path / "tm.db"
    await SqliteStorage(path).upgrade()
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE Transformations DROP COLUMN AuthorDN")
    connection.execute("DROP TABLE CatalogFields")
    connection.close()
    found = (await SqliteStorage(path).schema()).differences
    assert found == ["column Transformations.AuthorDN is missing", "table CatalogFields is missing"]


async def test_the_dump_makes_the_same_schema(tmp_path):
    path = tmp_path / "tm.db"
    await SqliteStorage(path).upgrade()
    dump = (await SqliteStorage(path).schema()).dump
    assert shape(dump) == shape(migrate.full_schema(SQLITE).statements)


async def test_processes_that_start_at_once_migrate_once(tmp_path):
    program = (
        "import asyncio, pathlib, sys\n"
        "from jsonrpc_tm.storage.sqlite import SqliteStorage\n"
        "print(len(asyncio.run(SqliteStorage(pathlib.Path(sys.argv[1])).upgrade())))\n"
    )
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(tmp_path / "tm.db"), stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    outputs = [await child.communicate() for child in children]
    assert sorted(int(output) for output, _ in outputs) == [0, 0, 0, 1]
