"""Looks at a database before anything is done to it: is it the reference's, and what is wrong with its rows?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core import model, statuses
from ...storage.base import Row
from .database import NEW, OLD, OLD_QUERIES, ORPHANED, TRIGGER, Database, SourceColumn
from .tables import TABLES, Adopted, owned, owners
from .values import Unreadable, asked, parameter

EXAMPLES = 5
"""How many rows of each kind are shown."""
QUERIES = "TransformationMetaQueries"
CUT_TASK_ID = 2**31 - 1
"""What 32 bits make of a larger inherited task id."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the operator should know.

    :param code: a word for it.
    :param text: one sentence: what it is, and what becomes of it.
    :param examples: some of the rows.
    :param blocking: nothing is done until it is mended.
    """

    code: str
    text: str
    examples: tuple[str, ...] = ()
    blocking: bool = False


@dataclass
class Survey:
    """What was found.

    :param sources: the table that each adopted table is read from; those that the database lacks are left out.
    :param columns: the source's columns by adopted table, by the name that they get.
    :param rows: number of rows by adopted table.
    :param renamed: new names of transformations by id.
    :param strangers: foreign keys of other tables that lead to adopted ones.
    """

    sources: dict[str, str] = field(default_factory=dict)
    columns: dict[str, dict[str, SourceColumn]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    renamed: dict[int, str] = field(default_factory=dict)
    strangers: list[dict[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def blocked(self) -> bool:
        """Whether something has to be mended first."""
        return any(finding.blocking for finding in self.findings)

    def note(self, code: str, text: str, examples: Iterable[Any] = (), *, blocking: bool = False) -> None:
        """Add a finding."""
        self.findings.append(Finding(code, text, tuple(map(str, examples)), blocking))


async def survey(database: Database) -> Survey:
    """Read the catalogue and look for what the reference's databases are known for. Nothing is changed."""
    found = Survey()
    present = await database.tables()
    await _tables(database, found, present)
    if found.blocked:
        return found
    for table in TABLES:
        if table.name in found.sources:
            source = found.sources[table.name]
            found.rows[table.name] = await database.tx.fetch_value(f"SELECT COUNT(*) FROM `{source}`")
    await _names(database, found)
    await _files(database, found)
    await _orphans(database, found)
    await _texts(database, found)
    await _surroundings(database, found, present)
    return found


async def _tables(database: Database, found: Survey, present: set[str]) -> None:
    if "SchemaVersions" in present:
        found.note("adopted", "The database is this program's already.", blocking=True)
        return
    for table in TABLES:
        source = OLD_QUERIES if table.name == QUERIES and QUERIES not in present else table.name
        if source in present:
            columns = await database.columns(source)
            if source == OLD_QUERIES:
                columns = {name.replace("Parameter", "MetaData"): column for name, column in columns.items()}
            found.sources[table.name], found.columns[table.name] = source, columns
            wanted = set(model.TABLES[table.name].columns) - {"QueryType", "AuthorDN"}
            missing = sorted(wanted - columns.keys())
            if missing:
                found.note("columns", f"{source} lacks columns that are needed.", missing, blocking=True)
        elif table.name in ("Transformations", "DataFiles", "TransformationFiles", "TransformationTasks"):
            found.note("tables", f"There is no table {table.name}: this is no TransformationDB.", blocking=True)
        else:
            found.note("tables", f"There is no table {table.name}; it will be empty.")


def _numbers(rows: Sequence[Row], column: str = "id") -> list[Any]:
    return [row[column] for row in rows[:EXAMPLES]]


