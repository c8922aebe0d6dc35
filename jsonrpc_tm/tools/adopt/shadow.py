"""The new tables, made beside the old ones and put in their place in one step."""

import re

from ...storage import migrate
from ...storage.base import Transaction
from .database import NEW, OLD, ORPHANED, TRIGGER, Database, SourceColumn
from .survey import Survey, source_columns
from .tables import TABLES, Adopted

PROGRESS = f"{NEW}Progress"


async def create(database: Database, found: Survey) -> None:
    """Make the tables that are not there yet, with the columns that extensions added."""
    tx, present = database.tx, await database.tables()
    await tx.execute(
        f"CREATE TABLE IF NOT EXISTS {PROGRESS} (Step VARCHAR(64) NOT NULL PRIMARY KEY, LastKey VARCHAR(255),"
        " Copied BIGINT NOT NULL DEFAULT 0, Aside BIGINT NOT NULL DEFAULT 0, Done TINYINT NOT NULL DEFAULT 0)"
        " ENGINE=InnoDB"
    )
    for statement in migrate.full_schema(tx.dialect).statements:
        if (match := re.match(r"CREATE TABLE (\w+) \(", statement)) and NEW + match[1] not in present:
            made = re.sub(r"^CREATE TABLE ", f"CREATE TABLE {NEW}", statement)
            await tx.execute(re.sub(r"\bREFERENCES (\w+)", rf"REFERENCES {NEW}\1", made))
    for table in TABLES:
        if table.name in found.sources:
            await _extend(database, found, table)


async def _extend(database: Database, found: Survey, table: Adopted) -> None:
    """Add an extension's columns, widen those that it widened, and go on counting where the old table ended."""
    new = await database.columns(NEW + table.name)
    changes = []
    for name, column in source_columns(found, table).items():
        if name not in new:
            changes.append(f"ADD COLUMN `{name}` {_definition(database, column, column.type)}")
        elif column.length and (new[name].length or 0) < column.length:
            changes.append(f"MODIFY COLUMN `{name}` {_definition(database, new[name], f'varchar({column.length})')}")
    changes.append(f"AUTO_INCREMENT = {await database.next_identifier(found.sources[table.name])}")
    await database.tx.execute(f"ALTER TABLE {NEW}{table.name} {', '.join(changes)}")


def _definition(database: Database, column: SourceColumn, kind: str) -> str:
    parts = [kind]
    if column.length is not None:
        parts.append(f"CHARACTER SET utf8mb4 COLLATE {database.session.dialect.collation}")
    if column.nullable or column.default is None:
        # this program's INSERTs do not name an extension's columns
        parts.append("NULL")
    else:
        parts.append(f"NOT NULL DEFAULT {column.default}")
    return " ".join(parts)


async def aside(tx: Transaction, table: Adopted) -> None:
    """Make the table for rows whose owner is gone."""
    await tx.execute(f"CREATE TABLE IF NOT EXISTS {table.aside} LIKE {NEW}{table.name}")


async def count_tasks(tx: Transaction) -> None:
    """Note the highest task number each transformation has given, wherever it is still known.

    Inherited numbers (parent * 1,000,000 + task, see the specification's section on derivation) are another's.
    """
    await tx.execute(f"DELETE FROM {NEW}TaskCounters")
    await tx.execute(
        f"INSERT INTO {NEW}TaskCounters (TransformationID, LastTaskID)"
        " SELECT t.TransformationID, COALESCE(MAX(known.TaskID), 0)"
        f" FROM {NEW}Transformations AS t LEFT JOIN ("
        f" SELECT TransformationID, MAX(TaskID) AS TaskID FROM {NEW}TransformationTasks GROUP BY TransformationID"
        f" UNION ALL SELECT TransformationID, MAX(TaskID) FROM {NEW}TransformationFileTasks GROUP BY TransformationID"
        f" UNION ALL SELECT TransformationID, MAX(TaskID) FROM {NEW}TransformationFiles"
        "  WHERE TaskID < 1000000 AND Status NOT LIKE '%-%' GROUP BY TransformationID"
        ") AS known ON known.TransformationID = t.TransformationID GROUP BY t.TransformationID"
    )


async def swap(database: Database, found: Survey) -> None:
    """Put the new tables in the place of the old ones, which keep their rows under other names."""
    tx, present = database.tx, await database.tables()
    for key in found.strangers:
        await tx.execute(f"ALTER TABLE `{key['child']}` DROP FOREIGN KEY `{key['name']}`")
    if TRIGGER in {trigger["name"] for trigger in await database.triggers()}:
        await tx.execute(f"DROP TRIGGER {TRIGGER}")
    core = migrate.full_schema(tx.dialect)
    await tx.execute(f"DELETE FROM {NEW}SchemaVersions")
    await tx.execute(
        f"INSERT INTO {NEW}SchemaVersions (Owner, Version, AppliedAt) VALUES (:owner, :version, UTC_TIMESTAMP())",
        {"owner": core.owner, "version": core.version},
    )
    names = [name.removeprefix(NEW) for name in sorted(present) if name.startswith(NEW) and name != PROGRESS]
    renames = [f"`{source}` TO `{OLD}{source}`" for source in sorted(found.sources.values())]
    renames += [f"`{NEW}{name}` TO `{name}`" for name in names]
    await tx.execute(f"RENAME TABLE {', '.join(renames)}")
    await tx.execute(f"DROP TABLE {PROGRESS}")


async def discard(database: Database) -> None:
    """Drop what an unfinished adoption made; the old tables are not touched."""
    await _drop(database, (NEW, ORPHANED))


async def drop_old(database: Database) -> list[str]:
    """Drop the tables that were replaced; return their names."""
    return await _drop(database, (OLD, NEW))


async def _drop(database: Database, prefixes: tuple[str, ...]) -> list[str]:
    names = sorted(name for name in await database.tables() if name.startswith(prefixes))
    if names:
        await database.session.query("SET SESSION foreign_key_checks = 0")
        await database.tx.execute("DROP TABLE " + ", ".join(f"`{name}`" for name in names))
        await database.session.query("SET SESSION foreign_key_checks = 1")
    return names
