"""Tasks of transformations: how they get their numbers, change their status and go."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...core.errors import Conflict, InvalidState
from ...core.model import TRANSFORMATION_TASKS
from ...storage.base import Row, chunks
from ...storage.dialect import PackedKind
from ...storage.inserts import insert
from .. import attributes
from ..missing import not_there
from ..transformation_log import note
from ..work import Held, Work, changing
from . import files
from .status_rules import ask, move

_IN_RANGE = "TransformationID = :trans AND TaskID BETWEEN :low AND :high"
_MINE = "target.TransformationID = :trans AND target.TaskID = source.value"
_MINE_ALSO = "target.TransformationID = :trans AND target.TaskID = source.TaskID"
_LAST = "(SELECT LastTaskID FROM TaskCounters WHERE TransformationID = :trans)"
_NEW: Mapping[str, PackedKind] = {"TaskID": "int", "TargetSE": "word"}
_INPUTS: Mapping[str, PackedKind] = {"TaskID": "int", "InputVector": "text"}


class NewTask(NamedTuple):
    """A task to make.

    :param lfns: its files, none twice.
    :param se: its TargetSE, and the files' UsedSE.
    :param parameters: its attributes, any JSON by name.
    """

    lfns: Sequence[str] = ()
    se: str = "Unknown"
    parameters: Mapping[str, Any] = {}


class Update(NamedTuple):
    """What changes of a task; None for what stays.

    :param lease: the number under which it is reported, None for none.
    """

    task_id: int
    status: str | None = None
    external_id: str | None = None
    se: str | None = None
    lease: int | None = None


@changing
async def add(work: Work, trans: Held, ses: Sequence[str]) -> list[int]:
    """Make tasks with the status Created and return their ids, which count on from the last one ever given.

    :param ses: the TargetSE of each.
    :raises InvalidState: a plugin's rule forbids it.
    """
    if not ses:
        return []
    await _count_on(work, trans, len(ses))
    return await _make(work, trans, ses, await work.tx.fetch_value(f"SELECT {_LAST}", {"trans": trans.id}))


async def _count_on(work: Work, trans: Held, number: int) -> None:
    await work.tx.soon(
        "UPDATE TaskCounters SET LastTaskID = LastTaskID + :number WHERE TransformationID = :trans",
        {"trans": trans.id, "number": number},
    )


async def _make(work: Work, trans: Held, ses: Sequence[str], last: int) -> list[int]:
    """Make tasks up to the id *last*, that were counted on."""
    ask(work, "task", [(None, "Created")])
    ids = list(range(last - len(ses) + 1, last + 1))
    given = {"TransformationID": ":trans", "ExternalStatus": "'Created'", "ExternalID": "'0'"}
    times = dict.fromkeys(("CreationTime", "LastUpdateTime"), ":now")
    parameters = {"trans": trans.id, "now": work.context.timestamp}
    rows = list(zip(ids, ses, strict=True))
    await insert(work.tx.soon, work.dialect, "TransformationTasks", _NEW, rows, {**given, **times}, parameters)
    work.count("task", trans.id, "Created", len(ids))
    work.emit("tasks.created", trans, count=len(ids), ids=ids)
    return ids


@changing
async def add_with_files(work: Work, trans: Held, new: Sequence[NewTask]) -> list[int]:
    """Make tasks of files that no other task has; without files empty ones. Return their ids, in the order given.

    :raises InvalidState: files that may not go into a new task, or are in two of these; ``data.files`` says why.
    """
    size = sum(len(task.lfns) for task in new)
    lfns, twice = await work.tx.aside(size, _named, new)
    if twice:
        told = dict.fromkeys(twice, "in two tasks of the call")
        raise InvalidState(f"{len(twice)} file(s) are in two tasks of the call: {twice[0]}", files=told)
    if not lfns:
        ids = await add(work, trans, [task.se for task in new])
        rows: list[Row] = []
    else:
        # the numbers travel with the look for the files: MariaDB is waited for once while others wait for the row
        await _count_on(work, trans, len(new))
        rows = await files.assignable(work, trans, lfns, f"{_LAST} AS last")
        ids = await _make(work, trans, [task.se for task in new], rows[0]["last"])
    made = list(zip(ids, new, strict=True))
    await files.assign(work, trans, await work.tx.aside(size, _given, made, rows))
    inputs = await work.tx.aside(size, _inputs, made)
    own = {"TransformationID": ":trans"}
    await insert(work.tx.soon, work.dialect, "TaskInputs", _INPUTS, inputs, own, {"trans": trans.id})
    await attributes.add(work, trans, "task", {task_id: task.parameters for task_id, task in made if task.parameters})
    return ids


def _named(new: Sequence[NewTask]) -> tuple[list[str], list[str]]:
    """Return the files of some tasks, and those that are there more than once."""
    lfns = [lfn for task in new for lfn in task.lfns]
    return lfns, [lfn for lfn, number in Counter(lfns).items() if number > 1]


def _given(made: Sequence[tuple[int, NewTask]], rows: Sequence[Row]) -> list[tuple[int, int, str, str]]:
    """Return what ``files.assign`` takes; *rows* are those of the tasks' files, in their order."""
    owners = [(task_id, task.se) for task_id, task in made for _ in task.lfns]
    return [(row["FileID"], *owner, row["Status"]) for row, owner in zip(rows, owners, strict=True)]