async def _names(database: Database, found: Survey) -> None:
    tx = database.tx
    twice = await tx.fetch_all(
        "SELECT TransformationID AS id, TransformationName AS name FROM Transformations WHERE BINARY TransformationName"
        " IN (SELECT name FROM (SELECT BINARY TransformationName AS name FROM Transformations"
        " GROUP BY BINARY TransformationName HAVING COUNT(*) > 1) AS twice) ORDER BY TransformationID"
    )
    taken: set[str] = set()
    for row in twice:
        if row["name"] in taken:
            found.renamed[row["id"]] = await _free_name(database, row["name"], row["id"])
        taken.add(row["name"])
    if found.renamed:
        found.note(
            "duplicate-names",
            f"{len(found.renamed)} transformation(s) have a name that an older one has; names are unique from now on,"
            " so these are renamed.",
            [f"{number} becomes {name!r}" for number, name in found.renamed.items()][:EXAMPLES],
        )
    similar = await tx.fetch_all(
        "SELECT GROUP_CONCAT(TransformationID ORDER BY TransformationID) AS ids FROM Transformations"
        " GROUP BY TransformationName HAVING COUNT(DISTINCT BINARY TransformationName) > 1"
    )
    if similar:
        found.note(
            "similar-names",
            f"{len(similar)} group(s) of names differ only in case, accents or trailing spaces; they are different"
            " names from now on, and calls must give them exactly.",
            _numbers(similar, "ids"),
        )
    odd = await tx.fetch_all(
        "SELECT TransformationID AS id FROM Transformations WHERE TransformationName = ''"
        " OR (TransformationName REGEXP '^[0-9]+$') ORDER BY TransformationID"
    )
    if odd:
        found.note("odd-names", f"{len(odd)} name(s) are empty or look like an id; use the ids.", _numbers(odd))


async def _free_name(database: Database, name: str, number: int) -> str:
    """Return *name* with the id added, such that nobody has it."""
    suffix = f"_{number}"
    candidate = name[: 255 - len(suffix)] + suffix
    sql = "SELECT 1 FROM Transformations WHERE TransformationName = :name"
    while await database.tx.fetch_value(sql, {"name": candidate}) is not None:
        suffix = f"_{suffix}"
        candidate = name[: 255 - len(suffix)] + suffix
    return candidate


async def _files(database: Database, found: Survey) -> None:
    tx = database.tx
    twice = await tx.fetch_all(
        "SELECT MIN(LFN) AS lfn FROM DataFiles GROUP BY BINARY LFN HAVING COUNT(*) > 1 LIMIT 100"
        if not await _unique(database, "DataFiles", "LFN")
        else "SELECT LFN AS lfn FROM DataFiles WHERE 1 = 0"
    )
    if twice:
        found.note(
            "duplicate-files",
            "DataFiles has LFNs twice: decide which FileID is right, and repoint or delete the rows of the other.",
            _numbers(twice, "lfn"),
            blocking=True,
        )
    cut = await tx.fetch_value(f"SELECT COUNT(*) FROM TransformationFiles WHERE TaskID = {CUT_TASK_ID}")
    if cut:
        found.note("cut-task-ids", f"{cut} inherited task id(s) were cut to 32 bits ({CUT_TASK_ID}); they stay so.")


async def _unique(database: Database, table: str, column: str) -> bool:
    row = await database.tx.fetch_one(
        "SELECT 1 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :name"
        " AND NON_UNIQUE = 0 GROUP BY INDEX_NAME HAVING GROUP_CONCAT(COLUMN_NAME) = :column",
        {"name": table, "column": column},
    )
    return row is not None


async def _orphans(database: Database, found: Survey) -> None:
    for table in TABLES:
        if table.name not in found.sources:
            continue
        source = found.sources[table.name]
        for parent, columns in table.parents.items():
            if parent not in found.sources:
                continue
            one = Adopted(table.name, table.key, {parent: columns})
            count = await database.tx.fetch_value(
                f"SELECT COUNT(*) FROM `{source}` AS s{owners(one, 'LEFT JOIN', '')} WHERE NOT {owned(one)}"
            )
            if count:
                found.note(
                    "orphans",
                    f"{count} row(s) of {source} belong to no row of {parent}; they are kept, in {table.aside}.",
                )


