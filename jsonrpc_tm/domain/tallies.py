"""Numbers of rows by the values of columns, and these values themselves (sections 6.2 to 6.5 of the specification)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from ..core.identity import Transformation
from ..core.model import TABLES, TRANSFORMATION_FILES, TRANSFORMATION_TASKS, TRANSFORMATIONS, Table
from ..storage.dialect import Dialect
from ..storage.where import LISTING, Comparison, Expression, Expressions, Where, comparisons, expressions, invalid
from . import counters
from .counters import Counting
from .rows import in_answers, only
from .work import Work

_JSON = {("AdditionalParameters", "ParameterValue"), ("TransformationMetaQueries", "MetaDataValue")}
"""Columns that hold JSON text."""


async def tally(
    work: Work, source: Counting, where: Where, columns: Sequence[Expression]
) -> list[tuple[list[Any], int]]:
    """Return the combinations of values of some columns, as answers show them, and how many rows have each.

    They come in ascending order, null first.
    """
    select = ", ".join(f"{in_answers(work.dialect, column)} AS value{place}" for place, column in enumerate(columns))
    group = ", ".join(column.sql for column in columns)
    sql = (
        f"SELECT {select}, {source.number} AS number FROM {source.sql} WHERE {where.text}"
        f" GROUP BY {group}{source.having} ORDER BY {group}"
    )
    rows = await work.tx.fetch_all(sql, where.parameters)
    return [(values, number) for *values, number in map(dict.values, rows)]


async def distinct(work: Work, source: Counting, where: Where, column: Expression) -> list[Any]:
    """Return the distinct values of a column as answers show them, ascending, null first."""
    # dates are made texts when few are left
    value = in_answers(work.dialect, Expression("found.value", column.kind))
    found = f"SELECT DISTINCT {column.sql} AS value FROM {source.sql} WHERE {where.text}"
    if source.counters:
        found += f" GROUP BY {column.sql}{source.having}"
    sql = f"SELECT {value} AS value FROM ({found}) AS found ORDER BY found.value"
    return await work.tx.fetch_column(sql, where.parameters)


def days(table: Table) -> dict[str, str]:
    """Return the date columns of a table by what their days are called: ``date(<column>)``."""
    return {f"date({name})": name for name in table.dates}


def _countable(dialect: Dialect, table: Table) -> Expressions:
    by_day = {day: Expression(dialect.day(name), "text") for day, name in days(table).items()}
    return {**expressions(table), **by_day}


async def _numbers(work: Work, source: Counting, where: Where, column: Expression) -> dict[str, int]:
    """Return the numbers of rows by value, which is text; ``"null"`` for null."""
    counted = await tally(work, source, where, [column])
    return {"null" if value is None else str(value): number for (value,), number in counted}


def not_inherited(numbers: Mapping[str, int]) -> dict[str, int]:
    """Return numbers of files by status without those in inherited states, which another transformation has."""
    return {status: number for status, number in numbers.items() if "-" not in status}


async def file_statuses(work: Work, trans: Transformation) -> dict[str, int]:
    """Count a transformation's files by status, those in inherited states left out; ``Total`` is all of these."""
    status = expressions(TRANSFORMATION_FILES)["Status"]
    source = counters.source(TRANSFORMATION_FILES, ["Status"])
    numbers = not_inherited(await _numbers(work, source, only(work, trans), status))
    return {**numbers, "Total": sum(numbers.values())}


async def task_statuses(work: Work, trans: Transformation) -> dict[str, int]:
    """Count a transformation's tasks by status; ``TotalCreated`` is all of them."""
    status = expressions(TRANSFORMATION_TASKS)["ExternalStatus"]
    source = counters.source(TRANSFORMATION_TASKS, ["ExternalStatus"])
    numbers = await _numbers(work, source, only(work, trans), status)
    return {**numbers, "TotalCreated": sum(numbers.values())}


async def transformation_statuses(work: Work) -> dict[str, int]:
    """Count the transformations by status."""
    status = expressions(TRANSFORMATIONS)["Status"]
    return await _numbers(work, Counting(TRANSFORMATIONS.name), work.where(TRANSFORMATIONS), status)


def file_selection(conditions: Mapping[str, Any] | None) -> tuple[Comparison, ...]:
    """Read conditions on a transformation's files; a TransformationID among them does not count.

    :raises InvalidParams: an unknown column, or a value that does not fit.
    """
    counting = {name: value for name, value in (conditions or {}).items() if name != "TransformationID"}
    return comparisons(expressions(TRANSFORMATION_FILES), counting, "selection")


