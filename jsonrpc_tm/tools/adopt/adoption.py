"""The adoption as a whole."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ...core.errors import ConfigurationError
from ...storage.mysql import MySQLStorage
from . import shadow
from .copying import Copying, Result
from .database import Database, connected
from .survey import Survey, survey
from .tables import TABLES, Adopted

CHUNK = 5000
"""Rows a transaction."""


@dataclass
class AdoptionReport:
    """What was found, and what was done.

    :param results: by table; empty when nothing was done.
    """

    survey: Survey
    results: dict[str, Result] = field(default_factory=dict)


async def examine(storage: MySQLStorage) -> Survey:
    """Return what adopting would have to deal with; nothing is changed."""
    async with connected(storage) as database:
        return await survey(database)


async def adopt(
    storage: MySQLStorage,
    *,
    chunk: int = CHUNK,
    restart: bool = False,
    started: Callable[[Survey], None] = lambda _: None,
    advance: Callable[[str, Adopted, int], None] = lambda *_: None,
) -> AdoptionReport:
    """Take over the database; begin where an interrupted adoption ended.

    :param chunk: rows a transaction.
    :param restart: begin from the start.
    :param started: called with the survey before anything is done.
    :param advance: called with ``copy`` or ``compare``, the table, and the number of its rows just done.
    :raises ConfigurationError: something has to be mended first, or the database changed meanwhile.
    """
    async with connected(storage) as database:
        if restart and "SchemaVersions" not in await database.tables():
            await shadow.discard(database)
        found = await survey(database)
        started(found)
        if found.blocked:
            first = next(finding for finding in found.findings if finding.blocking)
            raise ConfigurationError(
                f"the database cannot be adopted as it is: {first.text} {', '.join(first.examples)}"
            )
        await shadow.create(database, found)
        return await _work(database, found, chunk, advance)


async def _work(
    database: Database, found: Survey, chunk: int, advance: Callable[[str, Adopted, int], None]
) -> AdoptionReport:
    report = AdoptionReport(found)
    tables = [table for table in TABLES if table.name in found.sources]
    copying = Copying(database, found, chunk, lambda table, rows: advance("copy", table, rows))
    for table in tables:
        if table.parents:
            await shadow.aside(database.tx, table)
        await copying.copy(table)
    copying.advance = lambda table, rows: advance("compare", table, rows)
    for table in tables:
        report.results[table.name] = await copying.compare(table)
    await shadow.count_tasks(database.tx)
    await shadow.swap(database, found)
    for table in tables:
        if table.parents and not report.results[table.name].aside:
            await database.tx.execute(f"DROP TABLE {table.aside}")
    return report


async def drop_old(storage: MySQLStorage) -> list[str]:
    """Drop the tables that an adoption replaced; return their names."""
    async with connected(storage) as database:
        if "SchemaVersions" not in await database.tables():
            raise ConfigurationError("the database has not been adopted")
        return await shadow.drop_old(database)
