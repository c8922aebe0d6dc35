"""The work on a bulk operation: what it would do, and one chunk of it after the other."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

import orjson

from ...core.errors import Forbidden
from ...storage.base import Row
from .. import parameters
from ..work import Work
from . import actions, operations
from .actions import ACTIONS, ActionArguments
from .objects import OBJECTS, ObjectKey, State, What
from .operations import UNDO, BulkOperation

SAMPLE = 10
"""How many objects a preview names."""
_TRANSFORMATIONS_AT_ONCE = 50
"""How many a chunk locks: each takes statements of its own."""
_STATES = 500_000
"""Characters of noted states that travel in one statement; as literals they may take several times as many bytes."""
_ITEMS = (
    "SELECT Position, TransformationID, ObjectID, Former, Later FROM BulkItems"
    " WHERE BulkID = :bulk AND Position > :position ORDER BY Position"
)


def shown(what: What, key: ObjectKey) -> int | list[int]:
    """Return how an object is named to callers: an id, of files and tasks the transformation's and its own."""
    return key[0] if what == "transformations" else list(key)


async def preview(
    work: Work, allowed: bool, what: What, conditions: Mapping[str, Any], action: str, arguments: ActionArguments
) -> dict[str, Any]:
    """Return what an operation would do: Count (without the refused), Refused by type of error, and a Sample.

    :param allowed: whether the caller may call the method that does it to one object.
    :raises InvalidParams: an unknown name in the condDict, a value that does not fit.
    """
    objects, one = OBJECTS[what], ACTIONS[what][action]
    where = objects.chosen(work, conditions)
    groups = await objects.by_status(work, where)
    mine = await work.changeable(sorted({row["trans"] for row in groups})) if allowed else set()
    refused: Counter[str] = Counter()
    free = []
    for row in groups:
        error = one.foresee(work, arguments, row["status"]) if row["trans"] in mine else Forbidden.type
        if error is None:
            free.append(row)
        else:
            refused[error] += row["number"]
    chosen = [(row["trans"], row["status"]) for row in free]
    sample = await objects.first(work, where, chosen, SAMPLE) if chosen else []
    return {
        "Count": sum(row["number"] for row in free),
        "Refused": dict(refused),
        "Sample": [shown(what, key) for key in sample],
    }


async def chunk(work: Work, bulk_id: int, allowed: bool) -> bool:
    """Do the next objects of an operation; return whether some are left.

    :param work: on behalf of the operation's author, as the registry has it now.
    :param allowed: whether the author may still call the method that does it to one object.
    """
    operation = await operations.take(work, bulk_id)
    if operation is None:
        return False
    one = None if operation.action == UNDO else ACTIONS[operation.what][operation.action]
    size = actions.OBJECTS_AT_ONCE if one is None else one.objects
    found = await work.tx.fetch_all(f"{_ITEMS} LIMIT {size:d}", {"bulk": bulk_id, "position": operation.position})
    few = set(list(dict.fromkeys(row["TransformationID"] for row in found))[:_TRANSFORMATIONS_AT_ONCE])
    rows = list(takewhile(lambda row: row["TransformationID"] in few, found))
    outcomes = await _change(work, operation, rows, allowed)
    await _note(work, operation, rows, outcomes)
    more = len(rows) < len(found) or len(found) == size
    if not more:
        await operations.end(work, bulk_id, "Done")
    return more


