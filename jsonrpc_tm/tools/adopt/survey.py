"""Looks at a database before anything is done to it: is it the reference's, and can it be taken over?"""

import re
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from ...core import model
from ...storage import migrate
from .account import missing_rights
from .database import NEW, OLD, OLD_QUERIES, ORPHANED, TRIGGER, Database
from .definitions import Definition, parse, plan
from .found import Survey
from .rows import AuthorOf, look_at_rows
from .rules import QUERIES, fits
from .tables import DERIVED, TABLES

PROGRESS = f"{NEW}Progress"
NEEDED = ("Transformations", "DataFiles", "TransformationFiles", "TransformationTasks")
IGNORED = {OLD_QUERIES, "Replicas"}
"""Tables of the first releases, which nothing reads any more."""
ROOM = 3
"""Times the bytes of the old tables that the new ones take at most: texts and ids become wider, indexes more."""


async def survey(database: Database, author_of: AuthorOf = lambda _: None, *, everything: bool = False) -> Survey:
    """Read the catalogue and look for what the reference's databases are known for. Nothing is changed.

    :param author_of: returns the name of the user who has a DN.
    :param everything: of each kind note all rows, not only examples.
    """
    found = Survey(everything)
    if await _look_at_tables(database, found):
        await look_at_rows(database, found, author_of)
    if database.warnings:
        found.note("warnings", "The database warns of what it was asked:", database.warnings, whole=True)
    return found


async def _look_at_tables(database: Database, found: Survey) -> bool:
    """Look at account, tables, columns and types; return whether the rows can be looked at."""
    present = await database.tables()
    if "SchemaVersions" in present:
        found.note("adopted", "The database is this program's already.", blocking=True)
        return False
    triggers = await database.triggers()
    lacking = await missing_rights(database, trigger=any(each["name"] == TRIGGER for each in triggers))
    if lacking:
        text = "The account lacks rights on the database; an administrator gives them:"
        found.note("rights", text, lacking, blocking=True, whole=True)
    if any(" SELECT " in grant for grant in lacking) or not await _columns(database, found, present):
        return False
    if OLD_QUERIES in present and OLD_QUERIES not in found.sources.values():
        await _second_queries(database, found)
    schema = {
        match[1]: parse(statement)
        for statement in migrate.full_schema(database.tx.dialect).statements
        if (match := re.match(r"CREATE TABLE (\w+) \(", statement))
    }
    _names_taken(found, present, schema)
    await _definitions(database, found, schema)
    await _room(database, found)
    await _surroundings(database, found, present, triggers)
    return True


async def _columns(database: Database, found: Survey, present: set[str]) -> bool:
    """Look at tables, columns and types; return whether they are what rules exist for."""
    usable = True
    for table in TABLES:
        source = OLD_QUERIES if table.name == QUERIES and QUERIES not in present else table.name
        if source not in present:
            needed = table.name in NEEDED
            what = "this is no TransformationDB" if needed else "it will be empty"
            found.note("tables", f"There is no table {table.name}: {what}.", blocking=needed)
            usable = usable and not needed
            continue
        columns = await database.columns(source)
        if source == OLD_QUERIES:
            columns = {name.replace("Parameter", "MetaData"): column for name, column in columns.items()}
        found.sources[table.name], found.columns[table.name] = source, columns
        wanted = model.TABLES[table.name].columns.keys()
        missing = wanted - columns.keys() - DERIVED.get(table.name, set())
        if table.name == "Transformations" and not {"Author", "AuthorDN"} & columns.keys():
            missing.add("Author")
        if missing:
            found.note(
                "columns", f"{source} lacks columns that are needed:", sorted(missing), blocking=True, whole=True
            )
        odd = [
            f"{column.name} {column.type}"
            for name, column in columns.items()
            # a name with a colon looks like a parameter
            if (name in wanted and not fits(table, name, column)) or re.search("[:`]", name)
        ]
        if odd:
            text = f"{source} has columns of types or names that cannot be taken over:"
            found.note("types", text, odd, blocking=True, whole=True)
        usable = usable and not (missing or odd)
    return usable


