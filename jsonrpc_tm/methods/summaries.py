"""Pages of a table as the web portal shows them: records, counts, choices (section 6.5 of the specification)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core import fields, values
from ..core.model import (
    CORE_PARAMETERS,
    DATA_FILES,
    FILE_COLUMNS,
    TASK_COLUMNS,
    TRANSFORMATION_FILES,
    TRANSFORMATION_TASKS,
    TRANSFORMATIONS,
    Column,
    Table,
)
from ..core.values import BadValue
from ..rpc.call import Call
from ..storage.base import Row, Transaction
from ..storage.where import Where, invalid, order_by, page
from .counters import distinct


@dataclass(frozen=True, slots=True)
class View:
    """A table that has web summaries.

    :param shown: the columns of a record, in order.
    :param selectors: columns whose distinct values are offered as choices; TaskID only in tabbed summaries.
    :param date: the column that FromDate and ToDate bound.
    :param status: the column that Extras counts.
    """

    table: Table
    shown: tuple[str, ...]
    selectors: tuple[str, ...]
    date: str
    status: str

    @property
    def columns(self) -> dict[str, Column]:
        """The columns that conditions and sortList may name."""
        known = dict(self.table.columns)
        return known | ({"LFN": DATA_FILES.columns["LFN"]} if "LFN" in self.shown else {})

    def source(self, lfn: bool) -> str:
        """Return what stands after FROM; ``r`` is the table's row.

        :param lfn: whether conditions or the order name the file: then the engine may begin with the file.
        """
        plain = f"{self.table.name} r"
        return plain + " JOIN DataFiles ON DataFiles.FileID = r.FileID" if lfn else plain


VIEWS = {
    view.table.name: view
    for view in (
        View(
            TRANSFORMATIONS,
            CORE_PARAMETERS,
            ("TransformationID", "AgentType", "Type", "TransformationGroup", "Plugin"),
            "CreationDate",
            "Status",
        ),
        View(
            TRANSFORMATION_FILES,
            FILE_COLUMNS,
            ("TransformationID", "Status", "UsedSE", "TargetSE", "TaskID"),
            "LastUpdate",
            "Status",
        ),
        View(
            TRANSFORMATION_TASKS,
            TASK_COLUMNS,
            ("TransformationID", "ExternalStatus", "TargetSE", "TaskID"),
            "CreationTime",
            "ExternalStatus",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of the selected rows is wanted.

    :param order: as ``conditions.order_by`` takes it.
    :param start: number of rows to skip.
    :param most: the most rows to show.
    """

    order: list[str]
    start: int
    most: int


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of a view that fulfil a ``selectDict``."""

    view: View
    where: Where
    lfn: bool = False

    @property
    def rows(self) -> str:
        """FROM and WHERE of a statement over the selected rows."""
        return f"FROM {self.view.source(self.lfn)} WHERE {self.where.text}"


def select(tx: Transaction, call: Call, view: View, select_dict: Mapping[str, Any], name: str = "chosen") -> Selection:
    """Return what a ``selectDict`` selects among the rows that the caller may read.

    :param name: start of the SQL parameters' names.
    :raises InvalidParams: an unknown column, a value that does not fit, or no date where one is needed.
    """
    conditions = dict(select_dict)
    since, until = (_moment(name, conditions.pop(name, None)) for name in ("FromDate", "ToDate"))
    if view.date == "CreationDate":
        created = conditions.pop("CreationDate", None)
        since = _moment("CreationDate", created) if since is None else since
    where = Where(tx.dialect, name)
    where.conditions(view.table.name, conditions, view.columns, "r.", "selectDict")
    where.bounds(view.table.name, until, since, view.date, "r.")
    where.readable(call, "r.TransformationID")
    return Selection(view, where, "LFN" in conditions)


def _moment(name: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    try:
        return values.moment(value)
    except BadValue as error:
        raise invalid("selectDict", {name: error.messages}) from None


def narrow(tx: Transaction, call: Call, view: View, first: Selection) -> Selection:
    """Return the rows of *view* that belong to the selected transformations, and tasks where both tables have tasks."""
    selection = select(tx, call, view, {}, "narrowed")
    shared = ["TransformationID"]
    if "TaskID" in view.table.columns and "TaskID" in first.view.table.columns:
        shared.append("TaskID")
    for name in shared:
        selection.where.add(f"r.{name} IN (SELECT r.{name} {first.rows})", **first.where.parameters)
    return selection


async def fetch(
    tx: Transaction, selection: Selection, part: Part, parameter: str | None = None
) -> tuple[int, list[Row]]:
    """Return the number of selected rows, and the rows of a part of them.

    :param parameter: the parameter that describes the part, where it is one; what errors name.
    :raises InvalidParams: the part begins behind the last row (no row at all is no error), or an unknown sort column.
    """
    view = selection.view
    ordered = order_by(view.table.name, part.order, view.columns, "r.", parameter or "sortList")
    total: int = await tx.fetch_value(f"SELECT COUNT(*) {selection.rows}", selection.where.parameters)
    if not total:
        return 0, []
    if part.start >= total:
        raise invalid(parameter or "startItem", [f"There are {total} rows."])
    if not part.most:
        return total, []
    shown = ", ".join(name if name == "LFN" else f"r.{name}" for name in view.shown)
    tail = f" WHERE {selection.where.text}{ordered}{page(part.most, part.start)}"
    by_name = selection.lfn or any(term.startswith("LFN:") for term in part.order)
    if by_name or "LFN" not in view.shown:
        sql = f"SELECT {shown} FROM {view.source(by_name)}{tail}"
    else:
        # names are looked up for the page alone, not for every row that has to be sorted
        columns = ", ".join(f"r.{name}" for name in view.table.columns)
        rows = f"(SELECT {columns} FROM {view.source(False)}{tail}) AS r"
        sql = f"SELECT {shown} FROM {rows} LEFT JOIN DataFiles ON DataFiles.FileID = r.FileID{ordered}"
    return total, await tx.fetch_all(sql, selection.where.parameters)


async def summary(
    tx: Transaction, selection: Selection, part: Part, *, tabbed: bool = False, parameter: str | None = None
) -> dict[str, Any]:
    """Return a page with its counts and the choices under the same selection.

    :param tabbed: whether TaskID is among the choices.
    """
    view = selection.view
    total, rows = await fetch(tx, selection, part, parameter)
    answer: dict[str, Any] = {"TotalRecords": total, "ParameterNames": list(view.shown)}
    if total:
        answer["Records"] = [render(row) for row in rows]
        answer["Extras"] = extras(view, rows)
        answer["Selections"] = {
            name: await distinct(tx, view.table, view.source(selection.lfn), name, selection.where, "r.")
            for name in view.selectors
            if tabbed or name != "TaskID"
        }
    return answer


def render(row: Mapping[str, Any]) -> list[Any]:
    """Return a row's values as a record: integers as they are, everything else as text."""
    return [value if type(value) is int else str(value) for value in row.values()]


def extras(view: View, rows: list[Row]) -> dict[str, int]:
    """Return how many rows of a page have which status."""
    return dict(Counter(str(row[view.status]) for row in rows))


class SortList(fields.Field):
    """A list of pairs of a column and a direction. Loads what ``conditions.order_by`` takes."""

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
