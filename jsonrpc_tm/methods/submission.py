"""Empty tasks for simulations, and handing tasks out for submission."""

from collections.abc import Iterable
from typing import Any

from ..core import fields
from ..core.errors import InvalidState
from ..domain import reports
from ..domain.transitions import tasks
from ..domain.work import Held, Work
from ..rpc import results
from ..rpc.method import Change, Method

MOST_TASKS = 1_000_000
"""The most tasks of one call: their numbers are the answer."""


async def extend(work: Work, transformation: Held, nTasks: int) -> list[int]:
    """Add empty tasks to a transformation that simulates. Return their ids.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: its type is not one of ``transformations.extendable_types``.
    """
    types = work.parts.settings["transformations.extendable_types"]
    if transformation.type.casefold() not in [word.casefold() for word in types]:
        what = f"{transformation.name!r} is of type {transformation.type!r}"
        raise InvalidState(f"{what}; only {', '.join(types)} can be extended", reason="not extendable")
    return await tasks.extend(work, transformation, nTasks)


async def get_tasks_to_submit(work: Work, transformation: Held, numTasks: int, site: str) -> dict[str, Any]:
    """Hand out tasks that were Created, lowest numbers first, and make them Reserved: nobody else gets them.

    In the answer's JobDictionary ``Status`` is the status before, and ``InputData`` the LFNs joined by ``;``.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids it.
    """
    reserved = await tasks.reserve(work, transformation, numTasks)
    place = {"Site": site} if site else {}
    jobs = {str(task["TaskID"]): {**task, **place} for task in reserved}
    return {**await reports.row_of(work, transformation), "JobDictionary": jobs}


def methods() -> Iterable[Method]:
    """Yield the methods."""
    trans = fields.Transformation(required=True)
    yield Method(
        "extendTransformation",
        extend,
        {
            "transName": trans,
            "nTasks": fields.Count(MOST_TASKS, required=True, metadata={"description": "how many tasks to add"}),
        },
        access=Change(),
        errors=(InvalidState,),
        result=results.listed(results.INTEGER, "the new tasks' ids"),
    )
    job = results.members(
        "",
        optional=("Site",),
        TaskID=results.INTEGER,
        TransformationID=results.INTEGER,
        TargetSE=results.TEXT,
        Status=results.TEXT,
        InputData=results.TEXT,
        Site=results.TEXT,
    )
    yield Method(
        "getTasksToSubmit",
        get_tasks_to_submit,
        {
            "transName": trans,
            "numTasks": fields.Count(required=True, metadata={"description": "the most tasks wanted"}),
            "site": fields.Text(load_default="", metadata={"description": "given back with each task as Site"}),
        },
        access=Change(),
        errors=(InvalidState,),
        result=results.extended(
            results.TRANSFORMATION, "the transformation with its tasks by id", JobDictionary=results.mapped(job)
        ),
    )
