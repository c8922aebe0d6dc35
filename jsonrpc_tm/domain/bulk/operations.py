"""The rows of bulk operations: how they begin, are told of, and end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from ...core.errors import InvalidState, NotFound
from ...core.identity import MANAGEMENT
from ...core.model import BULK_OPERATIONS
from ...storage.base import CHUNK, Row, exclude_other_nodes
from ...storage.where import Expression, Where
from ..page import Page
from ..rows import in_answers
from ..work import Work
from .objects import OBJECTS, What

UNDO = "undo"
"""The action of an operation that undoes another."""
_TOLD = {name: Expression(f"b.{name}", column.kind) for name, column in BULK_OPERATIONS.columns.items()}
_FIXED = "INSERT INTO BulkItems (BulkID, Position, TransformationID, ObjectID"


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """A bulk operation, as who works at it needs it.

    :param conditions: what its objects must still fulfil; None for an operation that undoes another.
    :param position: of the last object that is done.
    """

    id: int
    what: What
    action: str
    arguments: Mapping[str, Any]
    conditions: Mapping[str, Any] | None
    position: int
    refused: Mapping[str, int]

    @property
    def parameter(self) -> str | None:
        """The parameter that it sets or puts back; a status is none."""
        name: str | None = self.arguments.get("name")
        return None if name == "Status" else name


async def start(
    work: Work, what: What, conditions: Mapping[str, Any], action: str, arguments: Mapping[str, Any]
) -> int:
    """Begin an operation on what fulfils a condDict now and the caller may read; return its id.

    :raises InvalidParams: an unknown name in the condDict, a value that does not fit.
    """
    objects = OBJECTS[what]
    where = objects.chosen(work, conditions)
    bulk_id = await _insert(work, what, action, arguments, conditions)
    found = await work.tx.execute(
        f"{_FIXED}) SELECT :bulk, ROW_NUMBER() OVER (ORDER BY {objects.trans}, {objects.number}), {objects.trans},"
        f" {objects.number} FROM {objects.source} WHERE {where.text}",
        {**where.parameters, "bulk": bulk_id},
    )
    await _set_total(work, bulk_id, found)
    return bulk_id


async def undo(work: Work, bulk_id: int) -> int:
    """Begin an operation that puts back what another one has done, the last object first; return its id.

    :raises NotFound: there is no such operation of the caller's.
    :raises InvalidState: it still runs, or it cleans.
    """
    row = await _own(work, bulk_id, lock=True)
    if row["Action"] == "clean":
        raise InvalidState("What was cleaned cannot be brought back")
    if row["State"] == "Running":
        raise InvalidState(f"Operation {bulk_id} still runs: cancel it first")
    given = await work.tx.fetch_value("SELECT Arguments FROM BulkOperations WHERE BulkID = :bulk", {"bulk": bulk_id})
    undone = await _insert(work, row["What"], UNDO, {**orjson.loads(given), "id": bulk_id}, None)
    found = await work.tx.execute(
        f"{_FIXED}, Former, Later) SELECT :undone, ROW_NUMBER() OVER (ORDER BY Position DESC), TransformationID,"
        " ObjectID, Former, Later FROM BulkItems WHERE BulkID = :bulk AND Outcome = 'done'",
        {"undone": undone, "bulk": bulk_id},
    )
    await _set_total(work, undone, found)
    return undone


async def _insert(
    work: Work, what: str, action: str, arguments: Mapping[str, Any], conditions: Mapping[str, Any] | None
) -> int:
    context = work.context
    values = {
        "What": what,
        "Action": action,
        "Arguments": orjson.dumps(arguments).decode(),
        "Conditions": None if conditions is None else orjson.dumps(conditions).decode(),
        "State": "Running",
        "Author": context.author[:255],
        "AuthorGroup": context.identity.group,
        "AuthorDN": context.identity.dn,
        "AuthorProperties": orjson.dumps(context.identity.properties).decode(),
        "RequestID": context.request_id[:255],
        "Started": context.timestamp,
    }
    columns, bound = ", ".join(values), ", ".join(f":{name}" for name in values)
    return await work.tx.insert(f"INSERT INTO BulkOperations ({columns}) VALUES ({bound})", values)


async def _set_total(work: Work, bulk_id: int, total: int) -> None:
    await work.tx.last(
        "UPDATE BulkOperations SET Total = :total WHERE BulkID = :bulk", {"bulk": bulk_id, "total": total}
    )


def _visible(work: Work) -> Where:
    """Return a clause over ``BulkOperations b`` that keeps the caller's own, for managers all."""
    where = Where(work.dialect)
    if not work.context.identity.has_any((MANAGEMENT,)):
        # who has no name has none of its own: everybody without one is called Unknown
        where.equal("b.Author", work.context.identity.username or "")
    return where


