"""Meta queries of a transformation: which files it wants (Input) and what it makes (Output)."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson

from ..core.errors import Conflict, NotFound
from ..core.identity import Transformation
from ..core.model import TRANSFORMATIONS, Metadata
from ..matching.query import Fields, first_mismatch
from ..storage.base import Row
from .active_queries import ACCEPTED, understand
from .transformation_log import note
from .work import Held, Work

STORED_TYPE = "JSON"
"""MetaDataType of the rows that this server writes: MetaDataValue is JSON text."""
_OF = " FROM TransformationMetaQueries WHERE TransformationID = :trans AND QueryType = :kind"


async def store(work: Work, trans: Held, query: Mapping[str, Any], query_type: str) -> None:
    """Store a validated meta query, one row a field, and log it.

    :raises Conflict: the transformation has one of that type.
    """
    key = {"trans": trans.id, "kind": query_type}
    if await work.tx.fetch_value("SELECT 1" + _OF + " LIMIT 1", key) is not None:
        raise Conflict(f"The transformation has an {query_type} meta query already")
    rows = [[name, orjson.dumps(asked).decode()] for name, asked in query.items()]
    asked = work.dialect.records("rows", name="text", asked="text")
    await work.tx.execute(
        "INSERT INTO TransformationMetaQueries"
        " (TransformationID, MetaDataName, MetaDataValue, MetaDataType, QueryType)"
        f" SELECT :trans, name, asked, :stored, :kind FROM {asked} AS query",
        {**key, "rows": work.dialect.pack(rows), "stored": STORED_TYPE},
    )
    if query_type == "Input":
        work.requeried.add(trans.id)
    await note(work, trans, "Added meta data query")
    work.emit("query.created", trans, queries=[query_type])


async def load(work: Work, trans: Transformation, query_type: str) -> dict[str, Any]:
    """Return a transformation's meta query as it was given.

    :raises NotFound: it has none of that type.
    """
    sql = "SELECT MetaDataName, MetaDataValue" + _OF + " ORDER BY MetaDataName"
    rows = await work.tx.fetch_all(sql, {"trans": trans.id, "kind": query_type})
    if not rows:
        raise _none(trans, query_type)
    return {row["MetaDataName"]: orjson.loads(row["MetaDataValue"]) for row in rows}


async def delete(work: Work, trans: Held, query_type: str) -> None:
    """Delete a transformation's meta query, and log it.

    :raises NotFound: it has none of that type.
    """
    if not await work.tx.execute("DELETE" + _OF, {"trans": trans.id, "kind": query_type}):
        raise _none(trans, query_type)
    if query_type == "Input":
        work.requeried.add(trans.id)
    await note(work, trans, "Deleted meta data query")
    work.emit("query.deleted", trans, queries=[query_type])


async def accepting(work: Work) -> list[Row]:
    """Return the Input queries of transformations that accept files and that the caller may read, one row a field."""
    where = work.where(TRANSFORMATIONS, "t.")
    return await work.tx.fetch_all(
        "SELECT t.TransformationID, t.TransformationName, q.MetaDataName, q.MetaDataValue FROM Transformations t"
        f" {ACCEPTED} WHERE {where.text} ORDER BY t.TransformationID, q.MetaDataName",
        where.parameters,
    )


def explain(rows: Sequence[Row], metadata: Metadata, declared: Fields) -> list[dict[str, Any]]:
    """Return for each transformation whether it wants a file; where not, the first condition that fails.

    One whose query cannot be understood wants none, and no condition says why.

    :param rows: as of ``accepting``.
    :param metadata: the file's.
    :param declared: the catalog's fields and their types.
    """
    told = []
    for (trans_id, name), group in groupby(rows, key=itemgetter("TransformationID", "TransformationName")):
        asked = tuple((row["MetaDataName"], row["MetaDataValue"]) for row in group)
        query = understand({trans_id: asked}).get(trans_id)
        failed = None if query is None else first_mismatch(query, metadata, declared)
        told.append(
            {
                "TransformationID": trans_id,
                "TransformationName": name,
                "Matches": query is not None and failed is None,
                "Field": failed and failed.field,
                "Condition": failed and failed.condition,
                "Value": failed and failed.found,
            }
        )
    return told


def _none(trans: Transformation, query_type: str) -> NotFound:
    return NotFound(f"Transformation {trans.name!r} has no {query_type} meta query", what="query")
