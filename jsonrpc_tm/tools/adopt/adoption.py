"""The adoption as a whole."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ...core.errors import ConfigurationError
from ...storage.mysql import MySQLStorage
from . import shadow
from .copying import Copying, Result
from .database import Database, connected
from .found import Survey
from .rows import AuthorOf
from .survey import survey
from .tables import Adopted

CHUNK = 5000
"""Rows a transaction."""


@dataclass
class AdoptionReport:
    """What was found, and what was done.

    :param results: by table; empty when nothing was done.
    :param warnings: what the database warned of.
    """

    survey: Survey
    results: dict[str, Result] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


async def examine(storage: MySQLStorage, author_of: AuthorOf = lambda _: None, *, everything: bool = False) -> Survey:
    """Return what adopting would have to deal with; nothing is changed.

    :param author_of: returns the name of the user who has a DN, for rows without an author's name.
    :param everything: of each kind tell all rows, not only examples.
    :raises ConfigurationError: the database cannot be opened or read.
    """
    async with connected(storage) as database:
        return await survey(database, author_of, everything=everything)


async def adopt(
    storage: MySQLStorage,
    author_of: AuthorOf = lambda _: None,
    *,
    chunk: int = CHUNK,
    restart: bool = False,
    started: Callable[[Survey], None] = lambda _: None,
    advance: Callable[[str, Adopted, int], None] = lambda *_: None,
) -> AdoptionReport:
    """Take over the database; begin where an interrupted adoption ended.

    :param author_of: see `examine`; it must be the same when an interrupted adoption goes on.
    :param chunk: rows a transaction.
    :param restart: begin from the start.
    :param started: called with the survey before anything is done.
    :param advance: called with ``copy`` or ``compare``, the table, and the number of its rows just done.
    :raises ConfigurationError: something has to be mended first, or the database changed meanwhile.
    """
    async with connected(storage) as database:
        if restart and "SchemaVersions" not in await database.tables():
            await shadow.discard(database)
        found = await survey(database, author_of)
        started(found)
        if found.blocked:
            reasons = [f"{finding.text} {', '.join(finding.examples)}" for finding in found.blocking]
            raise ConfigurationError("the database cannot be adopted as it is: " + "\n".join(reasons))
        await shadow.create(database, found)
        return await _work(database, found, chunk, advance)


async def _work(
    database: Database, found: Survey, chunk: int, advance: Callable[[str, Adopted, int], None]
) -> AdoptionReport:
    report = AdoptionReport(found)
    tables = found.tables()
    await shadow.number(database, found)
    copying = Copying(database, found, chunk, lambda table, rows: advance("copy", table, rows))
    for table in tables:
        if table.parents:
            await shadow.aside(database.tx, table)
        await copying.copy(table)
    copying.advance = lambda table, rows: advance("compare", table, rows)
    for table in tables:
        report.results[table.name] = await copying.compare(table)
    await shadow.count_tasks(database.tx)
    await shadow.count_statuses(database.tx)
    await shadow.swap(database, found)
    for table in tables:
        if table.parents and not report.results[table.name].aside:
            await database.tx.execute(f"DROP TABLE {table.aside}")
    report.warnings = database.warnings
    return report


async def drop_old(storage: MySQLStorage) -> list[str]:
    """Drop the tables that an adoption replaced; return their names."""
    async with connected(storage) as database:
        if "SchemaVersions" not in await database.tables():
            raise ConfigurationError("the database has not been adopted")
        return await shadow.drop_old(database)
