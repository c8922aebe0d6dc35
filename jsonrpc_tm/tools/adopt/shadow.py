"""The new tables, made beside the old ones and put in their place in one step."""

import re

from ...domain.counters import KINDS
from ...storage import migrate
from ...storage.base import Transaction
from .database import NEW, OLD, ORPHANED, TRIGGER, Database
from .definitions import parse
from .found import Survey
from .survey import PROGRESS
from .tables import Adopted

NUMBERED = f"{NEW}Numbered"
"""The old log, with numbers, where it had none."""


async def create(database: Database, found: Survey) -> None:
    """Make the tables that are not there yet, with what extensions added."""
    tx, present = database.tx, await database.tables()
    await tx.execute(
        f"CREATE TABLE IF NOT EXISTS {PROGRESS} (Step VARCHAR(64) NOT NULL PRIMARY KEY, LastKey VARCHAR(255),"
        " Copied BIGINT NOT NULL DEFAULT 0, Aside BIGINT NOT NULL DEFAULT 0, Done TINYINT NOT NULL DEFAULT 0)"
        " ENGINE=InnoDB"
    )
    for statement in migrate.full_schema(tx.dialect).statements:
        if not (match := re.match(r"CREATE TABLE (\w+) \(", statement)) or NEW + match[1] in present:
            continue
        made = parse(statement).statement(NEW, match[1])
        if plan := found.plans.get(match[1]):
            number = await database.next_identifier(found.sources[match[1]])
            # it goes on counting where the old table ended
            made = f"{plan.definition.statement(NEW, match[1])} AUTO_INCREMENT={number}"
        # literals of others may look like parameters
        await database.session.query(made)
    if found.lacks("TransformationLog", "recid") and NUMBERED not in present:
        await tx.execute(
            f"CREATE TABLE {NUMBERED} (recid BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB"
            " AS SELECT * FROM TransformationLog WHERE 1 = 0"
        )


async def number(database: Database, found: Survey) -> None:
    """Number the lines of a log that has no numbers, by their time: the order on disk is not that of time.

    It has no key to cut chunks by, and lines may be wholly alike: so it is one transaction, of all or nothing.
    """
    step = {"step": "number TransformationLog"}
    sql = f"SELECT COUNT(*) FROM {PROGRESS} WHERE Step = :step"
    if not found.lacks("TransformationLog", "recid") or await database.tx.fetch_value(sql, step):
        return
    names = ", ".join(f"`{column.name}`" for column in found.own("TransformationLog").values())
    async with database.transaction() as tx:
        await tx.execute(f"INSERT INTO {NUMBERED} ({names}) SELECT {names} FROM TransformationLog ORDER BY MessageDate")
        await tx.execute(f"INSERT INTO {PROGRESS} (Step, Done) VALUES (:step, 1)", step)


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


async def count_statuses(tx: Transaction) -> None:
    """Fill the counters of files and tasks; their history begins now."""
    for table in ("StatusCounts", "StatusHistory"):
        await tx.execute(f"DELETE FROM {NEW}{table}")
    for rows, (kind, status) in KINDS.items():
        await tx.execute(
            f"INSERT INTO {NEW}StatusCounts (TransformationID, Kind, Status, N)"
            f" SELECT TransformationID, '{kind}', {status}, COUNT(*) FROM {NEW}{rows}"
            f" GROUP BY TransformationID, {status}"
        )
    await tx.execute(
        f"INSERT INTO {NEW}StatusHistory (TransformationID, Kind, Status, Minute, N)"
        f" SELECT TransformationID, Kind, Status, UNIX_TIMESTAMP() DIV 60, N FROM {NEW}StatusCounts"
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
    kept = sorted(name for name in present if name.startswith(NEW) and name not in (PROGRESS, NUMBERED))
    names = [name.removeprefix(NEW) for name in kept]
    renames = [f"`{source}` TO `{OLD}{source}`" for source in sorted(found.sources.values())]
    renames += [f"`{NEW}{name}` TO `{name}`" for name in names]
    await tx.execute(f"RENAME TABLE {', '.join(renames)}")
    await tx.execute(f"DROP TABLE IF EXISTS {PROGRESS}, {NUMBERED}")


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
