"""Whether the books agree with themselves: what is written down twice says the same, and what is named is there.

Each check is a query for rows that should not be. A new redundancy, such as a table of counts, needs one more of them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ..storage.base import Row, Storage, Transaction
from . import counters
from .transitions.files import SEPARATOR

EXAMPLES = 5
"""The most rows that a finding shows."""
_COMPARED = "inputs.history"
_COMPARING = "tasks whose inputs are not the files that the history gives them"
_TASKS = 1000
"""Tasks whose inputs are compared at once."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """A query for rows that should not be.

    :param name: a word for programs.
    :param meaning: what the rows are, for people.
    :param sql: gives what identifies each row. With ``:trans`` it is asked for each transformation. ``{length}`` stands
        for the number of characters of Directory.
    """

    name: str
    meaning: str
    sql: str

    @property
    def each(self) -> bool:
        """Whether it is asked for each transformation."""
        return ":trans" in self.sql


@dataclass(frozen=True, slots=True)
class Violation:
    """Rows that should not be.

    :param check: the name of the check.
    :param text: what the rows are.
    :param count: how many there are.
    :param examples: what identifies some of them, by column.
    """

    check: str
    text: str
    count: int
    examples: list[Row]


def _orphans(table: str, columns: str = "x.TransformationID") -> Invariant:
    return Invariant(
        f"orphans.{table}",
        f"rows of {table} whose transformation is not there",
        f"SELECT {columns} FROM {table} x LEFT JOIN Transformations t ON t.TransformationID = x.TransformationID"
        " WHERE t.TransformationID IS NULL",
    )


_FILES = "FROM TransformationFiles f"
_HISTORY = "FROM TransformationFileTasks h"
_INPUTS = "FROM TaskInputs i"
_THEIR_TASK = "LEFT JOIN TransformationTasks k ON k.TransformationID = {0}.TransformationID AND k.TaskID = {0}.TaskID"
CHECKS = (
    _orphans("AdditionalParameters", "x.TransformationID, x.ParameterName"),
    _orphans("TransformationMetaQueries", "x.TransformationID, x.QueryType"),
    _orphans("TransformationLog", "x.TransformationID, x.recid"),
    _orphans("TransformationFiles", "x.TransformationID, x.FileID"),
    _orphans("TransformationTasks", "x.TransformationID, x.TaskID"),
    _orphans("TaskCounters"),
    *(_orphans(table, "x.TransformationID, x.Kind, x.Status") for table in counters.TABLES),
    Invariant("counts", "numbers of files or tasks by status that are not what a count gives", counters.DRIFT),
    Invariant(
        "counter",
        "transformations whose last task number is not known, or lower than a task's",
        "SELECT t.TransformationID, c.LastTaskID, MAX(k.TaskID) AS TaskID FROM Transformations t"
        " LEFT JOIN TaskCounters c ON c.TransformationID = t.TransformationID"
        " LEFT JOIN TransformationTasks k ON k.TransformationID = t.TransformationID"
        " WHERE t.TransformationID = :trans GROUP BY t.TransformationID, c.LastTaskID"
        " HAVING c.LastTaskID IS NULL OR c.LastTaskID < MAX(k.TaskID)",
    ),
    Invariant(
        "file",
        "files of a transformation that have no name",
        f"SELECT f.TransformationID, f.FileID {_FILES} LEFT JOIN DataFiles d ON d.FileID = f.FileID"
        " WHERE f.TransformationID = :trans AND d.FileID IS NULL",
    ),
    Invariant(
        # an inherited file's task is its parent's
        "file.task",
        "files whose task is not there",
        f"SELECT f.TransformationID, f.FileID, f.TaskID {_FILES}"
        " JOIN Transformations t ON t.TransformationID = f.TransformationID AND t.InheritedFrom = 0"
        f" {_THEIR_TASK.format('f')} WHERE f.TransformationID = :trans AND f.TaskID IS NOT NULL AND k.TaskID IS NULL",
    ),
    Invariant(
        "file.history",
        "files whose history does not know their task",
        f"SELECT f.TransformationID, f.FileID, f.TaskID {_FILES}"
        " JOIN TransformationTasks k ON k.TransformationID = f.TransformationID AND k.TaskID = f.TaskID"
        " LEFT JOIN TransformationFileTasks h ON h.TransformationID = f.TransformationID AND h.FileID = f.FileID"
        " AND h.TaskID = f.TaskID WHERE f.TransformationID = :trans AND h.TaskID IS NULL",
    ),
    Invariant(
        "history.file",
        "rows of the history whose file is not in the transformation",
        f"SELECT h.TransformationID, h.FileID, h.TaskID {_HISTORY} LEFT JOIN TransformationFiles f"
        " ON f.TransformationID = h.TransformationID AND f.FileID = h.FileID"
        " WHERE h.TransformationID = :trans AND f.FileID IS NULL",
    ),
    Invariant(
        "history.task",
        "rows of the history whose task is not there",
        f"SELECT h.TransformationID, h.FileID, h.TaskID {_HISTORY} {_THEIR_TASK.format('h')}"
        " WHERE h.TransformationID = :trans AND k.TaskID IS NULL",
    ),
    Invariant(
        "inputs.task",
        "inputs of tasks that are not there",
        f"SELECT i.TransformationID, i.TaskID {_INPUTS} {_THEIR_TASK.format('i')}"
        " WHERE i.TransformationID = :trans AND k.TaskID IS NULL",
    ),
    Invariant(
        "catalog.directory",
        "files of the built-in catalog that stand in another directory than their name says",
        "SELECT LFN, Directory FROM CatalogFiles WHERE SUBSTR(LFN, 1, {length}) <> Directory"
        " OR (Directory <> '/' AND SUBSTR(LFN, {length} + 1, 1) <> '/')"
        " OR SUBSTR(LFN, {length} + CASE Directory WHEN '/' THEN 1 ELSE 2 END) LIKE '%/%'",
    ),
)


async def verify(storage: Storage) -> AsyncIterator[Violation]:
    """Yield what does not agree. What belongs to one transformation is looked at in one moment of the database.

    :param storage: is open; the server may be at work on the same database.
    :raises StorageUnavailable: it is gone.
    """
    found: dict[str, Violation] = {}
    per_table = [check for check in CHECKS if not check.each]
    per_transformation = [check for check in CHECKS if check.each]
    for check in per_table:
        for finding in await storage.run("verify", _look, [check], {}, read=True):
            yield finding
    for trans in await storage.run("verify", all_transformations, read=True):
        for finding in await storage.run("verify", _look, per_transformation, {"trans": trans}, read=True):
            _add(found, finding)
        after: int | None = -1
        while after is not None:
            after, compared = await storage.run("verify", _inputs, trans, after, read=True)
            _add(found, compared)
    for finding in found.values():
        yield finding


def _add(found: dict[str, Violation], new: Violation) -> None:
    """Add a finding to that of the same check on other transformations."""
    if new.count:
        old = found.get(new.check, Violation(new.check, new.text, 0, []))
        examples = [*old.examples, *new.examples][:EXAMPLES]
        found[new.check] = Violation(new.check, new.text, old.count + new.count, examples)


async def all_transformations(tx: Transaction) -> list[int]:
    """Return all TransformationIDs, ascending."""
    found: list[int] = await tx.fetch_column("SELECT TransformationID FROM Transformations ORDER BY TransformationID")
    return found


async def _look(tx: Transaction, checks: list[Invariant], parameters: dict[str, Any]) -> list[Violation]:
    findings = []
    for check in checks:
        sql = check.sql.format(length=tx.dialect.characters("Directory"))
        rows = await tx.fetch_all(f"{sql} LIMIT {EXAMPLES}", parameters)
        count = len(rows)
        if count == EXAMPLES:
            count = await tx.fetch_value(f"SELECT COUNT(*) FROM ({sql}) AS found", parameters)
        if rows:
            findings.append(Violation(check.name, check.meaning, count, rows))
    return findings


async def _inputs(tx: Transaction, trans: int, after: int) -> tuple[int | None, Violation]:
    """Compare the names in the tasks' inputs with the history, for some tasks behind *after*.

    :return: the last of these tasks, None when there are no more; and what was found.
    """
    here = "WHERE {0}.TransformationID = :trans AND {0}.TaskID > :after"
    numbers = await tx.fetch_column(
        f"SELECT TaskID FROM TransformationTasks k {here.format('k')} ORDER BY TaskID LIMIT {_TASKS}",
        {"trans": trans, "after": after},
    )
    if not numbers:
        return None, Violation(_COMPARED, _COMPARING, 0, [])
    bounds = {"trans": trans, "after": after, "last": numbers[-1]}
    inputs = await tx.fetch_all(
        f"SELECT TaskID, InputVector {_INPUTS} {here.format('i')} AND i.TaskID <= :last", bounds
    )
    history = await tx.fetch_all(
        f"SELECT h.TaskID, d.LFN {_HISTORY} JOIN DataFiles d ON d.FileID = h.FileID {here.format('h')}"
        " AND h.TaskID <= :last",
        bounds,
    )
    told: dict[int, set[str]] = {}
    for row in inputs:
        told[row["TaskID"]] = set(row["InputVector"].split(SEPARATOR)) if row["InputVector"] else set()
    known: dict[int, set[str]] = {}
    for row in history:
        known.setdefault(row["TaskID"], set()).add(row["LFN"])
    wrong = [task for task in sorted(told.keys() | known.keys()) if told.get(task, set()) != known.get(task, set())]
    examples = [{"TransformationID": trans, "TaskID": task} for task in wrong[:EXAMPLES]]
    return numbers[-1], Violation(_COMPARED, _COMPARING, len(wrong), examples)