def _inputs(made: Sequence[tuple[int, NewTask]]) -> list[tuple[int, str]]:
    return [(task_id, files.SEPARATOR.join(task.lfns)) for task_id, task in made if task.lfns]


async def extend(work: Work, trans: Held, number: int) -> list[int]:
    """Add empty tasks and log it; return their ids.

    :raises InvalidState: a plugin's rule forbids it.
    """
    ids = await add(work, trans, ["Unknown"] * number)
    await note(work, trans, f"Transformation extended by {number} tasks")
    return ids


@changing
async def report(work: Work, trans: Held, task_ids: Sequence[int], values: Mapping[str, str]) -> None:
    """Set the status of tasks, and what comes with it, all or none.

    :param values: ``ExternalStatus``, and other columns.
    :raises NotFound: tasks that are not in the transformation; ``data.missing`` lists them.
    :raises InvalidState: a plugin's rule, or a strict state machine, forbids a change.
    """
    ids = list(dict.fromkeys(task_ids))
    further = {column: f":{column}" for column in values if column != "ExternalStatus"}
    # in one order for all who hold the transformation at the same time
    for chunk in chunks(sorted(ids)):
        parameters = {"trans": trans.id, "ids": work.dialect.pack(chunk), **values}
        source = work.dialect.array("ids", "int")
        moved = await move(work, "task", source, _MINE, ":ExternalStatus", parameters, further, strict=True)
        if moved != len(chunk):
            raise await not_there(work, trans, TRANSFORMATION_TASKS, "task", ids)
    if ids:
        tell(work, trans, ids, values["ExternalStatus"])


