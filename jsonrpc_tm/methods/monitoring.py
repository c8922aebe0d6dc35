"""Monitoring: summaries, counters and choices. Each takes a fixed number of statements, however many rows it shows."""

from collections.abc import Iterable
from typing import Any

from ..core import fields
from ..core.identity import Transformation
from ..core.model import TABLES, TRANSFORMATIONS
from ..core.values import BadValue
from ..domain import progress, summaries, tallies
from ..domain.summaries import VIEWS, Part
from ..domain.work import Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.method import Handler, Method, Read
from .lists import CONDITIONS


async def transformation_summary(work: Work) -> dict[str, Any]:
    """Return every transformation with the numbers of its tasks by status and of its files."""
    return await summaries.everything(work)


async def transformation_summary_web(
    work: Work,
    selectDict: dict[str, Any],
    sortList: list[str],
    startItem: int,
    maxItems: int,
    columns: list[str] | None,
) -> dict[str, Any]:
    """Return a page of transformations with the numbers of their tasks and files by state.

    Records are lists in the order of ParameterNames; everything but integers is text. Extras counts the statuses of
    the page.

    :raises InvalidParams: an unknown column or direction, a value that does not fit, a page that begins behind the end.
    """
    part = Part(sortList, startItem, maxItems, columns)
    return await summaries.transformations_with_states(work, selectDict, part)


def _table_summary(table: str) -> Handler:
    async def table_summary(
        work: Work,
        selectDict: dict[str, Any],
        sortList: list[str],
        startItem: int,
        maxItems: int,
        columns: list[str] | None,
    ) -> dict[str, Any]:
        selection = summaries.select(work, VIEWS[table], selectDict)
        return await summaries.page_of(work, selection, Part(sortList, startItem, maxItems, columns))

    table_summary.__doc__ = f"""Return a page of the table {table}, with the choices under the same selection.

    Records are lists in the order of ParameterNames; everything but integers is text. Extras counts the statuses of
    the page; Selections are the distinct values of the columns that a portal offers as selectors.

    :raises InvalidParams: an unknown column or direction, a value that does not fit, a page that begins behind the end.
    """
    return table_summary


async def tabbed_summary_web(
    work: Work,
    table: str,
    requestedTables: dict[str, Part],
    selectDict: dict[str, Any],
    sortList: list[str],
    startItem: int,
    maxItems: int,
    columns: list[str] | None,
) -> dict[str, Any]:
    """Return a page of a table, and pages of others with the rows that belong to all the selected ones.

    The others are narrowed to the transformations of the first table's selected rows, and between files and tasks
    also to their tasks; dates and further conditions do not carry over.

    :raises InvalidParams: an unknown column or direction, a value that does not fit, a page that begins behind the end.
    """
    part = Part(sortList, startItem, maxItems, columns)
    return await summaries.tabbed(work, VIEWS[table], selectDict, part, requestedTables)


async def distinct_values(work: Work, attribute: str, selectDict: dict[str, Any] | None) -> list[Any]:
    """Return the distinct values of a column of the Transformations table, ascending, null first.

    :raises InvalidParams: an unknown column, or a value that does not fit.
    """
    found = await tallies.distinct_values(work, TRANSFORMATIONS.name, [attribute], selectDict, "attribute")
    return found[attribute]


async def table_distinct_values(
    work: Work, table: str, attributes: list[str], selectDict: dict[str, Any] | None
) -> dict[str, list[Any]]:
    """Return the distinct values of columns of any table, ascending, null first.

    :raises InvalidParams: an unknown table or column, or a value that does not fit.
    """
    return await tallies.distinct_values(work, table, attributes, selectDict, "attributes")


async def counters(
    work: Work,
    table: str,
    attrList: list[str],
    condDict: dict[str, Any] | None,
    older: str | None,
    newer: str | None,
    timeStamp: str | None,
) -> list[list[Any]]:
    """Count the rows of a table by the values of columns, or by the day of date columns: ``date(<column>)``.

    Combinations come in ascending order, null first.

    :raises InvalidParams: an unknown table or column, a value that does not fit, a bound without a date column.
    """
    return await tallies.by_columns(work, table, attrList, condDict, older, newer, timeStamp)


