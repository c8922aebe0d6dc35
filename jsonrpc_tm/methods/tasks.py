"""The tasks of a transformation: making, listing, reporting, deleting. Handing them out is in ``submission``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core import fields, values
from ..core.errors import InvalidParams, InvalidState
from ..core.identity import Owner
from ..core.model import ASSIGNABLE_STATUSES, TASK_COLUMNS, TRANSFORMATION_TASKS
from ..plugin.marker import hookimpl
from ..rpc.call import Call
from ..rpc.method import Method
from ..storage.base import Transaction, chunks
from . import status, submission
from .listing import after_field, clauses, list_fields, missing, offset_field, wire
from .log import log_line
from .submission import insert_tasks

_ASSIGNABLE = ", ".join(f"'{word}'" for word in ASSIGNABLE_STATUSES)
_TASKS = "TransformationID = :trans AND TaskID BETWEEN :low AND :high"


async def add_task(call: Call, transName: int | str, lfns: list[str] | None, se: str) -> int:
    """Make a task of files that no other task has; without files an empty one. Return its id.

    The files become Assigned, with the task's id and UsedSE = *se*. Of two calls for one file exactly one wins.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: files that are not in the transformation, or neither Unused nor ProbInFC; ``data.files``
        lists them and nothing happened.
    """
    names = list(dict.fromkeys(lfns or ()))

    async def body(tx: Transaction, owner: Owner) -> int:
        file_ids = await _assignable(tx, call, owner, names)
        (task_id,) = await insert_tasks(tx, call, owner.id, 1, se)
        for chunk in chunks(file_ids):
            await _assign(tx, call, owner, task_id, se, chunk)
        if names:
            await tx.execute(
                "INSERT INTO TaskInputs (TransformationID, TaskID, InputVector) VALUES (:trans, :task, :lfns)",
                {"trans": owner.id, "task": task_id, "lfns": ";".join(names)},
            )
        return task_id

    return await call.change(transName, body)


async def _assignable(tx: Transaction, call: Call, owner: Owner, lfns: Sequence[str]) -> list[int]:
    """Return the FileIDs of *lfns*.

    :raises InvalidState: some cannot be assigned; names them.
    """
    found: dict[str, dict[str, Any]] = {}
    for chunk in chunks(lfns):
        rows = await tx.fetch_all(
            f"SELECT d.LFN, f.FileID, f.Status FROM {tx.dialect.array('lfns')} AS wanted"
            f" {tx.dialect.straight_join} DataFiles d ON d.LFN = wanted.value"
            " JOIN TransformationFiles f ON f.TransformationID = :trans AND f.FileID = d.FileID",
            {"trans": owner.id, "lfns": tx.dialect.pack(chunk)},
        )
        found.update((row["LFN"], row) for row in rows)
    wrong = {
        lfn: found[lfn]["Status"] if lfn in found else "not in the transformation"
        for lfn in lfns
        if lfn not in found or found[lfn]["Status"] not in ASSIGNABLE_STATUSES
    }
    if wrong:
        first = "; ".join(f"{lfn} is {state}" for lfn, state in list(wrong.items())[:10])
        raise InvalidState(f"{len(wrong)} of {len(lfns)} file(s) cannot be assigned: {first}", files=wrong)
    status.check(call, "file", {(row["Status"], "Assigned") for row in found.values()})
    return [found[lfn]["FileID"] for lfn in lfns]


async def _assign(tx: Transaction, call: Call, owner: Owner, task_id: int, se: str, file_ids: Sequence[int]) -> None:
    """Give files to a task and write the history."""
    files = tx.dialect.array("files", "int")
    parameters = {"trans": owner.id, "task": task_id, "files": tx.dialect.pack(file_ids)}
    matched = await tx.execute(
        tx.dialect.update_join(
            "TransformationFiles",
            files,
            f"target.TransformationID = :trans AND target.FileID = source.value AND target.Status IN ({_ASSIGNABLE})",
            {"TaskID": ":task", "UsedSE": ":se", "Status": "'Assigned'", "LastUpdate": ":now"},
        ),
        {**parameters, "se": se, "now": call.timestamp},
    )
    # files may also change without the lock on the transformation, when the catalog removes them
    if matched != len(file_ids):
        raise InvalidState("Files were changed meanwhile")
    await tx.execute(
        "INSERT INTO TransformationFileTasks (TransformationID, FileID, TaskID)"
        f" SELECT :trans, value, :task FROM {files} AS assigned",
        parameters,
    )


async def get_tasks(
    call: Call,
    condDict: dict[str, Any] | None,
    older: str | None,
    newer: str | None,
    timeStamp: str | None,
    orderAttribute: list[str] | None,
    limit: int | None,
    inputVector: bool,
    offset: int | None,
    after: list[int] | None,
) -> list[dict[str, Any]]:
    """List tasks of transformations, in the order of TransformationID and TaskID unless asked otherwise.

    :raises InvalidParams: an unknown column, a value that does not fit.
    """
    where, tail = clauses(
        call,
        TRANSFORMATION_TASKS,
        condDict=condDict,
        older=older,
        newer=newer,
        timeStamp=timeStamp,
        orderAttribute=orderAttribute,
        limit=limit,
        offset=offset,
        after=after,
        prefix="t.",
    )
    select = ", ".join(f"t.{name}" for name in TASK_COLUMNS)
    tables = "TransformationTasks t"
    if inputVector:
        select += ", COALESCE(i.InputVector, '') AS InputVector"
        tables += " LEFT JOIN TaskInputs i ON i.TransformationID = t.TransformationID AND i.TaskID = t.TaskID"

    async def body(tx: Transaction) -> list[dict[str, Any]]:
        return await tx.fetch_all(f"SELECT {select} FROM {tables} WHERE {where.text}{tail}", where.parameters)

    return wire(await call.read(body), TRANSFORMATION_TASKS)


async def set_task_status(call: Call, transName: int | str, taskID: list[int], status: str) -> None:
    """Set the status of one task or several, all or none.

    :raises NotFound: no such transformation, or tasks that are not in it, which ``data.missing`` lists.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    await _report(call, transName, taskID, {"ExternalStatus": status})


