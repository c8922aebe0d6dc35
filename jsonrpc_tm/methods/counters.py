"""Distinct values and counters over the tables of the interface (section 6.5 of the specification)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from ..core.model import TABLES, Table, wire_date
from ..rpc.call import Call
from ..storage.base import Transaction
from ..storage.where import Where, invalid

_DAY = re.compile(r"date\((\w+)\)\Z", re.ASCII)
_JSON = (("AdditionalParameters", "ParameterValue"), ("TransformationMetaQueries", "MetaDataValue"))


async def distinct_values(call: Call, attribute: str, selectDict: dict[str, Any] | None) -> list[Any]:
    """Return the distinct values of a column of the Transformations table, ascending, null first.

    :raises InvalidParams: an unknown column, or a value that does not fit.
    """

    async def body(tx: Transaction) -> list[Any]:
        table = TABLES["Transformations"]
        _known(table, [attribute], "attribute")
        where = _where(tx, call, table, selectDict, "selectDict")
        return await distinct(tx, table, table.name, attribute, where)

    return await call.read(body)


async def table_distinct_values(
    call: Call, table: str, attributes: list[str], selectDict: dict[str, Any] | None
) -> dict[str, list[Any]]:
    """Return the distinct values of columns of any table, ascending, null first.

    :raises InvalidParams: an unknown table or column, or a value that does not fit.
    """

    async def body(tx: Transaction) -> dict[str, list[Any]]:
        chosen = _table(table)
        _known(chosen, attributes, "attributes")
        where = _where(tx, call, chosen, selectDict, "selectDict")
        return {name: await distinct(tx, chosen, chosen.name, name, where) for name in dict.fromkeys(attributes)}

    return await call.read(body)


async def counters(
    call: Call,
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

    async def body(tx: Transaction) -> list[list[Any]]:
        chosen = _table(table)
        names = list(dict.fromkeys(attrList))
        days = {name: day[1] for name in names if (day := _DAY.match(name)) and day[1] in chosen.dates}
        _known(chosen, [name for name in names if name not in days], "attrList")
        where = _where(tx, call, chosen, condDict, "condDict")
        where.bounds(chosen.name, older, newer, timeStamp)
        terms = [tx.dialect.day(days[name]) if name in days else name for name in names]
        listed = ", ".join(f"{term} AS value{number}" for number, term in enumerate(terms))
        order = ", ".join(f"value{number}" for number in range(len(terms)))
        sql = f"SELECT {listed}, COUNT(*) AS number FROM {chosen.name} WHERE {where.text}"
        rows = await tx.fetch_all(f"{sql} GROUP BY {order} ORDER BY {order}", where.parameters)
        shown = [_shown(chosen, name) for name in names]
        return [
            [
                {name: show(value) for name, show, value in zip(names, shown, row.values(), strict=False)},
                row["number"],
            ]
            for row in rows
        ]

    return await call.read(body)


async def distinct(tx: Transaction, table: Table, source: str, name: str, where: Where, prefix: str = "") -> list[Any]:
    """Return the distinct values of a column as answers show them, ascending, null first.

    :param source: what stands after FROM.
    :param prefix: alias and dot before the column.
    """
    sql = f"SELECT DISTINCT {prefix}{name} AS value FROM {source} WHERE {where.text} ORDER BY value"
    rows = await tx.fetch_all(sql, where.parameters)
    show = _shown(table, name)
    return [show(row["value"]) for row in rows]


def _shown(table: Table, name: str) -> Callable[[Any], Any]:
    if name in table.dates:
        return wire_date
    return _json if (table.name, name) in _JSON else lambda value: value


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text  # a row that another program wrote


def _table(name: str) -> Table:
    if name not in TABLES:
        raise invalid("table", [f"Not a table. Valid: {', '.join(TABLES)}."])
    return TABLES[name]


def _known(table: Table, names: Sequence[str], parameter: str) -> None:
    for name in names:
        if name not in table.columns:
            valid = [*table.columns, *(f"date({date})" for date in table.dates if parameter == "attrList")]
            raise invalid(parameter, [f"{name[:100]!r} is not a column of {table.name}. Valid: {', '.join(valid)}."])


def _where(tx: Transaction, call: Call, table: Table, conditions: Mapping[str, Any] | None, parameter: str) -> Where:
    """Return a clause over *table* alone: conditions, and only what the caller may read."""
    where = Where(tx.dialect)
    where.conditions(table.name, _as_stored(table, conditions or {}), parameter=parameter)
    if "TransformationID" in table.columns:
        where.readable(call, "TransformationID")
    elif call.readable is not None:
        # a file is for those who may read a transformation that has it
        theirs = Where(tx.dialect, "theirs")
        theirs.readable(call, "TransformationID")
        where.add(f"FileID IN (SELECT FileID FROM TransformationFiles WHERE {theirs.text})", **theirs.parameters)
    return where


def _as_stored(table: Table, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions with the values of columns that hold JSON text written as JSON."""

    def stored(name: str, value: Any) -> Any:
        if (table.name, name) not in _JSON or value is None:
            return value
        return [stored(name, item) for item in value] if type(value) is list else orjson.dumps(value).decode()

    return {name: stored(name, value) for name, value in conditions.items()}
