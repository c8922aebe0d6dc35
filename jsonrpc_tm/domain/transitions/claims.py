"""Tasks that are taken for a time: the number of a lease is a fence, which a later one outdates.

A task is claimable when it is Created, or Reserved under a lease that is past: whose LeaseUntil, which is never after
its Deadline, has come, or whose row is gone. The number stays with the task until it becomes Created.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ...core.clock import stored
from ...core.statuses import STOPPING_STATUSES
from ...storage.base import CHUNK, Row, chunks
from .. import task_parameters
from ..work import Held, Work
from . import files
from .status_rules import move
from .tasks import tell

KEPT = timedelta(days=1)
"""How long the row of a lease that has no task any more is kept after it is past."""
_RESERVED = "t.TransformationID = :trans AND t.ExternalStatus = 'Reserved'"
_MINE = "target.TransformationID = :trans AND target.TaskID = source.value"


class Lease(NamedTuple):
    """What a claim got.

    :param number: the fence.
    :param until: when others may claim the tasks.
    :param deadline: what no renewal goes past; None for none.
    """

    number: int
    until: datetime
    deadline: datetime | None


def stopping(trans: Held) -> bool:
    """Whether who works for a transformation should stop, because of its status."""
    return trans.status in STOPPING_STATUSES


async def claim(
    work: Work, trans: Held, number: int, seconds: int, deadline: int | None
) -> tuple[Lease | None, list[dict[str, Any]]]:
    """Take up to *number* claimable tasks, lowest numbers first: they are Reserved under a new lease.

    :param seconds: how long the lease lasts.
    :param deadline: seconds until the moment that it cannot be renewed past; None for none.
    :return: the lease, None when there is nothing to give; of each task TaskID, InputFiles, TargetSE, Parameters and
        ExternalStatus (before).
    :raises InvalidState: a plugin's rule forbids it.
    """
    if not number or stopping(trans):
        return None, []
    former = dict.fromkeys(await _created(work, trans, number), "Created")
    former |= dict.fromkeys(await _expired(work, trans, number), "Reserved")
    ids = sorted(former)[:number]
    if not ids:
        return None, []
    now = work.context.now
    end = None if deadline is None else now + timedelta(seconds=deadline)
    until = now + timedelta(seconds=seconds)
    lease = Lease(0, until if end is None else min(until, end), end)
    values = {"trans": trans.id, "until": stored(lease.until), "deadline": None if end is None else stored(end)}
    lease = lease._replace(
        number=await work.tx.insert(
            "INSERT INTO Leases (TransformationID, LeaseUntil, Deadline) VALUES (:trans, :until, :deadline)", values
        )
    )
    source = work.dialect.array("ids", "int")
    for chunk in chunks([task_id for task_id in ids if former[task_id] == "Created"]):
        parameters = {"trans": trans.id, "ids": work.dialect.pack(chunk), "lease": lease.number}
        known = {(trans.id, "Created", "Reserved"): len(chunk)}
        await move(work, "task", source, _MINE, "'Reserved'", parameters, {"Lease": ":lease"}, known=known)
    taken = {"Lease": ":lease", "LastUpdateTime": ":now"}
    again = work.dialect.update_join("TransformationTasks", source, _MINE, taken, by_key=True)
    for chunk in chunks([task_id for task_id in ids if former[task_id] == "Reserved"]):
        parameters = {"trans": trans.id, "ids": work.dialect.pack(chunk), "lease": lease.number}
        await work.tx.execute(again, {**parameters, "now": work.context.timestamp})
    tell(work, trans, ids, "Reserved")
    return lease, await _described(work, trans, ids, former)


async def _created(work: Work, trans: Held, number: int) -> list[int]:
    """Lock tasks that are Created and which nobody else is about to take."""
    ids: list[int] = await work.tx.fetch_column(
        f"SELECT t.TaskID FROM TransformationTasks t{work.dialect.by_status} WHERE t.TransformationID = :trans"
        f" AND t.ExternalStatus = 'Created' ORDER BY t.TaskID LIMIT {number:d}{work.dialect.skip_locked}",
        {"trans": trans.id},
    )
    return ids


async def _expired(work: Work, trans: Held, number: int) -> list[int]:
    """Lock tasks that are Reserved under leases which are past, and these leases: no renewal comes in between."""
    now = {"trans": trans.id, "now": work.context.timestamp}
    dialect = work.dialect
    # from lease to lease, then the tasks of those that are past: many tasks may be held by others
    held = dialect.steps("t.Lease", "TransformationTasks t", _RESERVED, ("t.TransformationID", "t.ExternalStatus"))
    seen = await work.tx.fetch_all(
        f"SELECT t.TaskID, t.Lease, l.LeaseUntil FROM ({held}) AS held LEFT JOIN Leases l ON l.Lease = held.value"
        f" {dialect.straight_join} TransformationTasks t ON {_RESERVED} AND t.Lease = held.value"
        f" WHERE l.Lease IS NULL OR l.LeaseUntil <= :now ORDER BY t.TaskID LIMIT {number:d}",
        now,
    )
    if not seen:
        return []
    past: set[int | None] = {row["Lease"] for row in seen if row["LeaseUntil"] is None}
    leases = sorted({row["Lease"] for row in seen} - past)
    sql = (
        f"SELECT l.Lease FROM {dialect.array('leases', 'int')} AS wanted {dialect.straight_join} Leases l"
        f"{dialect.by_key} ON l.Lease = wanted.value WHERE l.LeaseUntil <= :now{dialect.skip_locked}"
    )
    for some in chunks(leases):
        past.update(await work.tx.fetch_column(sql, {"leases": dialect.pack(some), "now": now["now"]}))
    sql = (
        f"SELECT t.TaskID FROM {dialect.records('tasks', TaskID='int', Lease='int')} AS wanted"
        f" {dialect.straight_join} TransformationTasks t{dialect.by_key}"
        f" ON {_RESERVED} AND t.TaskID = wanted.TaskID AND t.Lease = wanted.Lease{dialect.skip_locked}"
    )
    ids: list[int] = []
    for chunk in chunks([(row["TaskID"], row["Lease"]) for row in seen if row["Lease"] in past]):
        ids += await work.tx.fetch_column(sql, {"trans": trans.id, "tasks": dialect.pack(chunk)})
    return ids


async def _described(work: Work, trans: Held, ids: Sequence[int], former: dict[int, str]) -> list[dict[str, Any]]:
    sql = (
        f"SELECT t.TaskID, t.TargetSE, COALESCE(i.InputVector, '') AS names FROM {work.dialect.array('ids', 'int')}"
        f" AS wanted {work.dialect.straight_join} TransformationTasks t"
        " ON t.TransformationID = :trans AND t.TaskID = wanted.value"
        " LEFT JOIN TaskInputs i ON i.TransformationID = :trans AND i.TaskID = t.TaskID"
    )
    rows: list[Row] = []
    for chunk in chunks(ids):
        rows += await work.tx.fetch_all(sql, {"trans": trans.id, "ids": work.dialect.pack(chunk)})
    inputs = {row["TaskID"]: row["names"].split(files.SEPARATOR) if row["names"] else [] for row in rows}
    parameters = await task_parameters.of_tasks(work, trans, inputs)
    targets = {row["TaskID"]: row["TargetSE"] for row in rows}
    return [
        {
            "TaskID": task_id,
            "InputFiles": inputs[task_id],
            "TargetSE": targets[task_id],
            "Parameters": parameters[task_id],
            "ExternalStatus": former[task_id],
        }
        for task_id in ids
    ]


async def renew(work: Work, trans: Held, lease: int, seconds: int) -> tuple[str | None, int, bool]:
    """Let a lease last from now on, but not past its deadline.

    :param lease: its number.
    :param seconds: how long.
    :return: when it ends, in the stored form, None where nobody knows it; how many tasks are Reserved under it; and
        whether its holder should stop.
    """
    mine = {"lease": lease, "trans": trans.id}
    # before the tasks are counted: who claims what is past locks it too
    row = await work.tx.fetch_one(
        "SELECT LeaseUntil, Deadline FROM Leases WHERE Lease = :lease AND TransformationID = :trans"
        f"{work.dialect.for_update}",
        mine,
    )
    number: int = await work.tx.fetch_value(
        f"SELECT COUNT(*) FROM TransformationTasks t WHERE {_RESERVED} AND t.Lease = :lease", mine
    )
    if row is None:
        return None, number, True
    until, deadline = row["LeaseUntil"], row["Deadline"]
    if number:
        until = stored(work.context.now + timedelta(seconds=seconds))
        until = until if deadline is None else min(until, deadline)
        await work.tx.execute("UPDATE Leases SET LeaseUntil = :until WHERE Lease = :lease", {**mine, "until": until})
    over = deadline is not None and deadline <= work.context.timestamp
    return until, number, not number or over or stopping(trans)


async def release(work: Work, trans: Held, lease: int) -> int:
    """Give back the tasks that are still Reserved under a lease: they are Created again. Return their number.

    :raises InvalidState: a plugin's rule forbids it.
    """
    mine = {"lease": lease, "trans": trans.id}
    ids = await work.tx.fetch_column(
        f"SELECT t.TaskID FROM TransformationTasks t WHERE {_RESERVED} AND t.Lease = :lease"
        f" ORDER BY t.TaskID{work.dialect.for_update}",
        mine,
    )
    for chunk in chunks(ids):
        parameters = {"trans": trans.id, "ids": work.dialect.pack(chunk)}
        await move(work, "task", work.dialect.array("ids", "int"), _MINE, "'Created'", parameters)
    if ids:
        tell(work, trans, ids, "Created")
    return len(ids)


async def forget(work: Work) -> None:
    """Forget leases that have long been past and have no task any more, as many as one statement takes."""
    oldest = {"oldest": stored(work.context.now - KEPT)}
    unused = (
        "NOT EXISTS (SELECT 1 FROM TransformationTasks t WHERE t.TransformationID = l.TransformationID"
        " AND t.ExternalStatus = 'Reserved' AND t.Lease = l.Lease)"
    )
    old = await work.tx.fetch_column(
        f"SELECT l.Lease FROM Leases l WHERE l.LeaseUntil < :oldest AND {unused} ORDER BY l.LeaseUntil LIMIT {CHUNK}",
        oldest,
    )
    if old:
        on = "target.Lease = source.value AND target.LeaseUntil < :oldest"
        sql = work.dialect.delete_join("Leases", work.dialect.array("leases", "int"), on, ("Lease",))
        await work.tx.execute(sql, {**oldest, "leases": work.dialect.pack(sorted(old))})