async def files_by(work: Work, trans: Transformation, field: str, selection: Collection[Comparison]) -> dict[str, int]:
    """Count a transformation's files by the values of a column; ``Total`` is all that were counted.

    :param field: a column of TransformationFiles, or one of its ``days``.
    """
    where = only(work, trans)
    where.meet(selection)
    column = _countable(work.dialect, TRANSFORMATION_FILES)[field]
    source = counters.source(TRANSFORMATION_FILES, [field, *(comparison.column.sql for comparison in selection)])
    numbers = await _numbers(work, source, where, column)
    return {**numbers, "Total": sum(numbers.values())}


async def by_columns(
    work: Work,
    table_name: str,
    names: Sequence[str],
    conditions: Mapping[str, Any] | None,
    older: str | None,
    newer: str | None,
    time_stamp: str | None,
) -> list[list[Any]]:
    """Count the rows of a table by the values of columns, or by days; return [{name: value}, number] of each.

    :raises InvalidParams: an unknown table or column, a value that does not fit, a bound without a date column.
    """
    table = _table(table_name)
    names = list(dict.fromkeys(names))
    columns = _chosen(table, _countable(work.dialect, table), names, "attrList")
    where = _where(work, table, conditions, "condDict")
    where.bounds(expressions(table), older, newer, time_stamp)
    bound = [] if older is None and newer is None else [str(time_stamp)]
    counted = await tally(work, counters.source(table, [*names, *(conditions or {}), *bound]), where, columns)
    return [
        [{name: _value(table, name, value) for name, value in zip(names, values, strict=True)}, number]
        for values, number in counted
    ]


async def distinct_values(
    work: Work, table_name: str, names: Sequence[str], conditions: Mapping[str, Any] | None, parameter: str
) -> dict[str, list[Any]]:
    """Return the distinct values of columns of a table, each ascending, null first.

    :param parameter: the parameter that has the columns, which errors name.
    :raises InvalidParams: an unknown table or column, or a value that does not fit.
    """
    table = _table(table_name)
    names = list(dict.fromkeys(names))
    columns = _chosen(table, expressions(table), names, parameter)
    where = _where(work, table, conditions, "selectDict")
    return {
        name: [
            _value(table, name, value)
            for value in await distinct(work, counters.source(table, [name, *(conditions or {})]), where, column)
        ]
        for name, column in zip(names, columns, strict=True)
    }


def _table(name: str) -> Table:
    if name not in TABLES:
        raise invalid("table", [f"Not a table. Valid: {', '.join(TABLES)}."])
    return TABLES[name]


def _chosen(table: Table, columns: Expressions, names: Sequence[str], parameter: str) -> list[Expression]:
    for name in names:
        if name not in columns:
            message = f"{name[:100]!r} is not a column of {table.name}. Valid: {', '.join(columns)}."
            raise invalid(parameter, [message])
    return [columns[name] for name in names]


def _where(work: Work, table: Table, conditions: Mapping[str, Any] | None, parameter: str) -> Where:
    where = work.where(table)
    stored = {
        name: _as_stored(name, value, parameter) if (table.name, name) in _JSON else value
        for name, value in (conditions or {}).items()
    }
    where.conditions(expressions(table), stored, parameter)
    return where


def _as_stored(name: str, wanted: Any, parameter: str) -> Any:
    """Return what a column of JSON texts is compared with, for an entry of a condDict.

    :raises InvalidParams: an operator that would compare texts where the caller has values in mind.
    """
    if type(wanted) is not dict:
        return _json(wanted)
    for operator in wanted:
        if operator not in LISTING:
            message = f"Not for a column of any JSON. Valid: {', '.join(LISTING)}."
            raise invalid(parameter, {name: {operator: [message]}})
    return {operator: _json(value) for operator, value in wanted.items()}


def _json(value: Any) -> Any:
    """Return a value's JSON text, of a list those of its items; null, which no JSON text is, as it is."""
    if type(value) is list:
        return [None if item is None else orjson.dumps(item).decode() for item in value]
    return None if value is None else orjson.dumps(value).decode()


def _value(table: Table, name: str, value: Any) -> Any:
    """Return a column's value as it was given, where it holds JSON text."""
    if (table.name, name) not in _JSON:
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value  # a row that another program wrote
