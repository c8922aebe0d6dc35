"""Meta queries of a transformation: which files it wants (Input) and what it makes (Output)."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from ..core import fields
from ..core.errors import Conflict, NotFound
from ..core.identity import Owner
from ..plugin.marker import hookimpl
from ..rpc.call import Call
from ..rpc.method import Method
from ..storage.base import Transaction
from .fields import MetaQuery, QueryType
from .log import log_line

STORED_TYPE = "JSON"
"""MetaDataType of the rows that this server writes: MetaDataValue is JSON text."""
_OF = " FROM TransformationMetaQueries WHERE TransformationID = :trans AND QueryType = :kind"


async def store(tx: Transaction, call: Call, trans_id: int, query: Mapping[str, Any], query_type: str) -> None:
    """Store a validated meta query of a transformation, one row a field, and log it.

    :raises Conflict: it has one of that type.
    """
    if await tx.fetch_one("SELECT 1" + _OF + " LIMIT 1", {"trans": trans_id, "kind": query_type}) is not None:
        raise Conflict(f"The transformation has an {query_type} meta query already")
    rows = [[name, orjson.dumps(asked).decode()] for name, asked in query.items()]
    asked = tx.dialect.records("rows", name="text", asked="text")
    await tx.execute(
        "INSERT INTO TransformationMetaQueries"
        " (TransformationID, MetaDataName, MetaDataValue, MetaDataType, QueryType)"
        f" SELECT :trans, name, asked, :stored, :kind FROM {asked} AS query",
        {"trans": trans_id, "rows": tx.dialect.pack(rows), "stored": STORED_TYPE, "kind": query_type},
    )
    await log_line(tx, call, trans_id, "Added meta data query")


async def load(tx: Transaction, trans_id: int, query_type: str) -> dict[str, Any] | None:
    """Return a transformation's meta query, None when it has none of that type."""
    sql = "SELECT MetaDataName, MetaDataValue" + _OF + " ORDER BY MetaDataName"
    rows = await tx.fetch_all(sql, {"trans": trans_id, "kind": query_type})
    return {row["MetaDataName"]: orjson.loads(row["MetaDataValue"]) for row in rows} or None


async def create_query(call: Call, transName: int | str, queryDict: dict[str, Any], queryType: str) -> None:
    """Give a transformation a meta query.

    It counts at once for every file that is announced from now on; files that are there already are not looked for.

    :raises NotFound: no such transformation.
    :raises Conflict: the transformation has a query of that type.
    """

    async def body(tx: Transaction, owner: Owner) -> None:
        await store(tx, call, owner.id, queryDict, queryType)

    await call.change(transName, body)


async def get_query(call: Call, transName: int | str, queryType: str) -> dict[str, Any]:
    """Return a transformation's meta query as it was given.

    :raises NotFound: no such transformation, or it has no query of that type.
    """

    async def body(tx: Transaction) -> dict[str, Any]:
        owner = await call.find(tx, transName)
        query = await load(tx, owner.id, queryType)
        if query is None:
            raise NotFound(f"Transformation {transName!r} has no {queryType} meta query")
        return query

    return await call.read(body)


async def delete_query(call: Call, transName: int | str, queryType: str) -> None:
    """Delete a transformation's meta query; files that it brought stay.

    :raises NotFound: no such transformation, or it has no query of that type.
    """

    async def body(tx: Transaction, owner: Owner) -> None:
        if not await tx.execute("DELETE" + _OF, {"trans": owner.id, "kind": queryType}):
            raise NotFound(f"Transformation {transName!r} has no {queryType} meta query")
        await log_line(tx, call, owner.id, "Deleted meta data query")

    await call.change(transName, body)


def _parameters(**others: fields.Field) -> dict[str, fields.Field]:
    trans = fields.Transformation(required=True)
    kind = QueryType(
        required=True, metadata={"description": "the files that the transformation wants, or those that it makes"}
    )
    return {"transName": trans, **others, "queryType": kind}


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    null = {"type": "null"}
    yield Method(
        "createTransformationMetaQuery",
        create_query,
        _parameters(
            queryDict=MetaQuery(
                required=True, metadata={"description": "{field: value, list of values or {operator: value}}"}
            )
        ),
        result="null",
        right=True,
        schema=null,
    )
    yield Method(
        "getTransformationMetaQuery",
        get_query,
        _parameters(),
        result="the query, types as given",
        schema={"type": "object"},
    )
    yield Method(
        "deleteTransformationMetaQuery",
        delete_query,
        _parameters(),
        result="null",
        right=True,
        schema=null,
    )