async def get_progress(
    work: Work, transformation: Transformation, since: str | None, until: str | None, points: int
) -> dict[str, Any]:
    """Tell how the numbers of a transformation's files and tasks went on, by status.

    There is a point wherever something changed, at most one a minute, and coarser ones for older times: ten minutes
    after two hours, an hour after two days, a day after thirty days, a week after a year. A point tells what there was
    at its time. With *since*, the first one tells what there was then. Statuses that no point has are left out.

    :raises NotFound: no such transformation.
    """
    return await progress.progress(work, transformation, since, until, points)


class SortList(fields.Field):
    """A list of pairs of a column and a direction. Loads what ``where.order_by`` takes."""

    schema = {
        "type": "array",
        "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        if type(value) is not list:
            raise BadValue("Not a list.")
        return [":".join(_pair(index, pair)) for index, pair in enumerate(value)]


def _pair(index: int, pair: Any) -> list[str]:
    if type(pair) is not list or len(pair) != 2 or any(type(item) is not str for item in pair):
        raise BadValue({index: ["Not a pair of a column and a direction."]})
    return pair


class RequestedTables(fields.Field):
    """Further tables of a tabbed summary, each with its SortList, StartItem and MaxItems. Loads parts by table."""

    schema = {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {
                "SortList": SortList.schema,
                "StartItem": {"type": "integer", "minimum": 0},
                "MaxItems": {"type": "integer", "minimum": 0},
            },
            "additionalProperties": False,
        },
    }

    def _own_schema(self) -> fields.JSONSchema:
        return self.schema | {"propertyNames": {"enum": list(VIEWS)}}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Part]:
        if type(value) is not dict:
            raise BadValue("Not an object.")
        parts = {}
        for table, wanted in value.items():
            try:
                parts[table] = self._part(table, wanted)
            except BadValue as error:
                raise BadValue({table: error.messages}) from None
        return parts

    def _part(self, table: str, wanted: Any) -> Part:
        if table not in VIEWS:
            raise BadValue(f"Not one of {', '.join(VIEWS)}.")
        if type(wanted) is not dict:
            raise BadValue("Not an object.")
        known: dict[str, fields.Field] = {
            "SortList": SortList(),
            "StartItem": fields.Count(),
            "MaxItems": fields.Count(),
        }
        if unknown := set(wanted) - set(known):
            raise BadValue(f"{min(unknown)!r} is not one of {', '.join(known)}.")
        given: dict[str, Any] = {name: known[name].deserialize(item) for name, item in wanted.items()}
        return Part(given.get("SortList", []), given.get("StartItem", 0), given.get("MaxItems", 50))


def _page(of: str = "") -> dict[str, fields.Field]:
    return {
        "selectDict": fields.Object(
            required=True,
            metadata={"description": f"{CONDITIONS}; FromDate and ToDate bound the date column"},
        ),
        "sortList": SortList(required=True, metadata={"description": "pairs of a column and ASC or DESC"}),
        "startItem": fields.Count(required=True, metadata={"description": "how many rows to skip"}),
        "maxItems": fields.Count(required=True, metadata={"description": "the most rows to show; 0 for none"}),
        "columns": fields.Texts(
            65535,
            minimum=1,
            empty=True,
            allow_none=True,
            load_default=None,
            metadata={"description": f"the ParameterNames wanted{of}; null for all"},
        ),
    }


