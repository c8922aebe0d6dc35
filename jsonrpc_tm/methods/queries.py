"""Reading transformations: one, many, their statuses and their log."""

from collections.abc import Iterable
from typing import Any

from ..core import fields
from ..core.errors import NotFound
from ..core.identity import Transformation
from ..domain import reports, tallies
from ..domain.page import Page
from ..domain.rows import Rows
from ..domain.work import Work
from ..rpc import results
from ..rpc.method import Method, Read
from .lists import after_field, columns_field, list_fields, offset_field


async def get_one(work: Work, transName: int | str, extraParams: bool) -> dict[str, Any]:
    """Return the core parameters of a transformation, with the additional ones when asked.

    :raises NotFound: no such transformation.
    """
    return await reports.transformation(work, transName, extra=extraParams)


async def get_many(
    work: Work, extraParams: bool, columns: list[str] | None, **page: Any
) -> Rows | list[dict[str, Any]]:
    """List transformations in the order of their ids unless asked otherwise.

    Unknown names in ``columns`` do not count, but one must be known; additional parameters come in any case when
    asked for with ``extraParams``.

    :raises InvalidParams: an unknown column in a condition or order, a value that does not fit, no known column.
    """
    rows = reports.transformations(work, Page(**page), columns)
    return await reports.with_additional(work, rows) if extraParams else rows


async def get_with_status(work: Work, status: list[str]) -> list[int]:
    """Return the ids of the transformations with a status, or one of several, in ascending order."""
    return await reports.with_status(work, status)


async def get_logging(work: Work, transformation: Transformation) -> Rows:
    """Return what was done with a transformation, oldest first.

    :raises NotFound: no such transformation.
    """
    return reports.log_lines(work, transformation)


async def count_statuses(work: Work) -> dict[str, int]:
    """Count the transformations by status."""
    return await tallies.transformation_statuses(work)


def methods() -> Iterable[Method]:
    """Yield the methods."""
    trans = fields.Transformation(required=True)
    extra = fields.Boolean(load_default=False, metadata={"description": "add the additional parameters"})
    yield Method(
        "getTransformation",
        get_one,
        {"transName": trans, "extraParams": extra},
        # it finds the transformation itself, in the statement that reads it: the call is frequent
        access=Read(),
        errors=(NotFound,),
        result=results.said(results.TRANSFORMATION, "the core parameters, and the additional ones when asked"),
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
        access=Read(),
        result=results.listed(results.SOME_OF_A_TRANSFORMATION, "objects as of getTransformation"),
        streams=100,  # bodies may be long
    )
    yield Method(
        "getTransformationWithStatus",
        get_with_status,
        {
            "status": fields.Texts(
                65535, single=True, empty=True, required=True, metadata={"description": "one status or a list of them"}
            )
        },
        access=Read(),
        result=results.listed(results.INTEGER, "ids"),
    )
    yield Method(
        "getTransformationLogging",
        get_logging,
        {"transName": trans},
        access=Read("transName"),
        result=results.listed(results.LOG_LINE, "the lines, oldest first"),
        streams=1000,
    )
    yield Method(
        "getTransformationStatusCounters",
        count_statuses,
        access=Read(),
        result=results.said(results.COUNTS, "number of transformations by status"),
    )
