"""Looks at the rows of a database that is to be adopted: what the copy would refuse or change, and what is odd."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ...core import statuses
from .database import Database
from .found import EXAMPLES, Survey
from .reading import Reading
from .rules import checks
from .tables import Adopted, lineage, owned, owners
from .values import broken

AuthorOf = Callable[[str], str | None]
CHUNK = 5000
DOUBTS = {
    "latin-1": "{n} text(s) of {table} are not UTF-8; they are read as Latin-1.",
    "task-numbers": "{n} TaskID(s) of {table} are no numbers; these files belong to no task from now on.",
    "parameters": "{n} additional parameter(s) are not of the type they say; they become texts.",
    "queries": "{n} condition(s) of meta queries cannot be read; they become conditions that no file fulfils, until the"
    " query is given anew.",
}
"""What is to be said of values that Python makes, by code."""


async def look_at_rows(database: Database, found: Survey, author_of: AuthorOf) -> None:
    """Add what the rows give rise to. Nothing is changed."""
    for table in found.tables():
        found.rows[table.name] = await database.tx.fetch_value(f"SELECT COUNT(*) FROM `{found.sources[table.name]}`")
        await _keys(database, found, table)
        await _checks(database, found, table)
        await _orphans(database, found, table)
    await _names(database, found)
    await _authors(database, found, author_of)
    await _bodies(database, found)
    await _statuses(database, found)
    if not found.blocked:
        for table in found.tables():
            await _made(database, found, table)


async def _keys(database: Database, found: Survey, table: Adopted) -> None:
    """Find rows that the new table's keys would refuse."""
    lacking = [column for column in (*table.unique, *table.key) if found.lacks(table.name, column)]
    wanted = [table.unique] if not lacking else []
    if table.name == "DataFiles":
        wanted.append(("LFN",))
    elif lacking == ["QueryType"]:
        wanted.append(table.unique[:-1])
    present = await database.unique_keys(found.sources[table.name])
    for key in wanted:
        if any(set(columns) <= {found.columns[table.name][name].name for name in key} for columns in present):
            continue
        names = [f"s.`{found.columns[table.name][name].name}`" for name in key]
        exact = [
            f"BINARY {name}" if found.columns[table.name][each].charset else name
            for name, each in zip(names, key, strict=True)
        ]
        members = "" if table.name != "DataFiles" else ", GROUP_CONCAT(s.FileID ORDER BY s.FileID SEPARATOR ' ')"
        rows = await database.session.query(
            f"SELECT {', '.join(f'MIN({name})' for name in names)}{members} FROM `{found.sources[table.name]}` AS s"
            f" GROUP BY {', '.join(exact)} HAVING COUNT(*) > 1{found.limit}"
        )
        if rows:
            lfn = key == ("LFN",)
            found.note(
                "duplicate-files" if lfn else "duplicate-keys",
                "DataFiles has LFNs twice: decide which FileID is right, and repoint or delete the rows of the other."
                if lfn
                else f"{found.sources[table.name]} has rows with the same {', '.join(key)}: delete all but one.",
                [f"{row[0]} (FileID {row[1]})" if lfn else " ".join(map(str, row)) for row in rows],
                blocking=True,
            )


async def _checks(database: Database, found: Survey, table: Adopted) -> None:
    """Count all that `checks` asks for, in one reading; then read the rows of what was found."""
    packet = int(database.session.variables["max_allowed_packet"])
    targets = found.plans[table.name].definition.columns
    asked = list(checks(table, found.columns[table.name], targets, packet))
    if not asked:
        return
    source = f"`{found.sources[table.name]}` AS s"
    sums = ", ".join(f"COALESCE(SUM({check.condition}), 0)" for check in asked)
    counts = (await database.session.query(f"SELECT {sums} FROM {source}"))[0]
    key = [column for column in table.unique if not found.lacks(table.name, column)] or ["TransformationID"]
    names = ", ".join(f"s.`{found.columns[table.name][column].name}`" for column in key)
    for check, count in zip(asked, counts, strict=True):
        if count:
            rows = await database.session.query(
                f"SELECT {names} FROM {source} WHERE {check.condition} ORDER BY {names}{found.limit}"
            )
            found.note(check.code, f"{count} row(s): {check.text}.", _labels(rows), blocking=check.blocking)


def _labels(rows: Iterable[Iterable[Any]]) -> list[str]:
    return [" ".join(map(str, row)) for row in rows]