async def _second_queries(database: Database, found: Survey) -> None:
    """Tell of the queries that stayed in the old table when the new one was made."""
    counts = f"SELECT COUNT(*) AS n, COUNT(DISTINCT TransformationID) AS t FROM {OLD_QUERIES}"
    row = await database.tx.fetch_one(counts)
    if row and row["n"]:
        found.note(
            "old-queries",
            f"{OLD_QUERIES} has {row['n']} row(s) of {row['t']} transformation(s), which stay there; those of {QUERIES}"
            " count.",
            await database.tx.fetch_column(
                f"SELECT DISTINCT TransformationID FROM {OLD_QUERIES} ORDER BY TransformationID{found.limit}"
            ),
        )


def _names_taken(found: Survey, present: set[str], schema: Mapping[str, Definition]) -> None:
    taken = present & ((schema.keys() - found.sources.keys()) | {OLD + source for source in found.sources.values()})
    if PROGRESS not in present:
        taken |= {name for name in present if name.startswith((NEW, ORPHANED))}
    if taken:
        text = "There are tables whose names are needed; rename or drop them:"
        found.note("names", text, sorted(taken), blocking=True, whole=True)


async def _definitions(database: Database, found: Survey, schema: Mapping[str, Definition]) -> None:
    lost = []
    for table in found.tables():
        text = await database.definition(found.sources[table.name])
        if found.sources[table.name] == OLD_QUERIES:
            text = text.replace("`Parameter", "`MetaData")
        old, columns = parse(text), found.columns[table.name]
        keys = {table.key, table.unique, *table.indexes}
        found.plans[table.name] = plan(table.name, old, columns, schema[table.name], keys)
        lost += found.plans[table.name].lost
        kept_columns = found.plans[table.name].definition.columns.keys()
        extra = sorted((columns.keys() & kept_columns) - schema[table.name].columns.keys())
        if extra:
            found.note("extra-columns", f"{table.name} has further columns; they are kept.", extra, whole=True)
        kept = [key.text for key in found.plans[table.name].definition.keys if key not in schema[table.name].keys]
        if kept:
            found.note("extra-indexes", f"{table.name} has further indexes; they are kept.", kept, whole=True)
    if lost:
        text = "Definitions are not kept, or not as they were; see whether somebody relies on them:"
        found.note("definitions", text, lost, whole=True)


async def _room(database: Database, found: Survey) -> None:
    sizes = await database.sizes()
    found.room = sum(sizes.get(source, 0) for source in found.sources.values())
    folder, host = (await database.session.query("SELECT @@datadir, @@hostname"))[0]
    # how full the disk is can be seen from its own machine only
    if host == socket.gethostname() and Path(folder).is_dir():
        free = shutil.disk_usage(folder).free
        if free < ROOM * found.room:
            found.note(
                "room",
                f"The new tables may take {ROOM * found.room:,} bytes beside the old ones; {folder} has {free:,} left.",
                blocking=True,
            )


async def _surroundings(database: Database, found: Survey, present: set[str], triggers: list[dict[str, str]]) -> None:
    """Find what lies around the adopted tables."""
    sources = set(found.sources.values())
    extra = sorted(name for name in present - sources - IGNORED if not name.startswith((NEW, OLD, ORPHANED)))
    found.left = sorted(present & (IGNORED - sources)) + extra
    if extra:
        text = "The database has further tables; they are left as they are."
        found.note("extra-tables", text, extra, whole=True)
    found.strangers = [
        key for key in await database.foreign_keys() if key["parent"] in sources and key["child"] in found.left
    ]
    named = [f"{key['child']}.{key['name']}" for key in found.strangers if key["child"] in extra]
    if named:
        found.note(
            "foreign-keys",
            "Foreign keys of further tables lead to adopted ones, whose ids become 64 bits wide; they are dropped.",
            named,
            whole=True,
        )
    others = [trigger for trigger in triggers if trigger["name"] != TRIGGER]
    if others:
        found.note(
            "triggers",
            "Triggers stay with the old tables; make them anew where they are needed.",
            [f"{trigger['name']} on {trigger['owner']}" for trigger in others],
            whole=True,
        )
