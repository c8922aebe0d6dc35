"""Tasks of transformations: how they get their numbers, change their status and go."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.model import TRANSFORMATION_TASKS
from ...storage.base import Row, chunks
from ..missing import not_there
from ..transformation_log import note
from ..work import Held, Work
from . import files
from .status_rules import ask, move, obey

_IN_RANGE = "TransformationID = :trans AND TaskID BETWEEN :low AND :high"
_MINE = "target.TransformationID = :trans AND target.TaskID = source.value"


async def add(work: Work, trans: Held, number: int, se: str = "Unknown") -> list[int]:
    """Make tasks with the status Created and return their ids, which count on from the last one ever given.

    :param se: their TargetSE.
    :raises InvalidState: a plugin's rule forbids it.
    """
    if number == 0:
        return []
    ask(work, "task", [(None, "Created")])
    counter = {"trans": trans.id, "number": number}
    await work.tx.execute(
        "UPDATE TaskCounters SET LastTaskID = LastTaskID + :number WHERE TransformationID = :trans", counter
    )
    last = await work.tx.fetch_value("SELECT LastTaskID FROM TaskCounters WHERE TransformationID = :trans", counter)
    ids = list(range(last - number + 1, last + 1))
    for chunk in chunks(ids):
        await work.tx.execute(
            "INSERT INTO TransformationTasks (TransformationID, TaskID, ExternalStatus, ExternalID, TargetSE,"
            " CreationTime, LastUpdateTime) SELECT :trans, value, 'Created', '0', :se, :now, :now"
            f" FROM {work.dialect.array('ids', 'int')} AS made",
            {"trans": trans.id, "ids": work.dialect.pack(chunk), "se": se, "now": work.context.timestamp},
        )
    work.count("task", trans.id, "Created", number)
    work.emit("tasks.created", trans, count=number, ids=ids)
    return ids


async def add_with_files(work: Work, trans: Held, lfns: Sequence[str], se: str) -> int:
    """Make a task of files that no other task has; without files an empty one. Return its id.

    :param lfns: none twice.
    :param se: the task's TargetSE and the files' UsedSE.
    :raises InvalidState: files that may not go into a new task; ``data.files`` says why.
    """
    file_ids = await files.assignable(work, trans, lfns)
    (task_id,) = await add(work, trans, 1, se)
    await files.assign(work, trans, task_id, se, file_ids)
    if lfns:
        await work.tx.execute(
            "INSERT INTO TaskInputs (TransformationID, TaskID, InputVector) VALUES (:trans, :task, :lfns)",
            {"trans": trans.id, "task": task_id, "lfns": files.SEPARATOR.join(lfns)},
        )
    return task_id


async def extend(work: Work, trans: Held, number: int) -> list[int]:
    """Add empty tasks and log it; return their ids.

    :raises InvalidState: a plugin's rule forbids it.
    """
    ids = await add(work, trans, number)
    await note(work, trans, f"Transformation extended by {number} tasks")
    return ids


async def report(work: Work, trans: Held, task_ids: Sequence[int], values: Mapping[str, str]) -> None:
    """Set the status of tasks, and what comes with it, all or none.

    :param values: ``ExternalStatus``, and other columns.
    :raises NotFound: tasks that are not in the transformation; ``data.missing`` lists them.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    ids = list(dict.fromkeys(task_ids))
    further = {column: f":{column}" for column in values if column != "ExternalStatus"}
    # in one order for all who hold the transformation at the same time
    for chunk in chunks(sorted(ids)):
        parameters = {"trans": trans.id, "ids": work.dialect.pack(chunk), **values}
        source = work.dialect.array("ids", "int")
        await obey(work, "task", source, _MINE, ":ExternalStatus", parameters)
        if await move(work, "task", source, _MINE, ":ExternalStatus", parameters, further) != len(chunk):
            raise await not_there(work, trans, TRANSFORMATION_TASKS, "task", ids)
    if ids:
        _tell(work, trans, ids, values["ExternalStatus"])


