"""The tasks of a transformation: making, listing, reporting, deleting. Handing them out is in ``submission``."""

from collections.abc import Iterable
from typing import Any

from ..core import fields
from ..core.errors import InvalidState
from ..core.identity import Transformation
from ..core.model import TASK_COLUMNS
from ..domain import reports, tallies
from ..domain.page import Page
from ..domain.rows import Rows
from ..domain.transitions import tasks
from ..domain.work import Held, Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Change, Method, Read
from ..storage.where import invalid
from . import submission, task_fields
from .lists import after_field, list_fields, offset_field


async def add_task(work: Work, transformation: Held, lfns: list[str] | None, se: str) -> int:
    """Make a task of files that no other task has; without files an empty one. Return its id.

    The files become Assigned, with the task's id and UsedSE = *se*. Of two calls for one file exactly one wins.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: files that are not in the transformation, or neither Unused nor ProbInFC, or whose name
        contains ``;``; ``data.files`` lists them and nothing happened.
    """
    (made,) = await tasks.add_with_files(work, transformation, [tasks.NewTask(list(dict.fromkeys(lfns or ())), se)])
    return made


async def get_tasks(work: Work, inputVector: bool, **page: Any) -> Rows:
    """List tasks of transformations, in the order of TransformationID and TaskID unless asked otherwise.

    :raises InvalidParams: an unknown column, a value that does not fit.
    """
    return reports.tasks(work, Page(**page), input_vector=inputVector)


async def set_task_status(work: Work, transformation: Held, taskID: list[int], status: str) -> None:
    """Set the status of one task or several, all or none.

    :raises NotFound: no such transformation, or tasks that are not in it, which ``data.missing`` lists.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    await tasks.report(work, transformation, taskID, {"ExternalStatus": status})


async def set_task_status_and_wms_id(
    work: Work, transformation: Held, taskID: int, status: str, taskWmsID: str
) -> None:
    """Set the status of a task and its number in the workload system, both together.

    :raises NotFound: no such transformation, or no such task in it.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids the change.
    """
    await tasks.report(work, transformation, [taskID], {"ExternalStatus": status, "ExternalID": taskWmsID})


async def in_order(outside: Outside, taskMin: int, taskMax: int) -> None:
    """Refuse a range that ends before it begins."""
    if taskMin > taskMax:
        raise invalid("taskMin", ["Must not be more than taskMax."])


async def delete_tasks(work: Work, transformation: Held, taskMin: int, taskMax: int) -> None:
    """Delete the tasks with numbers from *taskMin* to *taskMax*, both included. The numbers are not given again.

    Their files become Unused, with no task and UsedSE Unknown.

    :raises InvalidParams: *taskMin* is more than *taskMax*.
    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids what happens to the files.
    """
    await tasks.drop(work, transformation, taskMin, taskMax)


async def get_task_stats(work: Work, transformation: Transformation) -> dict[str, int]:
    """Count a transformation's tasks by status.

    :raises NotFound: no such transformation.
    """
    return await tallies.task_statuses(work, transformation)


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    yield from submission.methods()
    trans = fields.Transformation(required=True)
    word = fields.Text(16, required=True, metadata={"description": "any word the workload system uses"})
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
        access=Change(),
        errors=(InvalidState,),
        result=results.said(results.INTEGER, "the new task's id"),
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
        access=Read(),
        result=results.listed(results.TASK, f"objects with {', '.join(TASK_COLUMNS)}, and InputVector when asked"),
        streams=500,  # and these may be
    )
    yield Method(
        "setTaskStatus",
        set_task_status,
        {
            "transName": trans,
            "taskID": fields.Ids(required=True, metadata={"description": "one task or a list of them"}),
            "status": word,
        },
        access=Change(shared=True),
        errors=(InvalidState,),
        result=results.NULL,
    )
    number = task_fields.TextOrNumber(16, required=True, metadata={"description": "number in the workload system"})
    yield Method(
        "setTaskStatusAndWmsID",
        set_task_status_and_wms_id,
        {"transName": trans, "taskID": fields.Id(required=True), "status": word, "taskWmsID": number},
        access=Change(shared=True),
        errors=(InvalidState,),
        result=results.NULL,
    )
    yield Method(
        "deleteTasks",
        delete_tasks,
        {
            "transName": trans,
            "taskMin": fields.Id(0, required=True, metadata={"description": "first number"}),
            "taskMax": fields.Id(0, required=True, metadata={"description": "last number, included"}),
        },
        access=Change(),
        prepare=in_order,
        errors=(InvalidState,),
        result=results.NULL,
    )
    yield Method(
        "getTransformationTaskStats",
        get_task_stats,
        {"transName": trans},
        access=Read("transName"),
        result=results.totalled("TotalCreated", "number of tasks by status, and of all"),
    )
