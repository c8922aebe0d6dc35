"""Tasks in bulk, and claims of tasks: who takes them has them for a time, and its reports are known by a number."""

from collections.abc import Iterable
from typing import Any

from ..core import fields
from ..core.clock import answered
from ..core.errors import Conflict, InvalidState
from ..domain import reports
from ..domain.transitions import claims, tasks
from ..domain.work import Held, Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Afterwards
from ..rpc.method import Change, Method
from .task_fields import NewTasks, Updates

LONGEST = 10 * 366 * 86400
"""The longest lease, seconds."""
_EVERY = 100
"""Old leases are forgotten once in so many claims."""


async def add_tasks(work: Work, transformation: Held, tasks: list[tasks.NewTask]) -> list[int]:
    """Make tasks of files that no other task has, all or none. Return their ids, in the order given.

    Each has ``lfns`` (none: an empty task), ``se`` (its TargetSE, and its files' UsedSE) and ``parameters`` (its
    attributes, see claimTasks). The files become Assigned. Of two calls for one file exactly one wins.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: files that are in two of the tasks, not in the transformation, neither Unused nor ProbInFC, or
        whose name contains ``;``; ``data.files`` lists them and nothing happened.
    """
    return await _add(work, transformation, tasks)


_add = tasks.add_with_files


async def update_tasks(work: Work, transformation: Held, updates: list[tasks.Update]) -> int:
    """Report on tasks, each in its own way, all or none. Return how many were named.

    An update that carries a ``Lease`` is for who has claimed the task under this number: when somebody else has
    claimed it since, or it became Created, nothing changes.

    :raises NotFound: no such transformation, or tasks that are not in it, which ``data.missing`` lists.
    :raises Forbidden: no right on it.
    :raises Conflict: a task's lease is another (``data.reason`` is ``lease lost``); ``data.tasks`` lists them.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    await tasks.update(work, transformation, updates)
    return len(updates)


async def claim_tasks(
    work: Work, transformation: Held, numTasks: int, site: str, lease: int, deadline: int | None
) -> dict[str, Any]:
    """Take tasks for a time: those that are Created, or Reserved under a lease that is past, lowest numbers first.

    They are Reserved now. Whoever takes them reports with the ``Lease``, a number that is never given twice and higher
    than any before. Until ``LeaseUntil`` nobody else gets those that are still Reserved; see renewLease.
    ``Parameters`` are the transformation's additional parameters, overlaid by the attributes that all files of the task
    share, overlaid by the task's own. ExternalStatus is the one before.

    With nothing to give, or while renewLease would say Stop, Lease is null and Tasks is empty.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids it.
    """
    got, taken = await claims.claim(work, transformation, numTasks, lease, deadline)
    if site:
        taken = [{**task, "Site": site} for task in taken]
    return {
        "Lease": got and got.number,
        "LeaseUntil": got and answered(got.until),
        "Deadline": answered(got.deadline) if got and got.deadline else None,
        "Transformation": await reports.row_of(work, transformation),
        "Tasks": taken,
    }


async def forget_leases(outside: Afterwards, result: dict[str, Any], prepared: None) -> None:
    """Old leases are forgotten."""
    if result["Lease"] and result["Lease"] % _EVERY == 0:
        await outside.write(claims.forget)


async def renew_lease(work: Work, transformation: Held, lease: int, seconds: int) -> dict[str, Any]:
    """Let a lease last *seconds* from now, but not past its deadline.

    ``Tasks`` tells how many tasks are Reserved under it. ``Stop`` is true when its holder should stop: no task is left
    under it, nobody knows it (LeaseUntil is null), its deadline is past, or the transformation is Stopped, Archived,
    Cleaning, Cleaned, TransformationCleaned or Deleted.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    """
    until, number, stop = await claims.renew(work, transformation, lease, seconds)
    return {"LeaseUntil": until and answered(until), "Tasks": number, "Stop": stop}


async def release_lease(work: Work, transformation: Held, lease: int) -> int:
    """Give back the tasks that are still Reserved under a lease: they are Created again. Return their number.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids it.
    """
    return await claims.release(work, transformation, lease)


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    trans = fields.Transformation(required=True)
    lease = fields.Id(required=True, metadata={"description": "the number that claimTasks gave"})
    yield Method(
        "addTasks",
        add_tasks,
        {
            "transName": trans,
            "tasks": NewTasks(required=True, metadata={"description": "files, storage element, attributes of each"}),
        },
        access=Change(),
        errors=(InvalidState,),
        result=results.listed(results.INTEGER, "the new tasks' ids, in order"),
    )
    yield Method(
        "updateTasks",
        update_tasks,
        {
            "transName": trans,
            "updates": Updates(required=True, metadata={"description": "what is new of each task"}),
        },
        access=Change(shared=True),
        errors=(Conflict, InvalidState),
        result=results.said(results.INTEGER, "number of tasks named"),
    )
    task = results.members(
        "",
        optional=("Site",),
        TaskID=results.INTEGER,
        InputFiles=results.listed(results.TEXT, "in the order given when it was made"),
        TargetSE=results.TEXT,
        Parameters=results.mapped(results.ANYTHING),
        ExternalStatus=results.TEXT,
        Site=results.TEXT,
    )
    yield Method(
        "claimTasks",
        claim_tasks,
        {
            "transName": trans,
            "numTasks": fields.Count(required=True, metadata={"description": "the most tasks wanted"}),
            "site": fields.Text(load_default="", metadata={"description": "given back with each task as Site"}),
            "lease": _seconds(load_default=3600, metadata={"description": "how long they are the caller's, seconds"}),
            "deadline": _seconds(
                allow_none=True,
                load_default=None,
                metadata={"description": "seconds from now that no renewal goes past; null for none"},
            ),
        },
        access=Change(shared=True),
        after=forget_leases,
        errors=(InvalidState,),
        result=results.members(
            "the claim",
            Lease=results.nullable(results.INTEGER),
            LeaseUntil=results.nullable(results.MOMENT),
            Deadline=results.nullable(results.MOMENT),
            Transformation=results.TRANSFORMATION,
            Tasks=results.listed(task),
        ),
    )
    yield Method(
        "renewLease",
        renew_lease,
        {
            "transName": trans,
            "lease": lease,
            "seconds": _seconds(load_default=3600, metadata={"description": "how long from now"}),
        },
        access=Change(shared=True),
        result=results.members(
            "the lease",
            LeaseUntil=results.nullable(results.MOMENT),
            Tasks=results.said(results.INTEGER, "how many are Reserved under it"),
            Stop=results.BOOLEAN,
        ),
    )
    yield Method(
        "releaseLease",
        release_lease,
        {"transName": trans, "lease": lease},
        access=Change(shared=True),
        errors=(InvalidState,),
        result=results.said(results.INTEGER, "number of tasks given back"),
    )


def _seconds(**options: Any) -> fields.Integer:
    return fields.Integer(1, LONGEST, **options)
