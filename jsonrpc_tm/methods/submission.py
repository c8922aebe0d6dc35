"""New tasks and their numbers; handing tasks out for submission."""

from collections.abc import Iterable
from typing import Any

from ..core import fields
from ..core.errors import InvalidState
from ..core.identity import Owner
from ..core.model import CORE_PARAMETERS, TRANSFORMATIONS
from ..rpc.call import Call
from ..rpc.method import Method
from ..storage.base import Transaction, chunks
from . import status
from .listing import wire
from .log import log_line

MOST_TASKS = 1_000_000
"""The most tasks of one call: their numbers are the answer."""


async def insert_tasks(tx: Transaction, call: Call, trans_id: int, number: int, se: str = "Unknown") -> list[int]:
    """Make *number* tasks of a transformation that is locked, and return their ids.

    Ids count on from the last one ever given, whatever became of its task.

    :raises InvalidState: a plugin's rule forbids it.
    """
    if number == 0:
        return []
    status.check(call, "task", [(None, "Created")])
    counter = {"trans": trans_id, "number": number}
    await tx.execute(
        "UPDATE TaskCounters SET LastTaskID = LastTaskID + :number WHERE TransformationID = :trans", counter
    )
    last = await tx.fetch_value("SELECT LastTaskID FROM TaskCounters WHERE TransformationID = :trans", counter)
    ids = list(range(last - number + 1, last + 1))
    for chunk in chunks(ids):
        await tx.execute(
            "INSERT INTO TransformationTasks (TransformationID, TaskID, ExternalStatus, ExternalID, TargetSE,"
            " CreationTime, LastUpdateTime) SELECT :trans, value, 'Created', '0', :se, :now, :now"
            f" FROM {tx.dialect.array('ids', 'int')} AS made",
            {"trans": trans_id, "ids": tx.dialect.pack(chunk), "se": se, "now": call.timestamp},
        )
    return ids


async def extend(call: Call, transName: int | str, nTasks: int) -> list[int]:
    """Add empty tasks to a transformation that simulates. Return their ids.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: its type is not one of ``transformations.extendable_types``.
    """

    async def body(tx: Transaction, owner: Owner) -> list[int]:
        types = call.settings["transformations.extendable_types"]
        if owner.type.casefold() not in [word.casefold() for word in types]:
            raise InvalidState(f"{owner.name!r} is of type {owner.type!r}; only {', '.join(types)} can be extended")
        ids = await insert_tasks(tx, call, owner.id, nTasks)
        await log_line(tx, call, owner.id, f"Transformation extended by {nTasks} tasks")
        return ids

    return await call.change(transName, body)


async def get_tasks_to_submit(call: Call, transName: int | str, numTasks: int, site: str) -> dict[str, Any]:
    """Hand out tasks that were Created, lowest numbers first, and make them Reserved: nobody else gets them.

    In the answer's JobDictionary ``Status`` is the status before, and ``InputData`` the LFNs joined by ``;``.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids it.
    """

    async def body(tx: Transaction, owner: Owner) -> dict[str, Any]:
        parameters: dict[str, Any] = {"trans": owner.id}
        row = await tx.fetch_one(
            f"SELECT {', '.join(CORE_PARAMETERS)} FROM Transformations WHERE TransformationID = :trans", parameters
        )
        assert row is not None  # its row is locked
        tasks: list[dict[str, Any]] = []
        if numTasks:
            tasks = await tx.fetch_all(
                "SELECT t.TaskID, t.TransformationID, t.TargetSE, t.ExternalStatus AS Status,"
                " COALESCE(i.InputVector, '') AS InputData FROM TransformationTasks t"
                " LEFT JOIN TaskInputs i ON i.TransformationID = t.TransformationID AND i.TaskID = t.TaskID"
                " WHERE t.TransformationID = :trans AND t.ExternalStatus = 'Created'"
                f" ORDER BY t.TaskID LIMIT {numTasks:d}",
                parameters,
            )
        if tasks:
            status.check(call, "task", [("Created", "Reserved")])
        await _reserve(tx, call, owner, [task["TaskID"] for task in tasks])
        place = {"Site": site} if site else {}
        (answer,) = wire([row], TRANSFORMATIONS)
        return {**answer, "JobDictionary": {str(task["TaskID"]): {**task, **place} for task in tasks}}

    return await call.change(transName, body)


async def _reserve(tx: Transaction, call: Call, owner: Owner, ids: list[int]) -> None:
    on = "target.TransformationID = :trans AND target.TaskID = source.value AND target.ExternalStatus = 'Created'"
    assignments = {"ExternalStatus": "'Reserved'", "LastUpdateTime": ":now"}
    update = tx.dialect.update_join("TransformationTasks", tx.dialect.array("ids", "int"), on, assignments)
    for chunk in chunks(ids):
        await tx.execute(update, {"trans": owner.id, "ids": tx.dialect.pack(chunk), "now": call.timestamp})


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
        result="list of the new tasks' ids",
        right=True,
        schema={"type": "array", "items": {"type": "integer"}},
    )
    yield Method(
        "getTasksToSubmit",
        get_tasks_to_submit,
        {
            "transName": trans,
            "numTasks": fields.Count(required=True, metadata={"description": "the most tasks wanted"}),
            "site": fields.Text(load_default="", metadata={"description": "given back with each task as Site"}),
        },
        result="the transformation with JobDictionary: {task id: {TaskID, TransformationID, TargetSE, Status, InputData"
        "[, Site]}}",
        right=True,
        schema={"type": "object"},
    )
