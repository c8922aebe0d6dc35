"""Meta queries of a transformation: which files it wants (Input) and what it makes (Output)."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ..core import fields
from ..core.errors import CatalogError, Conflict, NotFound
from ..core.identity import Transformation
from ..domain import queries
from ..domain.work import Held, Work
from ..matching.doubts import doubts
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Change, Method, Read
from .catalog import known
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


async def preview_query(outside: Outside, queryDict: dict[str, Any], limit: int | None) -> dict[str, Any]:
    """Show what an Input query would bring: the files that the catalog has for it now, and what is odd about it.

    It is the search that addTransformation makes for a new transformation of the caller's; nothing is changed. The
    files are the first ones by name, ``count`` counts all of them. ``warnings`` are sentences about conditions that
    cannot hold, or hardly mean what they say.

    :raises CatalogError: the catalog failed, or refused the query.
    """
    context = outside.context
    found = await outside.catalog_for(context.author, context.identity.group).find(queryDict)
    warnings = doubts(queryDict, await outside.catalog.fields())
    return {"count": len(found), "files": found[: limit or None], "warnings": warnings}


async def explain_match(outside: Outside, lfn: str) -> list[dict[str, Any]]:
    """Tell for each transformation that accepts files through an Input query whether it wants a file, and why not.

    The file's metadata are those that the catalog has now. ``Field``, ``Condition`` (as a query has it) and ``Value``
    are the first condition that fails, fields in the order of their names, and what the file has there; null where it
    matches. All three are null, too, where a query cannot be understood: another program wrote it, and it wants no
    file. Transformations that the caller may not read are left out.

    :raises NotFound: the catalog knows no such file.
    :raises CatalogError: the catalog failed.
    """
    metadata = (await known(outside, {lfn: {}})).get(lfn)
    if metadata is None:
        raise NotFound(f"There is no file {lfn!r} in the catalog", what="lfn")
    declared = await outside.catalog.fields()
    return await asyncio.to_thread(queries.explain, await outside.read(queries.accepting), metadata, declared)


@hookimpl
def register_methods() -> Iterable[Method]:
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
    yield Method(
        "previewMetaQuery",
        preview_query,
        {
            "queryDict": query,
            "limit": fields.Count(
                allow_none=True, load_default=100, metadata={"description": "the most files shown; 0 and null for all"}
            ),
        },
        errors=(CatalogError,),
        result=results.members(
            "what the catalog has for the query now",
            count=results.said(results.INTEGER, "of all files"),
            files=results.listed(results.TEXT, "the first ones by name"),
            warnings=results.listed(results.TEXT),
        ),
    )
    scalar = {"type": ["string", "number", "boolean"]}
    condition = {
        "type": ["string", "object", "null"],
        "additionalProperties": {"anyOf": [scalar, results.listed(scalar)]},
    }
    yield Method(
        "explainMatch",
        explain_match,
        {"lfn": fields.Text(empty=False, required=True, metadata={"description": "a file of the catalog"})},
        errors=(NotFound, CatalogError),
        result=results.listed(
            results.members(
                TransformationID=results.INTEGER,
                TransformationName=results.TEXT,
                Matches=results.BOOLEAN,
                Field=results.nullable(results.TEXT),
                Condition=results.said(condition, "as a query has it"),
                Value=results.ANYTHING,
            ),
            "by TransformationID",
        ),
    )