def _page_schema(text: str, **more: results.ResultSchema) -> results.ResultSchema:
    records = results.listed(results.listed({"type": ["integer", "string"]}))
    shown = {"Records": records, "Extras": results.COUNTS, **more}
    return results.members(
        f"{text}; no rows: the first two only",
        optional=shown,
        TotalRecords=results.INTEGER,
        ParameterNames=results.listed(results.TEXT),
        **shown,
    )


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    values = results.listed(results.ANYTHING)
    with_choices = _page_schema(
        "TotalRecords, ParameterNames, Records, Extras, Selections", Selections=results.mapped(values)
    )
    numbers = {"JobStats": results.totalled("TotalCreated", "tasks by status"), "NumberOfFiles": results.INTEGER}
    yield Method(
        "getTransformationSummary",
        transformation_summary,
        access=Read(),
        result=results.mapped(
            results.extended(results.TRANSFORMATION, "", **numbers),
            "transformations by id, each with JobStats and NumberOfFiles",
        ),
    )
    yield Method(
        "getTransformationSummaryWeb",
        transformation_summary_web,
        _page(),
        access=Read(),
        result=_page_schema("TotalRecords, ParameterNames, Records, Extras"),
    )
    for name, shown in (
        ("getTransformationsSummaryWeb", "Transformations"),
        ("getTransformationTasksSummaryWeb", "TransformationTasks"),
        ("getTransformationFilesSummaryWeb", "TransformationFiles"),
    ):
        yield Method(name, _table_summary(shown), _page(), access=Read(), result=with_choices)
    yield Method(
        "getTabbedSummaryWeb",
        tabbed_summary_web,
        {
            "table": fields.Choice(*VIEWS, required=True, metadata={"description": "the first table"}),
            "requestedTables": RequestedTables(
                required=True,
                metadata={"description": 'other tables: {"SortList": [], "StartItem": 0, "MaxItems": 50}'},
            ),
            **_page(" of the first table"),
        },
        access=Read(),
        result=results.mapped(with_choices, "a page with its Selections by table"),
    )
    select_dict = {
        "selectDict": fields.Object(
            required=True, allow_none=True, metadata={"description": f"{CONDITIONS}; null for all"}
        )
    }
    table = fields.Text(required=True, metadata={"description": f"one of {', '.join(TABLES)}"})
    yield Method(
        "getDistinctAttributeValues",
        distinct_values,
        {"attribute": fields.Text(required=True, metadata={"description": "a column"}), **select_dict},
        access=Read(),
        result=results.said(values, "values, ascending, null first"),
    )
    yield Method(
        "getTableDistinctAttributeValues",
        table_distinct_values,
        {
            "table": table,
            "attributes": fields.Texts(required=True, metadata={"description": "columns"}),
            **select_dict,
        },
        access=Read(),
        result=results.mapped(values, "values by column, ascending, null first"),
    )
    counted = {"anyOf": [results.mapped(results.ANYTHING), results.INTEGER]}
    pair = {"type": "array", "items": counted, "minItems": 2, "maxItems": 2}
    yield Method(
        "getCounters",
        counters,
        {
            "table": table,
            "attrList": fields.Texts(
                required=True, minimum=1, metadata={"description": "columns, or date(<date column>)"}
            ),
            "condDict": fields.Object(required=True, allow_none=True, metadata={"description": CONDITIONS}),
            "older": fields.DateTime(metadata={"description": "only rows whose timeStamp is before it; UTC"}),
            "newer": fields.DateTime(metadata={"description": "only rows whose timeStamp is not before it; UTC"}),
            "timeStamp": fields.Text(
                allow_none=True,
                load_default=None,
                metadata={"description": "the date column that older and newer bound"},
            ),
        },
        access=Read(),
        result=results.listed(pair, "pairs of an object, value by column, and a number"),
        streams=1000,
    )
    course = results.mapped(results.listed(results.INTEGER), "numbers by status, one for each of times")
    yield Method(
        "getTransformationProgress",
        get_progress,
        {
            "transName": fields.Transformation(required=True),
            "since": fields.DateTime(metadata={"description": "only what came then and later; UTC, whole minutes"}),
            "until": fields.DateTime(metadata={"description": "only what came before; UTC, whole minutes"}),
            "points": fields.PositiveInteger(load_default=200, metadata={"description": "the most points"}),
        },
        access=Read("transName"),
        result=results.members(
            "times, oldest first, and what there was at each of them",
            times=results.listed(results.MOMENT),
            files=course,
            tasks=course,
        ),
    )
