"""Reading transformations: one, many, their statuses and their log."""

from collections.abc import Iterable
from typing import Any

from ..core import fields
from ..core.errors import InvalidParams
from ..core.model import CORE_PARAMETERS, TRANSFORMATION_LOG, TRANSFORMATIONS
from ..rpc.call import Call
from ..rpc.method import Method
from ..storage.base import Transaction
from ..storage.where import Where
from .listing import after_field, clauses, columns_field, list_fields, offset_field, wire
from .parameters import additional, core


async def get_one(call: Call, transName: int | str, extraParams: bool) -> dict[str, Any]:
    """Return the core parameters of a transformation, with the additional ones when asked.

    :raises NotFound: no such transformation.
    """

    async def body(tx: Transaction) -> dict[str, Any]:
        owner = await call.find(tx, transName)
        row = await core(tx, owner.id)
        extra = (await additional(tx, [owner.id])).get(owner.id, {}) if extraParams else {}
        return {**extra, **row}

    return await call.read(body)


async def get_many(
    call: Call,
    condDict: dict[str, Any] | None,
    older: str | None,
    newer: str | None,
    timeStamp: str | None,
    orderAttribute: list[str] | None,
    limit: int | None,
    extraParams: bool,
    offset: int | None,
    columns: list[str] | None,
    after: list[int] | None,
) -> list[dict[str, Any]]:
    """List transformations in the order of their ids unless asked otherwise.

    Unknown names in ``columns`` do not count, but one must be known; additional parameters come in any case when
    asked for with ``extraParams``.

    :raises InvalidParams: an unknown column in a condition or order, a value that does not fit, no known column.
    """
    wanted = CORE_PARAMETERS if columns is None else tuple(name for name in CORE_PARAMETERS if name in columns)
    if not wanted:
        message = f"None is a column. Valid: {', '.join(CORE_PARAMETERS)}."
        raise InvalidParams("Invalid parameter columns", errors={"columns": [message]})
    where, tail = clauses(
        call,
        TRANSFORMATIONS,
        condDict=condDict,
        older=older,
        newer=newer,
        timeStamp=timeStamp,
        orderAttribute=orderAttribute,
        limit=limit,
        offset=offset,
        after=after,
    )
    # TransformationID in front, whether asked for or not: it says whose the additional parameters are
    sql = f"SELECT TransformationID AS id, {', '.join(wanted)} FROM Transformations WHERE {where.text}{tail}"

    async def body(tx: Transaction) -> list[dict[str, Any]]:
        rows = wire(await tx.fetch_all(sql, where.parameters), TRANSFORMATIONS)
        ids = [row.pop("id") for row in rows]
        if not extraParams:
            return rows
        extra = await additional(tx, ids)
        return [{**extra.get(trans_id, {}), **row} for trans_id, row in zip(ids, rows, strict=True)]

    return await call.read(body)


async def get_with_status(call: Call, status: list[str]) -> list[int]:
    """Return the ids of the transformations with a status, or one of several, in ascending order."""

    async def body(tx: Transaction) -> list[int]:
        where = Where(tx.dialect)
        where.among("Status", status)
        where.readable(call, "TransformationID")
        rows = await tx.fetch_all(
            f"SELECT TransformationID FROM Transformations WHERE {where.text} ORDER BY TransformationID",
            where.parameters,
        )
        return [row["TransformationID"] for row in rows]

    return await call.read(body)


async def get_logging(call: Call, transName: int | str) -> list[dict[str, Any]]:
    """Return what was done with a transformation, oldest first.

    :raises NotFound: no such transformation.
    """

    async def body(tx: Transaction) -> list[dict[str, Any]]:
        owner = await call.find(tx, transName)
        return await tx.fetch_all(
            "SELECT TransformationID, Message, Author, MessageDate FROM TransformationLog"
            " WHERE TransformationID = :trans ORDER BY recid",
            {"trans": owner.id},
        )

    return wire(await call.read(body), TRANSFORMATION_LOG)


async def count_statuses(call: Call) -> dict[str, int]:
    """Count the transformations by status."""

    async def body(tx: Transaction) -> dict[str, int]:
        where = Where(tx.dialect)
        where.readable(call, "TransformationID")
        rows = await tx.fetch_all(
            f"SELECT Status, COUNT(*) AS n FROM Transformations WHERE {where.text} GROUP BY Status ORDER BY Status",
            where.parameters,
        )
        return {row["Status"]: row["n"] for row in rows}

    return await call.read(body)


def methods() -> Iterable[Method]:
    """Yield the methods."""
    trans = fields.Transformation(required=True)
    extra = fields.Boolean(load_default=False, metadata={"description": "add the additional parameters"})
    dicts = {"type": "array", "items": {"type": "object"}}
    yield Method(
        "getTransformation",
        get_one,
        {"transName": trans, "extraParams": extra},
        result="object of core parameters, and of additional ones when asked",
        schema={"type": "object"},
    )
    yield Method(
        "getTransformations",
        get_many,
        {
            **list_fields("CreationDate"),
            "extraParams": extra,
            "offset": offset_field(),
            "columns": columns_field(),
            "after": after_field(pair=False),
        },
        result="list of objects as of getTransformation",
        schema=dicts,
    )
    yield Method(
        "getTransformationWithStatus",
        get_with_status,
        {
            "status": fields.Texts(
                65535, single=True, empty=True, required=True, metadata={"description": "one status or a list of them"}
            )
        },
        result="list of ids",
        schema={"type": "array", "items": {"type": "integer"}},
    )
    yield Method(
        "getTransformationLogging",
        get_logging,
        {"transName": trans},
        result="list of objects with TransformationID, Message, Author, MessageDate",
        schema=dicts,
    )
    yield Method(
        "getTransformationStatusCounters",
        count_statuses,
        result="{status: number of transformations}",
        schema={"type": "object", "additionalProperties": {"type": "integer"}},
    )
