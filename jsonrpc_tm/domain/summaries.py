"""Pages of a table as a web portal shows them: records, numbers, choices (section 6.5 of the specification)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core import values
from ..core.model import (
    CORE_PARAMETERS,
    DATA_FILES,
    FILE_COLUMNS,
    TASK_COLUMNS,
    TRANSFORMATION_FILES,
    TRANSFORMATION_TASKS,
    TRANSFORMATIONS,
    Table,
)
from ..core.statuses import FILE_STATES, TASK_STATES
from ..core.values import BadValue
from ..storage.base import Row
from ..storage.where import Expressions, Where, expressions, invalid, limited, order_by
from . import counters
from .counters import Counting
from .rows import TRANSFORMATION_SQL, Rows
from .tallies import distinct, not_inherited, tally
from .work import Work

Numbers = Mapping[int, dict[str, int]]
"""By transformation and status."""
_BY_FILE = " JOIN DataFiles d ON d.FileID = r.FileID"


@dataclass(frozen=True, slots=True)
class View:
    """A table that has web summaries; in statements ``r`` is its row, and ``d`` the file of that row.

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
    def rows(self) -> str:
        """The table, as it stands after FROM."""
        return f"{self.table.name} r"

    @property
    def columns(self) -> Expressions:
        """What conditions and the order may name."""
        lfn = {"LFN": expressions(DATA_FILES, "d.")["LFN"]} if "LFN" in self.shown else {}
        return {**expressions(self.table, "r."), **lfn}

    def source(self, needed: Collection[str]) -> Counting:
        """Return what stands after FROM.

        :param needed: the columns that conditions and the order name. With the file's name among them the engine may
            begin with it.
        """
        return Counting(f"{self.rows}{_BY_FILE}") if "LFN" in needed else counters.source(self.table, needed, "r")


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

    :param order: as ``where.order_by`` takes it.
    :param start: number of rows to skip.
    :param most: the most rows to show.
    :param columns: the names that a record has; None for all.
    """

    order: list[str]
    start: int
    most: int
    columns: Sequence[str] | None = None

    def shown(self, names: Sequence[str]) -> list[str]:
        """Return those of *names* that a record has, in their order.

        :raises InvalidParams: a column is none of *names*.
        """
        if self.columns is None:
            return list(names)
        wanted = dict.fromkeys(self.columns)
        for name in wanted:
            if name not in names:
                raise invalid("columns", [f"{name[:100]!r} is not a column. Valid: {', '.join(names)}."])
        return [name for name in names if name in wanted]


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of a view that fulfil a ``selectDict``.

    :param named: the columns that conditions name.
    """

    view: View
    where: Where
    named: frozenset[str] = frozenset()

    def source(self, *columns: str) -> Counting:
        """Return what stands after FROM of a statement over some columns of the selected rows."""
        return self.view.source(self.named.union(columns))


async def everything(work: Work) -> dict[str, Any]:
    """Return every transformation by id, with the numbers of its tasks by status and of its files."""
    core = {name: TRANSFORMATION_SQL[name] for name in CORE_PARAMETERS}
    where = work.where(TRANSFORMATIONS, "t.")
    rows = await Rows(core, "Transformations t", where, " ORDER BY t.TransformationID").run(work)
    tasks, files = [
        await _by_transformation(work, table, work.where(table))
        for table in (TRANSFORMATION_TASKS, TRANSFORMATION_FILES)
    ]
    answer = {}
    for row in rows:
        trans_id = row["TransformationID"]
        stats = {**tasks[trans_id], "TotalCreated": sum(tasks[trans_id].values())}
        answer[str(trans_id)] = {**row, "JobStats": stats, "NumberOfFiles": _total(files[trans_id])}
    return answer