async def _change(work: Work, operation: BulkOperation, rows: Sequence[Row], allowed: bool) -> dict[ObjectKey, str]:
    """Change the objects of a chunk; return the outcome of each: ``done``, ``skipped``, or the type of an error.

    The row of an object gets its Former and Later.
    """
    objects = OBJECTS[operation.what]
    keys = [_key(row) for row in rows]
    held, forbidden = await work.hold_allowed(sorted({trans for trans, _ in keys}))
    before = await _states(work, operation, await objects.matching(work, keys, operation.conditions))
    outcomes: dict[ObjectKey, str] = {}
    by_trans: dict[int, dict[ObjectKey, Row]] = {}
    for key, row in zip(keys, rows, strict=True):
        by_trans.setdefault(key[0], {})[key] = row
    for trans_id, mine in sorted(by_trans.items()):
        for key, row in mine.items():
            undoes = operation.action == UNDO
            if key not in before or (undoes and not parameters.same(before[key], orjson.loads(row["Later"]))):
                outcomes[key] = "skipped"
            elif not allowed or trans_id in forbidden:
                outcomes[key] = Forbidden.type
        numbers = [number for _, number in mine if (trans_id, number) not in outcomes]
        if not numbers:
            continue
        if operation.action == UNDO:
            states = {number: orjson.loads(mine[trans_id, number]["Former"]) for number in numbers}
            refused = await actions.put_back(work, operation, held[trans_id], states)
        else:
            one = ACTIONS[operation.what][operation.action]
            refused = await actions.apply(work, one, held[trans_id], numbers, operation.arguments)
        outcomes |= {(trans_id, number): refused.get(number, "done") for number in numbers}
    done = [key for key, outcome in outcomes.items() if outcome == "done"]
    after = await _states(work, operation, await objects.matching(work, done, None))
    for key, row in zip(keys, rows, strict=True):
        if outcomes[key] == "done":
            row["Former"], row["Later"] = _text(before[key]), _text(after.get(key))
    return outcomes


async def _states(work: Work, operation: BulkOperation, states: Mapping[ObjectKey, State]) -> Mapping[ObjectKey, State]:
    """Return what an operation changes of objects: their *states*, or a parameter, as a list without or with it."""
    name = operation.parameter
    if name is None or not states:
        return states
    values = await parameters.of_all(work, sorted(trans for trans, _ in states), name)
    return {key: [values[key[0]]] if key[0] in values else [] for key in states}


def _key(row: Row) -> ObjectKey:
    return row["TransformationID"], row["ObjectID"]


def _text(state: Any) -> str:
    return orjson.dumps(state).decode()


async def _note(work: Work, operation: BulkOperation, rows: Sequence[Row], outcomes: Mapping[ObjectKey, str]) -> None:
    """Write what became of the objects of a chunk, and how far the operation is."""
    if not rows:
        return
    dialect = work.dialect
    marks = [[row["Position"], outcomes[_key(row)], row["Former"], row["Later"]] for row in rows]
    for mark in marks:
        mark[1] = mark[1] if mark[1] in ("done", "skipped") else "refused"
    source = dialect.records("marks", position_="int", outcome="text", former="text", later="text")
    assigned = {"Outcome": "source.outcome", "Former": "source.former", "Later": "source.later"}
    on = "target.BulkID = :bulk AND target.Position = source.position_"
    bulk = {"bulk": operation.id}
    sql = dialect.update_join("BulkItems", source, on, assigned)
    for some in _portions(marks):
        await work.tx.execute(sql, {**bulk, "marks": dialect.pack(some)})
    counted = Counter(outcomes.values())
    done, skipped = counted.pop("done", 0), counted.pop("skipped", 0)
    await work.tx.execute(
        "UPDATE BulkOperations SET Done = Done + :done, Skipped = Skipped + :skipped, Refused = :refused,"
        " Position = :position WHERE BulkID = :bulk",
        {
            **bulk,
            "done": done,
            "skipped": skipped,
            "refused": _text(dict(Counter(operation.refused) + counted)),
            "position": rows[-1]["Position"],
        },
    )


def _portions(marks: Sequence[list[Any]]) -> Iterator[list[list[Any]]]:
    """Yield marks, as many together as a statement has room for: the bodies of many transformations are long."""
    pending: list[list[Any]] = []
    size = 0
    for mark in marks:
        length = len(mark[2] or "") + len(mark[3] or "")
        if pending and size + length > _STATES:
            yield pending
            pending, size = [], 0
        pending.append(mark)
        size += length
    yield pending