async def _orphans(database: Database, found: Survey, table: Adopted) -> None:
    """Count the rows that have no owner, or one that has none; each once."""
    parents = {name: columns for name, columns in lineage(table).items() if name in found.sources}
    if not parents:
        return
    rows = f"FROM `{found.sources[table.name]}` AS s{owners(parents, 'LEFT JOIN', '')} WHERE NOT {owned(parents)}"
    count = await database.tx.fetch_value(f"SELECT COUNT(*) {rows}")
    if count:
        names = ", ".join(f"s.{column}" for column in table.key if not found.lacks(table.name, column))
        names = names or "s.TransformationID"
        found.note(
            "orphans",
            f"{count} row(s) of {found.sources[table.name]} belong to no row of {' or '.join(table.parents)}; they are"
            f" kept, in {table.aside}.",
            _labels(await database.session.query(f"SELECT {names} {rows}{found.limit}")),
        )


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
            [f"{number} becomes {name!r}" for number, name in found.renamed.items()],
        )
    similar = await tx.fetch_column(
        "SELECT GROUP_CONCAT(TransformationID ORDER BY TransformationID) FROM Transformations"
        " GROUP BY TransformationName HAVING COUNT(DISTINCT BINARY TransformationName) > 1"
    )
    if similar:
        found.note(
            "similar-names",
            f"{len(similar)} group(s) of names differ only in case, accents or trailing spaces; they are different"
            " names from now on, and calls must give them exactly.",
            similar,
        )
    odd = await tx.fetch_column(
        "SELECT TransformationID FROM Transformations WHERE TransformationName = ''"
        " OR (TransformationName REGEXP '^[0-9]+$') ORDER BY TransformationID"
    )
    if odd:
        found.note("odd-names", f"{len(odd)} name(s) are empty or look like an id; use the ids.", odd)


async def _free_name(database: Database, name: str, number: int) -> str:
    """Return *name* with the id added, such that nobody has it."""
    suffix = f"_{number}"
    candidate = name[: 255 - len(suffix)] + suffix
    sql = "SELECT 1 FROM Transformations WHERE TransformationName = :name"
    while await database.tx.fetch_value(sql, {"name": candidate}) is not None:
        suffix = f"_{suffix}"
        candidate = name[: 255 - len(suffix)] + suffix
    return candidate


async def _authors(database: Database, found: Survey, author_of: AuthorOf) -> None:
    """Look up the users of DNs where there is no author's name."""
    columns = found.columns["Transformations"]
    if "AuthorDN" not in columns:
        return
    where = " WHERE Author = ''" if "Author" in columns else ""
    dn = f"CONVERT(AuthorDN USING utf8mb4) COLLATE {database.session.dialect.collation}"
    nobody = []
    for text in await database.tx.fetch_column(f"SELECT DISTINCT {dn} FROM Transformations{where}"):
        if text and (name := author_of(text)):
            found.authors[text] = name
        elif text:
            nobody.append(text)
    if nobody:
        found.note(
            "authors",
            f"{len(nobody)} DN(s) of authors belong to no user of the registry; the DN becomes the author's name.",
            sorted(nobody),
            whole=True,
        )


async def _bodies(database: Database, found: Survey) -> None:
    """Find bodies that an escaping fault changed."""
    ids = []
    quoted = (
        """SELECT TransformationID FROM Transformations WHERE LEFT(Body, 2) IN ('"<', '"[', '"{') AND Body LIKE '%"'"""
    )
    for number in await database.tx.fetch_column(f"{quoted} ORDER BY TransformationID"):
        body = await database.tx.fetch_value(
            "SELECT Body FROM Transformations WHERE TransformationID = :id", {"id": number}
        )
        if broken(body.decode("utf-8", "replace") if isinstance(body, bytes) else body):
            ids.append(number)
    if ids:
        found.note(
            "bodies", f"{len(ids)} bodies are not what was given: an escaping fault changed them; they stay.", ids
        )


async def _statuses(database: Database, found: Survey) -> None:
    known = {
        "TransformationFiles": ("Status", {*statuses.FILE_STATES, "Removed", "Deleted", "NotProcessed"}),
        "TransformationTasks": ("ExternalStatus", {"Created", *statuses.TASK_STATES}),
    }
    for table, (column, usual) in known.items():
        rows = await database.tx.fetch_column(f"SELECT DISTINCT {column} FROM {table}")
        # inherited rows have the word behind the status, and had the parent's id
        odd = sorted({row for row in rows if row and re.sub(r"-(inherited|\d+)$", "", row) not in usual})
        if odd:
            found.note("statuses", f"{table} has statuses of extensions; they are kept.", odd, whole=True)


async def _made(database: Database, found: Survey, table: Adopted) -> None:
    """Make the values that go through Python, as the copy will, and tell which are not what they should be."""
    reading = Reading(database, table, found.sources[table.name], found.own(table.name), CHUNK)
    if not reading.by_row or any(found.lacks(table.name, column) for column in table.key):
        return
    rows: dict[str, list[str]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)

    def doubt(code: str, label: str) -> None:
        counts[code] += 1
        if found.everything or counts[code] <= EXAMPLES + 1:
            rows[code].append(label)

    async for bounds in reading.chunks(None):
        async for _ in reading.parts(bounds, doubt):
            pass
    for code, labels in rows.items():
        found.note(code, DOUBTS[code].format(n=counts[code], table=found.sources[table.name]), labels)