async def transformations_with_states(work: Work, select_dict: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """Return a page of transformations with the numbers of their tasks and files by state.

    :raises InvalidParams: see ``select`` and ``fetch``.
    """
    settings = work.parts.settings
    task_states = list(dict.fromkeys(("Created", *TASK_STATES, *settings["monitoring.task_states"])))
    file_states = list(dict.fromkeys((*FILE_STATES, *settings["monitoring.file_states"])))
    names = [
        *CORE_PARAMETERS,
        *(f"Jobs_{state}" for state in ("TotalCreated", *task_states)),
        *(f"Files_{state}" for state in ("PercentProcessed", "Total", *file_states)),
    ]
    view = VIEWS["Transformations"]
    shown = part.shown(names)
    total, rows = await fetch(work, select(work, view, select_dict), part, {*shown, "TransformationID", "Type"})
    answer: dict[str, Any] = {"TotalRecords": total, "ParameterNames": shown}
    if not total:
        return answer
    ids = [row["TransformationID"] for row in rows]
    # the parts of a record, in the order of its names
    core = [name for name in shown if name in CORE_PARAMETERS]
    jobs, states = [[name.removeprefix(p) for name in shown if name.startswith(p)] for p in ("Jobs_", "Files_")]
    records = [_record(row, core) for row in rows]
    if jobs:
        tasks = await _by_transformation(work, TRANSFORMATION_TASKS, _of_page(work, ids))
        for trans_id, record in zip(ids, records, strict=True):
            numbers = tasks[trans_id]
            numbers["TotalCreated"] = sum(numbers.values())
            record.extend(map(numbers.__getitem__, jobs))
    if states:
        files = await _by_transformation(work, TRANSFORMATION_FILES, _of_page(work, ids))
        percent = _percent(work)
        for row, record in zip(rows, records, strict=True):
            numbers = files[row["TransformationID"]]
            total = _total(numbers)
            told = {**numbers, "Total": total, "PercentProcessed": percent(row["Type"], numbers, total)}
            record.extend([told.get(name, 0) for name in states])
    return {**answer, "Records": records, "Extras": _extras(view, rows)}


def _of_page(work: Work, trans_ids: Sequence[int]) -> Where:
    where = Where(work.dialect)
    # not a join with the packed ids, which would group in a temporary table instead of along the index
    where.among("TransformationID", trans_ids, "int")
    return where


async def _by_transformation(work: Work, table: Table, where: Where) -> Numbers:
    """Return how many rows of *table* belong to each transformation, by status."""
    names = ["TransformationID", counters.KINDS[table.name][1]]
    columns = [expressions(table)[name] for name in names]
    numbers: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (trans_id, state), number in await tally(work, counters.source(table, names), where, columns):
        numbers[trans_id][state] = number
    return numbers


def _total(states: Mapping[str, int]) -> int:
    return sum(not_inherited(states).values())


def _percent(work: Work) -> Callable[[str, Mapping[str, int], int], str]:
    """Return what tells the share of processed files, without those given up, in percent cut to one decimal.

    It takes the type of a transformation, the numbers of its files, and their ``_total``.
    """
    settings = work.parts.settings
    extendable = {name.lower() for name in settings["transformations.extendable_types"]}
    given_up = {state for state in settings["monitoring.given_up_statuses"] if "-" not in state}

    def told(kind: str, states: Mapping[str, int], total: int) -> str:
        if kind.lower() in extendable:
            return "-"
        left = total - sum(states[state] for state in given_up if state in states)
        # integers: 100 * 0.29 would be cut to 28.9
        tenths = 1000 * states.get("Processed", 0) // left if left > 0 else 0
        return f"{tenths // 10}.{tenths % 10}"

    return told


async def tabbed(
    work: Work, first: View, select_dict: Mapping[str, Any], part: Part, others: Mapping[str, Part]
) -> dict[str, Any]:
    """Return a page of a table, and pages of others with the rows that belong to all the selected ones.

    :param others: parts by name of table.
    :raises InvalidParams: see ``select`` and ``fetch``.
    """
    if first.table.name in others:
        raise invalid("requestedTables", {first.table.name: ["It is the first table already."]})
    selection = select(work, first, select_dict)
    answer = {first.table.name: await page_of(work, selection, part, with_tasks=True)}
    for name, theirs in others.items():
        narrowed = _narrow(work, VIEWS[name], selection)
        answer[name] = await page_of(work, narrowed, theirs, with_tasks=True, parameter="requestedTables")
    return answer


def select(work: Work, view: View, select_dict: Mapping[str, Any], name: str = "chosen") -> Selection:
    """Return what a ``selectDict`` selects among the rows that the caller may read.

    :param name: start of the SQL parameters' names.
    :raises InvalidParams: an unknown column, a value that does not fit, or no date where one is needed.
    """
    conditions = dict(select_dict)
    since, until = (_moment(name, conditions.pop(name, None)) for name in ("FromDate", "ToDate"))
    if view.date == "CreationDate" and type(conditions.get("CreationDate")) is not dict:
        created = conditions.pop("CreationDate", None)
        since = _moment("CreationDate", created) if since is None else since
    where = work.where(view.table, "r.", name)
    where.conditions(view.columns, conditions, "selectDict")
    where.bounds(view.columns, until, since, view.date)
    dated = () if since is None and until is None else (view.date,)
    return Selection(view, where, frozenset(conditions).union(dated))


def _moment(name: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    try:
        return values.moment(value)
    except BadValue as error:
        raise invalid("selectDict", {name: error.messages}) from None


def _narrow(work: Work, view: View, first: Selection) -> Selection:
    """Return the rows of *view* that belong to the selected transformations, and tasks where both tables have tasks."""
    where, named = select(work, view, {}, "narrowed").where, set()
    for name in ("TransformationID", "TaskID"):
        if name in view.table.columns and name in first.view.table.columns:
            source = first.source(name)
            group = f" GROUP BY r.{name}{source.having}" if source.counters else ""
            theirs = f"SELECT r.{name} FROM {source.sql} WHERE {first.where.text}{group}"
            where.add(f"r.{name} IN ({theirs})", **first.where.parameters)
            named.add(name)
    return Selection(view, where, frozenset(named))


async def fetch(
    work: Work, selection: Selection, part: Part, wanted: Iterable[str], parameter: str | None = None
) -> tuple[int, list[Row]]:
    """Return the number of selected rows, and the rows of a part of them, dates in the stored form.

    :param wanted: names; those of them that are columns are read, and the status in any case.
    :param parameter: the parameter that describes the part, where it is one; what errors name.
    :raises InvalidParams: the part begins behind the last row (no row at all is no error), or an unknown sort column.
    """
    view, where = selection.view, selection.where
    ordered = order_by(view.columns, view.table.key, part.order, parameter or "sortList")
    source = selection.source()
    total: int = await work.tx.fetch_value(
        f"SELECT {source.number} FROM {source.sql} WHERE {where.text}", where.parameters
    )
    if not total:
        return 0, []
    if part.start >= total:
        raise invalid(parameter or "startItem", [f"There are {total} rows."])
    if not part.most:
        return total, []
    names = {*wanted, view.status}
    # a body that nobody asked for is not read
    read = [name for name in view.shown if name in names]
    shown = ", ".join(view.columns[name].sql for name in read)
    tail = f" WHERE {where.text}{ordered}{limited(part.most, part.start)}"
    by_name = "LFN" in selection.named or any(term.startswith("LFN:") for term in part.order)
    if by_name or "LFN" not in read:
        sql = f"SELECT {shown} FROM {view.rows}{_BY_FILE if by_name else ''}{tail}"
    else:
        # names are looked up for the page alone, not for every row that has to be sorted
        columns = ", ".join(f"r.{name}" for name in view.table.columns)
        sql = f"SELECT {shown} FROM (SELECT {columns} FROM {view.rows}{tail}) AS r LEFT{_BY_FILE}{ordered}"
    return total, await work.tx.fetch_all(sql, where.parameters)


async def page_of(
    work: Work, selection: Selection, part: Part, *, with_tasks: bool = False, parameter: str | None = None
) -> dict[str, Any]:
    """Return a page with its counts and the choices under the same selection.

    :param with_tasks: whether TaskID is among the choices.
    :param parameter: see ``fetch``.
    :raises InvalidParams: see ``fetch``.
    """
    view = selection.view
    shown = part.shown(view.shown)
    total, rows = await fetch(work, selection, part, shown, parameter)
    answer: dict[str, Any] = {"TotalRecords": total, "ParameterNames": shown}
    if total:
        answer["Records"] = [_record(row, shown) for row in rows]
        answer["Extras"] = _extras(view, rows)
        answer["Selections"] = {
            name: await distinct(work, selection.source(name), selection.where, view.columns[name])
            for name in view.selectors
            if with_tasks or name != "TaskID"
        }
    return answer


def _record(row: Row, names: Iterable[str]) -> list[Any]:
    """Return a row's values of some names as a record: integers as they are, everything else as text."""
    return [value if type(value) is int else str(value) for value in map(row.__getitem__, names)]


def _extras(view: View, rows: Iterable[Row]) -> dict[str, int]:
    """Return how many rows of a page have which status."""
    return dict(Counter(str(row[view.status]) for row in rows))
