"""Meta queries of a transformation: which files it wants (Input) and what it makes (Output)."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ..core import fields
from ..core.errors import Conflict
from ..core.identity import Transformation
from ..domain import queries
from ..domain.work import Held, Work
from ..matching.doubts import doubts
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Change, Method, Read
from .fields import MetaQuery, QueryType

logger = logging.getLogger(__name__)


SHOWN = 5
"""The most doubts about a query that are logged."""


async def log_doubts(outside: Outside, trans: int | str, query: Mapping[str, Any]) -> None:
    """Log why an Input query may match nothing for ever.

    :param trans: id or name.
    """
    if found := doubts(query, await outside.catalog.fields()):
        context = outside.context
        logger.warning(
            "the Input meta query of transformation %.200r may match nothing: %s",
            trans,
            "; ".join(found[:SHOWN]),
            extra={"request_id": context.request_id, "user": context.author},
        )


async def create_query(work: Work, transformation: Held, queryDict: dict[str, Any], queryType: str) -> None:
    """Give a transformation a meta query.

    It counts at once for every file that is announced from now on; files that are there already are not looked for.
    A query with a condition that never holds is stored all the same; the server's log says so.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises Conflict: the transformation has a query of that type.
    """
    await queries.store(work, transformation, queryDict, queryType)


async def look_at_query(
    outside: Outside, result: None, prepared: None, transName: int | str, queryDict: dict[str, Any], queryType: str
) -> None:
    """Log why the query may match nothing."""
    if queryType == "Input":
        await log_doubts(outside, transName, queryDict)


async def get_query(work: Work, transformation: Transformation, queryType: str) -> dict[str, Any]:
    """Return a transformation's meta query as it was given.

    :raises NotFound: no such transformation, or it has no query of that type.
    """
    return await queries.load(work, transformation, queryType)


async def delete_query(work: Work, transformation: Held, queryType: str) -> None:
    """Delete a transformation's meta query; files that it brought stay.

    :raises NotFound: no such transformation, or it has no query of that type.
    :raises Forbidden: no right on it.
    """
    await queries.delete(work, transformation, queryType)


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    trans = fields.Transformation(required=True)
    kind = QueryType(
        required=True, metadata={"description": "the files that the transformation wants, or those that it makes"}
    )
    query = MetaQuery(required=True, metadata={"description": "{field: value, list of values or {operator: value}}"})
    yield Method(
        "createTransformationMetaQuery",
        create_query,
        {"transName": trans, "queryDict": query, "queryType": kind},
        access=Change(),
        after=look_at_query,
        errors=(Conflict,),
        result=results.NULL,
    )
    yield Method(
        "getTransformationMetaQuery",
        get_query,
        {"transName": trans, "queryType": kind},
        access=Read("transName"),
        result=results.said(query.json_schema(), "the query, types as given"),
    )
    yield Method(
        "deleteTransformationMetaQuery",
        delete_query,
        {"transName": trans, "queryType": kind},
        access=Change(),
        result=results.NULL,
    )
