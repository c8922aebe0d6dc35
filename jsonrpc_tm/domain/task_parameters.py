"""The parameters with which a task runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.identity import Transformation
from . import attributes, names
from .parameters import additional, same
from .work import Work

_KINDS = (
    "SELECT Kind FROM (SELECT 'file' AS Kind UNION ALL SELECT 'task') AS kinds WHERE EXISTS (SELECT 1"
    " FROM ObjectAttributes o WHERE o.TransformationID = :trans AND o.Kind = kinds.Kind)"
)


async def of_tasks(work: Work, trans: Transformation, inputs: Mapping[int, Sequence[str]]) -> dict[int, dict[str, Any]]:
    """Return the parameters of tasks: the transformation's, over them what all files share, over them the task's own.

    :param inputs: the files of each task.
    """
    common = (await additional(work, [trans.id])).get(trans.id, {})
    # most transformations have neither
    kinds = await work.tx.fetch_column(_KINDS, {"trans": trans.id})
    own = await attributes.of_numbers(work, trans, "task", list(inputs)) if "task" in kinds else {}
    shared: dict[int, dict[str, Any]] = {}
    if "file" in kinds:
        lfns = list({lfn for task in inputs.values() for lfn in task})
        ids = {row["LFN"]: row["FileID"] for row in await names.by_name(work, lfns)}
        values = await attributes.of_numbers(work, trans, "file", sorted(ids.values()))
        for task_id, task in inputs.items():
            shared[task_id] = _shared([values.get(ids.get(lfn, 0), {}) for lfn in task])
    return {task_id: {**common, **shared.get(task_id, {}), **own.get(task_id, {})} for task_id in inputs}


def _shared(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, others = (values[0], values[1:]) if values else ({}, ())
    return {
        name: value
        for name, value in first.items()
        if all(name in other and same(value, other[name]) for other in others)
    }
