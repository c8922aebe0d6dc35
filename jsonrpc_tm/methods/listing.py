"""What the list methods share: their parameters, their SQL clauses, and rows in the form of answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..core import fields
from ..core.errors import InvalidParams, NotFound
from ..core.identity import Owner
from ..core.model import ColumnKind, Table, wire_date
from ..rpc.call import Call
from ..storage.base import Row, Transaction
from ..storage.where import Columns, Where, order_by, page


def wire(rows: list[Row], table: Table) -> list[Row]:
    """Return *rows* with the table's date columns in the form of answers. The rows themselves are changed."""
    for name in table.dates:
        if rows and name in rows[0]:
            for row in rows:
                row[name] = wire_date(row[name])
    return rows


def key(value: Any, kind: ColumnKind) -> str:
    """Return a column's value as the key of an object: a date as in answers, ``"null"`` for null."""
    if value is None:
        return "null"
    return str(wire_date(value)) if kind == "date" else str(value)


async def missing(tx: Transaction, owner: Owner, table: Table, noun: str, ids: Sequence[int]) -> NotFound:
    """Return the error about those of *ids* that are no rows of a transformation.

    :param table: its key is TransformationID and what *ids* are.
    :param noun: what its rows are called.
    """
    name = table.key[1]
    rows = await tx.fetch_all(
        f"SELECT wanted.value AS id FROM {tx.dialect.array('ids', 'int')} AS wanted LEFT JOIN {table.name} t"
        f" ON t.TransformationID = :trans AND t.{name} = wanted.value WHERE t.{name} IS NULL ORDER BY wanted.position",
        {"trans": owner.id, "ids": tx.dialect.pack(ids)},
    )
    found = [row["id"] for row in rows]
    return NotFound(f"{len(found)} {noun}(s) are not in transformation {owner.name!r}", missing=found)


def clauses(
    call: Call,
    table: Table,
    *,
    condDict: Mapping[str, Any] | None,
    older: str | None,
    newer: str | None,
    timeStamp: str | None,
    orderAttribute: Sequence[str] | None,
    limit: int | None,
    offset: int | None,
    after: Sequence[int] | None,
    columns: Columns | None = None,
    prefix: str = "",
) -> tuple[Where, str]:
    """Return the WHERE clause of a list method, and what follows it.

    The parameters in camel case are the method's, loaded by the fields of ``list_fields`` and below.

    :param columns: the columns that may be named, if not the table's.
    :param prefix: alias and dot of *table*.
    :raises InvalidParams: see ``conditions``; ``after`` with an order or an offset, or not the key asked for.
    """
    where = Where(call.storage.dialect)
    where.conditions(table.name, condDict, columns, prefix)
    where.bounds(table.name, older, newer, timeStamp, prefix, columns)
    where.readable(call, f"{prefix}TransformationID")
    if after is not None:
        if orderAttribute or offset:
            raise _invalid_after("Not together with orderAttribute or offset.")
        wanted = table.key[1:] if _fixes_one(condDict) and len(table.key) == 2 else table.key
        if len(after) != len(wanted):
            raise _invalid_after(f"Must be the last {' and '.join(wanted)} seen.")
        where.after(table.name, after, prefix)
    return where, order_by(table.name, orderAttribute, columns, prefix) + page(limit, offset)


def _fixes_one(cond_dict: Mapping[str, Any] | None) -> bool:
    wanted = (cond_dict or {}).get("TransformationID")
    return wanted is not None and (not isinstance(wanted, list) or (len(wanted) == 1 and wanted[0] is not None))


def _invalid_after(message: str) -> InvalidParams:
    return InvalidParams("Invalid parameter after", errors={"after": [message]})


def list_fields(time_stamp: str) -> dict[str, fields.Field]:
    """Return the parameters that every list method begins with.

    :param time_stamp: default of the parameter ``timeStamp``.
    """
    return {
        "condDict": fields.Object(
            allow_none=True,
            load_default=None,
            metadata={"description": "column: value (equal; null is IS NULL) or list of values (any of them)"},
        ),
        "older": fields.DateTime(metadata={"description": "only rows whose timeStamp is before this moment (UTC)"}),
        "newer": fields.DateTime(metadata={"description": "only rows whose timeStamp is not before this moment (UTC)"}),
        "timeStamp": fields.Text(
            None,
            allow_none=True,
            load_default=time_stamp,
            metadata={"description": "the date column that older and newer bound"},
        ),
        "orderAttribute": fields.OrderBy(metadata={"description": "Col, Col:ASC, Col:DESC or a list of those"}),
        "limit": fields.Count(
            allow_none=True, load_default=None, metadata={"description": "the most rows wanted; 0 and null for all"}
        ),
    }


def offset_field() -> fields.Field:
    """Return the parameter ``offset``."""
    text = "how many rows to skip; costs what it skips, after does not"
    return fields.Count(allow_none=True, load_default=None, metadata={"description": text})


def after_field(*, pair: bool) -> fields.Field:
    """Return the parameter ``after``.

    :param pair: the key is a transformation and a number in it.
    """
    text = "the last id seen: only rows behind it, at constant cost; not with orderAttribute or offset"
    if pair:
        text += "; [TransformationID, id] unless condDict fixes one TransformationID"
    return fields.After(pair=pair, metadata={"description": text})


def columns_field() -> fields.Field:
    """Return the parameter ``columns``."""
    text = "the columns wanted; null for all"
    # a name that no column can have is an unknown one, not a wrong one
    return fields.Texts(65535, empty=True, allow_none=True, load_default=None, metadata={"description": text})