async def set_task_status_and_wms_id(
    call: Call, transName: int | str, taskID: int, status: str, taskWmsID: str
) -> None:
    """Set the status of a task and its number in the workload system, both together.

    :raises NotFound: no such transformation, or no such task in it.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids the change.
    """
    await _report(call, transName, [taskID], {"ExternalStatus": status, "ExternalID": taskWmsID})


async def _report(call: Call, trans: int | str, task_ids: list[int], values: Mapping[str, str]) -> None:
    ids = list(dict.fromkeys(task_ids))
    on = "target.TransformationID = :trans AND target.TaskID = source.value"

    async def body(tx: Transaction, owner: Owner) -> None:
        source = tx.dialect.array("ids", "int")
        assignments = {**{column: f":{column}" for column in values}, "LastUpdateTime": ":now"}
        update = tx.dialect.update_join("TransformationTasks", source, on, assignments)
        for chunk in chunks(ids):
            parameters = {"trans": owner.id, "ids": tx.dialect.pack(chunk), **values}
            pairs = f"target.ExternalStatus AS old, :ExternalStatus AS new FROM {source} AS source"
            await status.check_rows(tx, call, "task", f"{pairs} JOIN TransformationTasks target ON {on}", parameters)
            if await tx.execute(update, {**parameters, "now": call.timestamp}) != len(chunk):
                raise await missing(tx, owner, TRANSFORMATION_TASKS, "task", ids)

    await call.change(trans, body)