async def update(work: Work, trans: Held, updates: Sequence[Update]) -> None:
    """Change tasks, each in its own way, all or none.

    :param updates: no task twice.
    :raises NotFound: tasks that are not in the transformation; ``data.missing`` lists them.
    :raises Conflict: tasks that have another lease, or none any more; ``data.tasks`` lists them.
    :raises InvalidState: a plugin's rule, or a strict state machine, forbids a change.
    """
    source = work.dialect.records(
        "updates", TaskID="int", Status="word", ExternalID="word", TargetSE="word", Lease="int"
    )
    tables = work.dialect.joined("TransformationTasks", source, by_key=True)
    look = (
        "SELECT target.TaskID, target.ExternalStatus AS former, source.Status AS next,"
        " CASE WHEN source.Lease IS NULL OR source.Lease = target.Lease THEN 0 ELSE 1 END AS lost"
        f" FROM {tables} ON {_MINE_ALSO}{work.dialect.for_update}"
    )
    # in one order for all who hold the transformation at the same time
    packed = [
        (chunk, {"trans": trans.id, "updates": work.dialect.pack(chunk)})
        for chunk in chunks(sorted(map(tuple, updates)))
    ]
    seen = [await work.tx.fetch_all(look, parameters) for _, parameters in packed]
    found = [row for rows in seen for row in rows]
    if len(found) != len(updates):
        raise await not_there(work, trans, TRANSFORMATION_TASKS, "task", [update.task_id for update in updates])
    if lost := [row["TaskID"] for row in found if row["lost"]]:
        first = ", ".join(map(str, lost[:10]))
        raise Conflict(f"Lease lost on {len(lost)} task(s): {first}", reason="lease lost", tasks=lost)
    kept = {name: f"COALESCE(source.{name}, target.{name})" for name in ("ExternalID", "TargetSE")}
    for (chunk, parameters), rows in zip(packed, seen, strict=True):
        on = f"{_MINE_ALSO} AND source.Status IS NOT NULL"
        known = Counter((trans.id, row["former"], row["next"]) for row in rows if row["next"] is not None)
        await move(work, "task", source, on, "source.Status", parameters, kept, strict=True, known=known)
        if any(status is None and others != [None, None] for _, status, *others, _ in chunk):
            on = f"{_MINE_ALSO} AND source.Status IS NULL AND COALESCE(source.ExternalID, source.TargetSE) IS NOT NULL"
            changed = {**kept, "LastUpdateTime": ":now"}
            sql = work.dialect.update_join("TransformationTasks", source, on, changed, by_key=True)
            await work.tx.execute(sql, {**parameters, "now": work.context.timestamp})
    if told := [update for update in updates if update[1:4] != (None, None, None)]:
        statuses = dict(Counter(update.status for update in told if update.status is not None))
        ids = [update.task_id for update in told]
        work.emit("tasks.status", trans, count=len(told), ids=ids, status=statuses)


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
    """Give tasks statuses, whatever the machine says.

    :param statuses: by TaskID.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    source = work.dialect.records("changes", TaskID="int", Status="word")
    for chunk in chunks([[task_id, statuses[task_id]] for task_id in sorted(statuses)]):
        parameters = {"trans": trans.id, "changes": work.dialect.pack(chunk)}
        await move(work, "task", source, _MINE_ALSO, "source.Status", parameters)
    if statuses:
        told = dict(Counter(statuses.values()))
        work.emit("tasks.status", trans, count=len(statuses), ids=sorted(statuses), status=told)


@changing
async def reserve(work: Work, trans: Held, number: int) -> list[Row]:
    """Take up to *number* tasks that are Created, lowest numbers first, and make them Reserved: nobody else gets them.

    :return: TaskID, TransformationID, TargetSE, Status (before) and InputData (LFNs joined by ``;``) of each.
    :raises InvalidState: a plugin's rule forbids it.
    """
    if not number:
        return []
    tasks = await work.tx.fetch_all(
        "SELECT t.TaskID, t.TransformationID, t.TargetSE, t.ExternalStatus AS Status,"
        f" COALESCE(i.InputVector, '') AS InputData FROM TransformationTasks t{work.dialect.by_status}"
        " LEFT JOIN TaskInputs i ON i.TransformationID = t.TransformationID AND i.TaskID = t.TaskID"
        " WHERE t.TransformationID = :trans AND t.ExternalStatus = 'Created'"
        f" ORDER BY t.TaskID LIMIT {number:d}",
        {"trans": trans.id},
    )
    ids: list[Any] = [task["TaskID"] for task in tasks]
    created = f"{_MINE} AND target.ExternalStatus = 'Created'"
    for chunk in chunks(ids):
        parameters = {"trans": trans.id, "ids": work.dialect.pack(chunk)}
        # nobody else moves tasks meanwhile: the transformation is held alone
        known = {(trans.id, "Created", "Reserved"): len(chunk)}
        await move(work, "task", work.dialect.array("ids", "int"), created, "'Reserved'", parameters, known=known)
    if ids:
        tell(work, trans, ids, "Reserved")
    return tasks


def tell(work: Work, trans: Held, ids: list[int], status: str) -> None:
    """Tell that tasks have a status now."""
    work.emit("tasks.status", trans, count=len(ids), ids=ids, status={status: len(ids)})


@changing
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