async def _texts(database: Database, found: Survey) -> None:
    """Find what is not what it should be: values that cannot be read, bodies that an escaping fault changed."""
    unreadable = [
        f"{row['TransformationID']} {row['ParameterName']}"
        async for row in converted_rows(database, found, "AdditionalParameters")
        if not _readable(parameter, row["ParameterValue"], row["ParameterType"])
    ]
    if unreadable:
        found.note(
            "parameters",
            f"{len(unreadable)} additional parameter(s) are not of the type they say; they become texts.",
            unreadable[:EXAMPLES],
        )
    unreadable = [
        f"{row['TransformationID']} {row['MetaDataName']}"
        async for row in converted_rows(database, found, QUERIES)
        if not _readable(asked, row["MetaDataName"], row["MetaDataValue"], row["MetaDataType"])
    ]
    if unreadable:
        found.note(
            "queries",
            f"{len(unreadable)} condition(s) of meta queries cannot be read; they become conditions that no file"
            " fulfils, until the query is given anew.",
            unreadable[:EXAMPLES],
        )
    escaped = await database.tx.fetch_all(
        "SELECT TransformationID AS id FROM Transformations WHERE Body LIKE :quote OR Body LIKE :apostrophe"
        " OR Body LIKE :doubled ORDER BY TransformationID",
        {"quote": '%\\\\"%', "apostrophe": "%\\\\'%", "doubled": '%""%'},
    )
    if escaped:
        found.note(
            "bodies",
            f"{len(escaped)} bodies have doubled or escaped quotes, maybe from an escaping fault; they stay.",
            _numbers(escaped),
        )


def _readable(read: Any, *arguments: str) -> bool:
    try:
        read(*arguments)
    except Unreadable:
        return False
    return True


async def converted_rows(database: Database, found: Survey, table: str, chunk: int = 1000) -> Any:
    """Yield the rows of a table that goes through Python, by the names that their columns get."""
    if table not in found.sources:
        return
    names = ", ".join(f"{column.text} AS `{name}`" for name, column in found.columns[table].items())
    last = 0
    while True:
        ids = await database.tx.fetch_all(
            f"SELECT DISTINCT TransformationID AS id FROM `{found.sources[table]}` WHERE TransformationID > :last"
            " ORDER BY TransformationID LIMIT :chunk",
            {"last": last, "chunk": chunk},
        )
        if not ids:
            return
        sql = f"SELECT {names} FROM `{found.sources[table]}` AS s WHERE s.TransformationID BETWEEN :low AND :high"
        for row in await database.tx.fetch_all(sql, {"low": ids[0]["id"], "high": ids[-1]["id"]}):
            yield row
        last = ids[-1]["id"]


async def _surroundings(database: Database, found: Survey, present: set[str]) -> None:
    """Find what extensions added."""
    ours = {table.name: table for table in TABLES}
    for name, columns in found.columns.items():
        extra = sorted(columns.keys() - model.TABLES[name].columns.keys() - {"AuthorDN", "recid"})
        if extra:
            found.note("extra-columns", f"{name} has further columns; they are kept.", extra)
    known = {*ours, OLD_QUERIES}
    extra = sorted(name for name in present - known if not name.startswith((NEW, OLD, ORPHANED)))
    if extra:
        found.note("extra-tables", "The database has further tables; they are left as they are.", extra)
    for key in await database.foreign_keys():
        if key["parent"] in ours and key["child"] in extra:
            found.strangers.append(key)
    if found.strangers:
        found.note(
            "foreign-keys",
            "Foreign keys of further tables lead to adopted ones, whose ids become 64 bits wide; they are dropped.",
            [f"{key['child']}.{key['name']}" for key in found.strangers],
        )
    others = [trigger for trigger in await database.triggers() if trigger["name"] != TRIGGER]
    if others:
        found.note(
            "triggers",
            "Triggers stay with the old tables; make them anew where they are needed.",
            [f"{trigger['name']} on {trigger['owner']}" for trigger in others],
        )
    await _statuses(database, found)


async def _statuses(database: Database, found: Survey) -> None:
    known = {
        "TransformationFiles": {*statuses.FILE_STATES, "Removed", "Deleted", "NotProcessed", "Moved-inherited"},
        "TransformationTasks": {"Created", *statuses.TASK_STATES},
    }
    columns: Mapping[str, str] = {"TransformationFiles": "Status", "TransformationTasks": "ExternalStatus"}
    for table, column in columns.items():
        rows = await database.tx.fetch_all(f"SELECT DISTINCT {column} AS status FROM {table}")
        odd = sorted({row["status"] for row in rows if row["status"]} - known[table])
        if odd:
            found.note("statuses", f"{table} has statuses of extensions; they are kept.", odd)


def source_columns(found: Survey, table: Adopted) -> Mapping[str, SourceColumn]:
    """Return the source's columns that are taken over, by the name they get."""
    return {name: column for name, column in found.columns[table.name].items() if "GENERATED" not in column.extra}
