"""The conditions that list methods take (section 5 of the specification), as SQL with bound values.

Column names are checked against ``model.py`` before they become SQL; values are always bound.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core import values
from ..core.errors import InvalidParams
from ..core.model import MAX_INTEGER, TABLES, Column
from ..core.values import BadValue

if TYPE_CHECKING:
    from ..rpc.call import Call
    from .dialect import Dialect
    from .dialect import Kind as ValueKind

LONG_LIST = 500
"""Longer IN lists travel as one JSON array: engines bound the number of parameters of a statement."""
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z", re.ASCII)

Columns = Mapping[str, Column]


def _number(value: Any) -> float:
    readable = type(value) in (int, float) or (type(value) is str and len(value) < 300 and _FLOAT.match(value))
    # a float, as columns have it: SQLite would not find what 2**53 + 1 was stored as
    number = float(value) if readable else math.inf
    if not math.isfinite(number):
        raise BadValue("Not a number.")
    return number


def _integer(value: Any) -> int:
    try:
        return values.identifier(value)
    except BadValue:
        raise BadValue("Not an integer of 64 bits.") from None


def _text(value: Any) -> str:
    return values.text(values.number_as_text(value), None)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "int": _integer,
    "float": _number,
    "date": values.moment,
    "text": _text,
}


def scalar(column: Column, value: Any) -> Any:
    """Return *value* as it is compared with *column*; None means IS NULL.

    :raises BadValue: it does not fit the column's type.
    """
    return None if value is None else _READERS[column.kind](value)


class Where:
    """A WHERE clause that grows: conditions joined by AND, values bound by name.

    :param dialect: needed for ``after``, and for lists of more than ``LONG_LIST`` values.
    :param name: start of the parameters' names; two clauses in one statement need two.
    """

    def __init__(self, dialect: "Dialect | None" = None, name: str = "where") -> None:
        self.parameters: dict[str, Any] = {}
        self._dialect = dialect
        self._name = name
        self._parts: list[str] = []

    @property
    def text(self) -> str:
        """The clause without the word WHERE; ``1=1`` when it is empty."""
        return " AND ".join(self._parts) or "1=1"

    def _bind(self, value: Any) -> str:
        name = f"{self._name}{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"

    def add(self, sql: str, **parameters: Any) -> None:
        """Add a condition in SQL; the caller makes the names of *parameters* unique."""
        self._parts.append(sql)
        self.parameters.update(parameters)

    def equal(self, column_sql: str, value: Any) -> None:
        """Add equality; None is IS NULL."""
        self.add(f"{column_sql} IS NULL" if value is None else f"{column_sql} = {self._bind(value)}")

    def among(self, column_sql: str, values: Sequence[Any], kind: "ValueKind" = "text") -> None:
        """Add membership; None among *values* is IS NULL, no values match nothing.

        :param kind: how the values compare, as ``Dialect.array`` has it.
        """
        given = list(dict.fromkeys(value for value in values if value is not None))
        choices = []
        if len(given) > LONG_LIST and self._dialect is not None:
            name = self._bind(self._dialect.pack(given))[1:]
            choices.append(f"{column_sql} IN (SELECT listed.value FROM {self._dialect.array(name, kind)} AS listed)")
        elif given:
            choices.append(f"{column_sql} IN ({', '.join(map(self._bind, given))})")
        if None in values:
            choices.append(f"{column_sql} IS NULL")
        self.add(f"({' OR '.join(choices)})" if choices else "1=0")

    def conditions(
        self,
        table_name: str,
        cond_dict: Mapping[str, Any] | None,
        columns: Columns | None = None,
        prefix: str = "",
        parameter: str = "condDict",
    ) -> None:
        """Add a condDict: column names to a scalar (equal; null is IS NULL) or a list (any of them).

        :param columns: the columns that may be named, if not those of the table.
        :param prefix: alias and dot before the table's own columns; others stand without.
        :param parameter: the parameter that errors name.
        :raises InvalidParams: an unknown column, or a value that does not fit; lists what is valid.
        """
        known = columns_of(table_name, columns)
        errors: dict[str, list[Any]] = {}
        for name, wanted in (cond_dict or {}).items():
            column = known.get(name)
            if column is None:
                errors[name] = [f"Not a column. Valid: {', '.join(known)}."]
                continue
            sql = _reference(table_name, name, prefix)
            try:
                if type(wanted) is list:
                    values = [scalar(column, value) for value in wanted]
                    self.among(sql, values, "text" if column.kind == "date" else column.kind)
                else:
                    self.equal(sql, scalar(column, wanted))
            except BadValue as error:
                errors[name] = [f"{message} The column's type is {column.kind}." for message in error.messages]
        if errors:
            raise invalid(parameter, errors)

    def bounds(
        self,
        table_name: str,
        older: str | None,
        newer: str | None,
        time_stamp: str | None,
        prefix: str = "",
        columns: Columns | None = None,
    ) -> None:
        """Add ``newer <= column < older``; a bound that is None is none.

        :param older: a moment in the stored form, as fields.DateTime loads it.
        :param time_stamp: the date column; does not matter without a bound.
        :raises InvalidParams: there is a bound, and no date column of that name.
        """
        if older is None and newer is None:
            return
        dates = [column.name for column in columns_of(table_name, columns).values() if column.kind == "date"]
        if time_stamp is None or time_stamp not in dates:
            raise invalid("timeStamp", [f"Not a date column. Valid: {', '.join(dates)}."])
        sql = _reference(table_name, time_stamp, prefix)
        if newer is not None:
            self.add(f"{sql} >= {self._bind(newer)}")
        if older is not None:
            self.add(f"{sql} < {self._bind(older)}")

    def readable(self, call: "Call", column_sql: str) -> None:
        """Keep rows whose *column_sql* is the id of a transformation that the caller may read."""
        readable = call.readable
        if readable is None:
            return
        inner = Where(self._dialect, f"{self._name}_readable")
        inner.conditions("Transformations", readable)
        sql = f"{column_sql} IN (SELECT TransformationID FROM Transformations WHERE {inner.text})"
        self.add(sql, **inner.parameters)

    def after(self, table_name: str, key: Sequence[int], prefix: str = "") -> None:
        """Keep rows whose primary key sorts after *key*: the last column, or all of them."""
        names = [_reference(table_name, name, prefix) for name in TABLES[table_name].key[-len(key) :]]
        values = [self._bind(value) for value in key]
        if len(key) == 1:
            self.add(f"{names[0]} > {values[0]}")
            return
        assert self._dialect is not None  # see __init__
        self.add(self._dialect.beyond(names, values))


def columns_of(table_name: str, columns: Columns | None = None) -> Columns:
    """Return the columns that conditions over a table may name."""
    return TABLES[table_name].columns if columns is None else columns


def _reference(table_name: str, name: str, prefix: str) -> str:
    table = TABLES[table_name]
    return f"{prefix}{name}" if name in table.columns or name in table.key else name


def invalid(parameter: str, errors: Any) -> InvalidParams:
    """Return the error of one wrong parameter."""
    return InvalidParams(f"Invalid parameter {parameter}", errors={parameter: errors})


def order_by(
    table_name: str,
    order: str | Sequence[str] | None,
    columns: Columns | None = None,
    prefix: str = "",
    parameter: str = "orderAttribute",
) -> str:
    """Return `` ORDER BY …``, which always ends with the primary key. Null comes first, with DESC last (both engines).

    :param order: ``Col``, ``Col:ASC``, ``Col:DESC`` or a list of those; None for the key alone.
    :raises InvalidParams: an unknown column or direction; lists what is valid.
    """
    known = columns_of(table_name, columns)
    terms: dict[str, str] = {}
    for item in [order] if isinstance(order, str) else order or ():
        name, colon, direction = item.partition(":")
        direction = direction.upper() if colon else "ASC"
        if name not in known:
            raise invalid(parameter, [f"{name[:100]!r} is not a column. Valid: {', '.join(known)}."])
        if direction not in ("ASC", "DESC"):
            raise invalid(parameter, [f"{direction[:100]!r} is not a direction. Valid: ASC, DESC."])
        terms.setdefault(_reference(table_name, name, prefix), direction)
    for name in TABLES[table_name].key:
        terms.setdefault(_reference(table_name, name, prefix), "ASC")
    return " ORDER BY " + ", ".join(f"{name} {direction}" for name, direction in terms.items())


def page(limit: int | None, offset: int | None) -> str:
    """Return `` LIMIT … OFFSET …`` for numbers that were checked: 0 and None are no limit and no offset."""
    if not limit and not offset:
        return ""
    # OFFSET needs a LIMIT; the largest that both engines take stands for none
    return f" LIMIT {limit or MAX_INTEGER:d} OFFSET {offset or 0:d}"