async def delete_tasks(call: Call, transName: int | str, taskMin: int, taskMax: int) -> None:
    """Delete the tasks with numbers from *taskMin* to *taskMax*, both included. The numbers are not given again.

    Their files become Unused, with no task and UsedSE Unknown.

    :raises InvalidParams: *taskMin* is more than *taskMax*.
    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    """
    if taskMin > taskMax:
        raise InvalidParams("taskMin is more than taskMax", errors={"taskMin": ["Must not be more than taskMax."]})

    async def body(tx: Transaction, owner: Owner) -> None:
        parameters: dict[str, Any] = {"trans": owner.id, "low": taskMin, "high": taskMax}
        # only this transformation's own tasks: an inherited file's TaskID is its parent's
        mine = f"{_TASKS} AND TaskID IN (SELECT TaskID FROM TransformationTasks WHERE {_TASKS})"
        await status.check_rows(
            tx, call, "file", f"Status AS old, 'Unused' AS new FROM TransformationFiles WHERE {mine}", parameters
        )
        await tx.execute(
            "UPDATE TransformationFiles SET Status = 'Unused', TaskID = NULL, UsedSE = 'Unknown', LastUpdate = :now"
            f" WHERE {mine}",
            {**parameters, "now": call.timestamp},
        )
        for table in ("TransformationFileTasks", "TaskInputs", "TransformationTasks"):
            await tx.execute(f"DELETE FROM {table} WHERE {_TASKS}", parameters)
        await log_line(tx, call, owner.id, f"Deleted tasks from {taskMin} to {taskMax}")

    await call.change(transName, body)


async def get_task_stats(call: Call, transName: int | str) -> dict[str, int]:
    """Count a transformation's tasks by status.

    :raises NotFound: no such transformation.
    """

    async def body(tx: Transaction) -> dict[str, int]:
        owner = await call.find(tx, transName)
        rows = await tx.fetch_all(
            "SELECT ExternalStatus, COUNT(*) AS n FROM TransformationTasks WHERE TransformationID = :trans"
            " GROUP BY ExternalStatus ORDER BY ExternalStatus",
            {"trans": owner.id},
        )
        return {row["ExternalStatus"]: row["n"] for row in rows}

    counts = await call.read(body)
    return {**counts, "TotalCreated": sum(counts.values())}


class TextOrNumber(fields.Text):
    """Text; a number counts as its JSON text."""

    def _own_schema(self) -> fields.JSONSchema:
        return {"anyOf": [super()._own_schema(), {"type": "number"}]}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return super()._deserialize(values.number_as_text(value), *args, **kwargs)


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    yield from submission.methods()
    trans = fields.Transformation(required=True)
    word = fields.Text(16, required=True, metadata={"description": "any word the workload system uses"})
    null = {"type": "null"}
    yield Method(
        "addTaskForTransformation",
        add_task,
        {
            "transName": trans,
            "lfns": fields.Texts(
                allow_none=True, load_default=list, metadata={"description": "the task's files; null for none"}
            ),
            "se": fields.Text(load_default="Unknown", metadata={"description": "storage element of the files"}),
        },
        result="the new task's id",
        right=True,
        schema={"type": "integer"},
    )
    yield Method(
        "getTransformationTasks",
        get_tasks,
        {
            **list_fields("CreationTime"),
            "inputVector": fields.Boolean(
                load_default=False, metadata={"description": "add InputVector: the LFNs joined by ;"}
            ),
            "offset": offset_field(),
            "after": after_field(pair=True),
        },
        result=f"list of objects with {', '.join(TASK_COLUMNS)}, and InputVector when asked",
        schema={"type": "array", "items": {"type": "object"}},
    )
    yield Method(
        "setTaskStatus",
        set_task_status,
        {
            "transName": trans,
            "taskID": fields.Ids(required=True, metadata={"description": "one task or a list of them"}),
            "status": word,
        },
        result="null",
        right=True,
        schema=null,
    )
    number = TextOrNumber(16, required=True, metadata={"description": "number in the workload system"})
    yield Method(
        "setTaskStatusAndWmsID",
        set_task_status_and_wms_id,
        {"transName": trans, "taskID": fields.Id(required=True), "status": word, "taskWmsID": number},
        result="null",
        right=True,
        schema=null,
    )
    yield Method(
        "deleteTasks",
        delete_tasks,
        {
            "transName": trans,
            "taskMin": fields.Id(0, required=True, metadata={"description": "first number"}),
            "taskMax": fields.Id(0, required=True, metadata={"description": "last number, included"}),
        },
        result="null",
        right=True,
        schema=null,
    )
    yield Method(
        "getTransformationTaskStats",
        get_task_stats,
        {"transName": trans},
        result='{status: number of tasks, "TotalCreated": number}',
        schema={"type": "object", "additionalProperties": {"type": "integer"}},
    )