def _select(work: Work) -> str:
    columns = ", ".join(f"{in_answers(work.dialect, column)} AS {name}" for name, column in _TOLD.items())
    return f"SELECT {columns} FROM BulkOperations b"


def _row(row: Row) -> Row:
    return {**row, "Refused": orjson.loads(row["Refused"])}


async def _own(work: Work, bulk_id: int, *, lock: bool = False) -> Row:
    where = _visible(work)
    where.equal("b.BulkID", bulk_id)
    tail = work.dialect.for_update if lock else ""
    row = await work.tx.fetch_one(f"{_select(work)} WHERE {where.text}{tail}", where.parameters)
    if row is None:
        raise NotFound(f"There is no bulk operation {bulk_id} of yours", what="bulk operation", missing=[bulk_id])
    return row


async def get(work: Work, bulk_id: int) -> Row:
    """Return how far an operation is.

    :raises NotFound: there is none of that id that the caller may see.
    """
    return _row(await _own(work, bulk_id))


async def listed(work: Work, page: Page) -> list[Row]:
    """Return operations that the caller may see.

    :raises InvalidParams: an unknown column, a value that does not fit.
    """
    where = _visible(work)
    where.conditions(_TOLD, page.condDict)
    tail = page.ending(_TOLD, BULK_OPERATIONS)
    return [_row(row) for row in await work.tx.fetch_all(f"{_select(work)} WHERE {where.text}{tail}", where.parameters)]


async def cancel(work: Work, bulk_id: int) -> None:
    """Let an operation stop after the chunk that runs; one that has ended stays as it is.

    :raises NotFound: there is none of that id that the caller may see.
    """
    await _own(work, bulk_id, lock=True)
    await end(work, bulk_id, "Cancelled")


async def end(work: Work, bulk_id: int, state: Literal["Done", "Cancelled", "Failed"]) -> None:
    """Let an operation that runs end."""
    await exclude_other_nodes(work.tx, [f"bulk operation {bulk_id}"])
    await work.tx.execute(
        "UPDATE BulkOperations SET State = :state, Finished = :now WHERE BulkID = :bulk AND State = 'Running'",
        {"state": state, "now": work.context.timestamp, "bulk": bulk_id},
    )


async def running(work: Work) -> Sequence[Row]:
    """Return the operations at which there is something to do: id, what, action, and whose they are."""
    return await work.tx.fetch_all(
        "SELECT BulkID, What, Action, Author, AuthorGroup, AuthorDN, AuthorProperties, RequestID FROM BulkOperations"
        " WHERE State = 'Running' ORDER BY BulkID"
    )


async def take(work: Work, bulk_id: int) -> BulkOperation | None:
    """Lock an operation, so that nobody else works at it; None when somebody does, or it runs no more."""
    row = await work.tx.fetch_one(
        "SELECT BulkID, What, Action, Arguments, Conditions, Position, Refused FROM BulkOperations"
        f" WHERE BulkID = :bulk AND State = 'Running'{work.dialect.skip_locked}",
        {"bulk": bulk_id},
    )
    if row is None:
        return None
    await exclude_other_nodes(work.tx, [f"bulk operation {bulk_id}"])
    bulk_id, what, action, arguments, conditions, position, refused = row.values()
    return BulkOperation(
        bulk_id,
        what,
        action,
        orjson.loads(arguments),
        None if conditions is None else orjson.loads(conditions),
        position,
        orjson.loads(refused),
    )


async def prune(work: Work, before: str, most: int = CHUNK) -> bool:
    """Forget an operation that ended long ago, or some of its objects; return whether there was one.

    :param before: moment in the stored form.
    :param most: objects that are forgotten at once.
    """
    tx = work.tx
    bulk_id = await tx.fetch_value(
        "SELECT MIN(BulkID) FROM BulkOperations WHERE Finished < :before", {"before": before}
    )
    if bulk_id is None:
        return False
    mine = {"bulk": bulk_id}
    last = await tx.fetch_value("SELECT MAX(Position) FROM BulkItems WHERE BulkID = :bulk", mine)
    if last is not None:
        await tx.execute(
            "DELETE FROM BulkItems WHERE BulkID = :bulk AND Position > :rest", {**mine, "rest": last - most}
        )
    if last is None or last <= most:
        await tx.execute("DELETE FROM BulkOperations WHERE BulkID = :bulk", mine)
    return True