async def move_all(work: Work, trans: Held, task_ids: Sequence[int], to: str, *, force: bool = False) -> list[int]:
    """Move tasks, each as the state machine allows; return the ids of those that it refuses.

    A task that has the status already stays as it is.

    :param force: none is refused.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    machine, dialect = work.parts.machines["task"], work.dialect
    source = dialect.array("ids", "int")
    select = (
        f"SELECT t.TaskID, t.ExternalStatus FROM {source} AS wanted {dialect.straight_join} TransformationTasks t"
        f" ON t.TransformationID = :trans AND t.TaskID = wanted.value{dialect.for_update}"
    )
    rows: list[Row] = []
    for chunk in chunks(sorted(task_ids)):
        rows += await work.tx.fetch_all(select, {"trans": trans.id, "ids": dialect.pack(chunk)})
    others = {row["TaskID"]: row["ExternalStatus"] for row in rows if row["ExternalStatus"] != to}
    refused = [] if force else [task_id for task_id, old in others.items() if not machine.allows(old, to)]
    await put_back(work, trans, dict.fromkeys(others.keys() - set(refused), to))
    return refused


async def put_back(work: Work, trans: Held, statuses: Mapping[int, str]) -> None:
    """Give tasks statuses, whatever the machine says; a task that is Created is under no lease.

    :param statuses: by TaskID.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    source = work.dialect.records("changes", TaskID="int", Status="text")
    on = "target.TransformationID = :trans AND target.TaskID = source.TaskID"
    lease = {"Lease": "CASE WHEN source.Status = 'Created' THEN NULL ELSE target.Lease END"}
    for chunk in chunks([[task_id, statuses[task_id]] for task_id in sorted(statuses)]):
        parameters = {"trans": trans.id, "changes": work.dialect.pack(chunk)}
        await move(work, "task", source, on, "source.Status", parameters, lease)
    if statuses:
        told = dict(Counter(statuses.values()))
        work.emit("tasks.status", trans, count=len(statuses), ids=sorted(statuses), status=told)


async def reserve(work: Work, trans: Held, number: int) -> list[Row]:
    """Take up to *number* tasks that are Created, lowest numbers first, and make them Reserved: nobody else gets them.

    :return: TaskID, TransformationID, TargetSE, Status (before) and InputData (LFNs joined by ``;``) of each.
    :raises InvalidState: a plugin's rule forbids it.
    """
    if not number:
        return []
    tasks = await work.tx.fetch_all(
        "SELECT t.TaskID, t.TransformationID, t.TargetSE, t.ExternalStatus AS Status,"
        " COALESCE(i.InputVector, '') AS InputData FROM TransformationTasks t"
        " LEFT JOIN TaskInputs i ON i.TransformationID = t.TransformationID AND i.TaskID = t.TaskID"
        " WHERE t.TransformationID = :trans AND t.ExternalStatus = 'Created'"
        f" ORDER BY t.TaskID LIMIT {number:d}",
        {"trans": trans.id},
    )
    ids: list[Any] = [task["TaskID"] for task in tasks]
    created = f"{_MINE} AND target.ExternalStatus = 'Created'"
    for chunk in chunks(ids):
        parameters = {"trans": trans.id, "ids": work.dialect.pack(chunk)}
        await move(work, "task", work.dialect.array("ids", "int"), created, "'Reserved'", parameters)
    if ids:
        _tell(work, trans, ids, "Reserved")
    return tasks


def _tell(work: Work, trans: Held, ids: list[int], status: str) -> None:
    work.emit("tasks.status", trans, count=len(ids), ids=ids, status={status: len(ids)})


async def drop(work: Work, trans: Held, low: int, high: int) -> None:
    """Delete the tasks with numbers from *low* to *high*, both included; their files become Unused.

    The numbers are not given again. Logged.

    :raises InvalidState: a plugin's rule forbids what happens to the files.
    """
    bounds = {"trans": trans.id, "low": low, "high": high}
    await files.free(work, trans, _IN_RANGE, bounds)
    await work.tx.execute(f"DELETE FROM TaskInputs WHERE {_IN_RANGE}", bounds)
    await work.tx.execute(
        "DELETE FROM ObjectAttributes WHERE TransformationID = :trans AND Kind = 'task'"
        " AND ObjectID BETWEEN :low AND :high",
        bounds,
    )
    statuses = await work.tx.fetch_all(
        f"SELECT ExternalStatus, COUNT(*) AS number FROM TransformationTasks WHERE {_IN_RANGE} GROUP BY ExternalStatus",
        bounds,
    )
    for row in statuses:
        work.count("task", trans.id, row["ExternalStatus"], -row["number"])
    dropped = await work.tx.execute(f"DELETE FROM TransformationTasks WHERE {_IN_RANGE}", bounds)
    await note(work, trans, f"Deleted tasks from {low} to {high}")
    work.emit("tasks.deleted", trans, count=dropped, first=low, last=high)
