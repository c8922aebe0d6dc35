"""Monitoring: summaries, counters and choices. Each takes a fixed number of statements, however many rows it shows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ..core import fields
from ..core.model import CORE_PARAMETERS, FILE_STATES, TABLES, TASK_STATES, TRANSFORMATIONS
from ..plugin.marker import hookimpl
from ..rpc.call import Call
from ..rpc.method import Method
from ..storage.base import Row, Transaction
from ..storage.where import Where, invalid
from . import counters
from .listing import wire
from .summaries import VIEWS, Part, RequestedTables, SortList, extras, fetch, narrow, render, select, summary

Counts = Mapping[int, Mapping[str, int]]


async def transformation_summary(call: Call) -> dict[str, Any]:
    """Return every transformation with the numbers of its tasks by status and of its files."""

    async def body(tx: Transaction) -> dict[str, Any]:
        where = Where(tx.dialect)
        where.readable(call, "TransformationID")
        sql = f"SELECT {', '.join(CORE_PARAMETERS)} FROM Transformations WHERE {where.text} ORDER BY TransformationID"
        rows = wire(await tx.fetch_all(sql, where.parameters), TRANSFORMATIONS)
        tasks, files = [
            await _counts(tx, f"{table} WHERE {where.text}", status, where.parameters)
            for table, status in (("TransformationTasks", "ExternalStatus"), ("TransformationFiles", "Status"))
        ]
        answer = {}
        for row in rows:
            trans_id = row["TransformationID"]
            stats = {**tasks[trans_id], "TotalCreated": sum(tasks[trans_id].values())}
            answer[str(trans_id)] = {**row, "JobStats": stats, "NumberOfFiles": _total(files[trans_id])}
        return answer

    return await call.read(body)


async def transformation_summary_web(
    call: Call, selectDict: dict[str, Any], sortList: list[str], startItem: int, maxItems: int
) -> dict[str, Any]:
    """Return a page of transformations with the numbers of their tasks and files by state.

    Records are lists in the order of ParameterNames; everything but integers is text. Extras counts the statuses of
    the page.

    :raises InvalidParams: an unknown column or direction, a value that does not fit, a page that begins behind the end.
    """
    task_states = list(dict.fromkeys(("Created", *TASK_STATES, *call.settings["monitoring.task_states"])))
    file_states = list(dict.fromkeys((*FILE_STATES, *call.settings["monitoring.file_states"])))
    names = [
        *CORE_PARAMETERS,
        *(f"Jobs_{state}" for state in ("TotalCreated", *task_states)),
        *(f"Files_{state}" for state in ("PercentProcessed", "Total", *file_states)),
    ]

    async def body(tx: Transaction) -> dict[str, Any]:
        view = VIEWS["Transformations"]
        selection = select(tx, call, view, selectDict)
        total, rows = await fetch(tx, selection, Part(sortList, startItem, maxItems))
        answer: dict[str, Any] = {"TotalRecords": total, "ParameterNames": names}
        if not total:
            return answer
        tasks = await _page_counts(tx, rows, "TransformationTasks", "ExternalStatus")
        files = await _page_counts(tx, rows, "TransformationFiles", "Status")
        answer["Records"] = []
        for row in rows:
            jobs, states = tasks[row["TransformationID"]], files[row["TransformationID"]]
            job_numbers = [sum(jobs.values()), *(jobs[state] for state in task_states)]
            file_numbers = [_percent(call, row["Type"], states), _total(states), *(states[s] for s in file_states)]
            answer["Records"].append([*render(row), *job_numbers, *file_numbers])
        answer["Extras"] = extras(view, rows)
        return answer

    return await call.read(body)


async def _page_counts(tx: Transaction, rows: list[Row], table: str, status: str) -> Counts:
    """Return how many rows of *table* belong to each transformation of a page, by status."""
    where = Where(tx.dialect)
    # not a join with the packed ids, which would group in a temporary table instead of along the index
    where.among("TransformationID", [row["TransformationID"] for row in rows], "int")
    return await _counts(tx, f"{table} WHERE {where.text}", status, where.parameters)


async def _counts(tx: Transaction, source: str, status: str, parameters: Mapping[str, Any]) -> Counts:
    sql = f"SELECT TransformationID, {status} AS status, COUNT(*) AS number FROM {source}"
    rows = await tx.fetch_all(f"{sql} GROUP BY TransformationID, {status}", parameters)
    counts: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        counts[row["TransformationID"]][row["status"]] = row["number"]
    return counts


def _total(states: Mapping[str, int]) -> int:
    """Return the number of files without those in inherited states, which another transformation has processed."""
    return sum(number for state, number in states.items() if "-" not in state)


def _percent(call: Call, kind: str, states: Mapping[str, int]) -> str:
    """Return the share of processed files, without those given up, in percent cut to one decimal."""
    if kind.lower() in {name.lower() for name in call.settings["transformations.extendable_types"]}:
        return "-"
    given_up = {state for state in call.settings["monitoring.given_up_statuses"] if "-" not in state}
    left = _total(states) - sum(states[state] for state in given_up)
    # integers: 100 * 0.29 would be cut to 28.9
    tenths = 1000 * states["Processed"] // left if left > 0 else 0
    return f"{tenths // 10}.{tenths % 10}"


def _table_summary(table: str) -> Any:
    async def table_summary(
        call: Call, selectDict: dict[str, Any], sortList: list[str], startItem: int, maxItems: int
    ) -> dict[str, Any]:
        async def body(tx: Transaction) -> dict[str, Any]:
            selection = select(tx, call, VIEWS[table], selectDict)
            return await summary(tx, selection, Part(sortList, startItem, maxItems))

        return await call.read(body)

    table_summary.__doc__ = f"""Return a page of the table {table}, with the choices under the same selection.

    Records are lists in the order of ParameterNames; everything but integers is text. Extras counts the statuses of
    the page; Selections are the distinct values of the columns that a portal offers as selectors.

    :raises InvalidParams: an unknown column or direction, a value that does not fit, a page that begins behind the end.
    """
    return table_summary


async def tabbed_summary_web(
    call: Call,
    table: str,
    requestedTables: dict[str, Part],
    selectDict: dict[str, Any],
    sortList: list[str],
    startItem: int,
    maxItems: int,
) -> dict[str, Any]:
    """Return a page of a table, and pages of others with the rows that belong to all the selected ones.

    The others are narrowed to the transformations of the first table's selected rows, and between files and tasks
    also to their tasks; dates and further conditions do not carry over.

    :raises InvalidParams: an unknown column or direction, a value that does not fit, a page that begins behind the end.
    """
    if table in requestedTables:
        raise invalid("requestedTables", {table: ["It is the first table already."]})

    async def body(tx: Transaction) -> dict[str, Any]:
        first = select(tx, call, VIEWS[table], selectDict)
        answer = {table: await summary(tx, first, Part(sortList, startItem, maxItems), tabbed=True)}
        for name, part in requestedTables.items():
            selection = narrow(tx, call, VIEWS[name], first)
            answer[name] = await summary(tx, selection, part, tabbed=True, parameter="requestedTables")
        return answer

    return await call.read(body)


def _page() -> dict[str, fields.Field]:
    return {
        "selectDict": fields.Object(
            required=True,
            metadata={"description": "column: value or list of values; FromDate and ToDate bound the date column"},
        ),
        "sortList": SortList(required=True, metadata={"description": "pairs of a column and ASC or DESC"}),
        "startItem": fields.Count(required=True, metadata={"description": "how many rows to skip"}),
        "maxItems": fields.Count(required=True, metadata={"description": "the most rows to show; 0 for none"}),
    }


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    page = {"type": "object", "required": ["TotalRecords", "ParameterNames"]}
    yield Method(
        "getTransformationSummary",
        transformation_summary,
        result="{id: transformation dict with JobStats and NumberOfFiles}",
        schema={"type": "object"},
    )
    yield Method(
        "getTransformationSummaryWeb",
        transformation_summary_web,
        _page(),
        result="{TotalRecords, ParameterNames, Records, Extras}; no rows: TotalRecords 0 and ParameterNames only",
        schema=page,
    )
    for name, shown in (
        ("getTransformationsSummaryWeb", "Transformations"),
        ("getTransformationTasksSummaryWeb", "TransformationTasks"),
        ("getTransformationFilesSummaryWeb", "TransformationFiles"),
    ):
        yield Method(
            name,
            _table_summary(shown),
            _page(),
            result="{TotalRecords, ParameterNames, Records, Extras, Selections}; no rows: the first two only",
            schema=page,
        )
    yield Method(
        "getTabbedSummaryWeb",
        tabbed_summary_web,
        {
            "table": fields.Choice(*VIEWS, required=True, metadata={"description": "the first table"}),
            "requestedTables": RequestedTables(
                required=True,
                metadata={"description": 'other tables: {"SortList": [], "StartItem": 0, "MaxItems": 50}'},
            ),
            **_page(),
        },
        result="{table: a page with its Selections}",
        schema={"type": "object", "additionalProperties": page},
    )
    select_dict = {
        "selectDict": fields.Object(
            required=True, allow_none=True, metadata={"description": "column: value or list of values; null for all"}
        )
    }
    table = fields.Text(required=True, metadata={"description": f"one of {', '.join(TABLES)}"})
    yield Method(
        "getDistinctAttributeValues",
        counters.distinct_values,
        {"attribute": fields.Text(required=True, metadata={"description": "a column"}), **select_dict},
        result="list of values, ascending, null first",
        schema={"type": "array"},
    )
    yield Method(
        "getTableDistinctAttributeValues",
        counters.table_distinct_values,
        {
            "table": table,
            "attributes": fields.Texts(required=True, metadata={"description": "columns"}),
            **select_dict,
        },
        result="{attribute: list of values}",
        schema={"type": "object", "additionalProperties": {"type": "array"}},
    )
    yield Method(
        "getCounters",
        counters.counters,
        {
            "table": table,
            "attrList": fields.Texts(
                required=True, minimum=1, metadata={"description": "columns, or date(<date column>)"}
            ),
            "condDict": fields.Object(
                required=True, allow_none=True, metadata={"description": "column: value or list of values"}
            ),
            "older": fields.DateTime(metadata={"description": "only rows whose timeStamp is before it; UTC"}),
            "newer": fields.DateTime(metadata={"description": "only rows whose timeStamp is not before it; UTC"}),
            "timeStamp": fields.Text(
                allow_none=True,
                load_default=None,
                metadata={"description": "the date column that older and newer bound"},
            ),
        },
        result="list of [{attribute: value}, count]",
        schema={"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 2}},
    )
