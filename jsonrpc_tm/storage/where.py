"""The conditions that list methods take (section 5 of the specification), as SQL with bound values.

A name becomes SQL only by way of ``Expressions``, where all that may be named stands; values are always bound.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from ..core import values
from ..core.errors import InvalidParams
from ..core.model import MAX_INTEGER, TABLES, TRANSFORMATIONS, ColumnKind, Table
from ..core.values import BadValue
from .dialect import Dialect, PackedKind

LONG_LIST = 500
"""Longer IN lists travel as one JSON array: engines bound the number of parameters of a statement."""
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z", re.ASCII)


class Expression(NamedTuple):
    """What a name of the interface means in a statement.

    :param sql: a column with the alias of its table, or what is computed of some.
    :param kind: how its values compare, and how answers show them.
    """

    sql: str
    kind: ColumnKind


Expressions = Mapping[str, Expression]


def expressions(table: Table, prefix: str = "") -> Expressions:
    """Return the columns of a table of the interface by name.

    :param prefix: alias and dot.
    """
    return _expressions(table.name, prefix)


@cache
def _expressions(table_name: str, prefix: str) -> Expressions:
    return {name: Expression(f"{prefix}{name}", column.kind) for name, column in TABLES[table_name].columns.items()}


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


_READERS: Mapping[ColumnKind, Callable[[Any], Any]] = {
    "int": _integer,
    "float": _number,
    "date": values.moment,
    "text": _text,
}
# date columns compare with texts
_PACKED: Mapping[ColumnKind, PackedKind] = {"int": "int", "float": "float", "date": "text", "text": "text"}


def scalar(kind: ColumnKind, value: Any) -> Any:
    """Return *value* as it is compared with a column of that kind; None means IS NULL.

    :raises BadValue: it does not fit.
    """
    return None if value is None else _READERS[kind](value)


class Comparison(NamedTuple):
    """One entry of a condDict, read.

    :param wanted: a value as the column compares (None is IS NULL), or a list, one of which it must be.
    """

    column: Expression
    wanted: Any


def comparisons(
    columns: Expressions, cond_dict: Mapping[str, Any] | None, parameter: str = "condDict"
) -> tuple[Comparison, ...]:
    """Read a condDict: names to a scalar (equal; null is IS NULL) or a list (any of them).

    :param columns: what may be named.
    :param parameter: the parameter that errors name.
    :raises InvalidParams: unknown names, or values that do not fit; tells all of them, and what is valid.
    """
    read: list[Comparison] = []
    errors: dict[str, list[Any]] = {}
    for name, wanted in (cond_dict or {}).items():
        column = columns.get(name)
        if column is None:
            errors[name] = [f"Not a column. Valid: {', '.join(columns)}."]
            continue
        try:
            several = type(wanted) is list
            loaded = [scalar(column.kind, value) for value in wanted] if several else scalar(column.kind, wanted)
            read.append(Comparison(column, loaded))
        except BadValue as error:
            errors[name] = [f"{message} The column's type is {column.kind}." for message in error.messages]
    if errors:
        raise invalid(parameter, errors)
    return tuple(read)


class Where:
    """A WHERE clause that grows: conditions joined by AND, values bound by name.

    :param name: start of the parameters' names; two clauses in one statement need two.
    """

    def __init__(self, dialect: Dialect, name: str = "where") -> None:
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

    def equal(self, sql: str, value: Any) -> None:
        """Add equality; None is IS NULL."""
        self.add(f"{sql} IS NULL" if value is None else f"{sql} = {self._bind(value)}")

    def among(self, sql: str, values: Sequence[Any], kind: ColumnKind = "text") -> None:
        """Add membership; None among *values* is IS NULL, no values match nothing.

        :param values: as ``scalar`` returns them.
        """
        given = list(dict.fromkeys(value for value in values if value is not None))
        choices = []
        if len(given) > LONG_LIST:
            name = self._bind(self._dialect.pack(given))[1:]
            array = self._dialect.array(name, _PACKED[kind])
            choices.append(f"{sql} IN (SELECT listed.value FROM {array} AS listed)")
        elif given:
            choices.append(f"{sql} IN ({', '.join(map(self._bind, given))})")
        if None in values:
            choices.append(f"{sql} IS NULL")
        self.add(f"({' OR '.join(choices)})" if choices else "1=0")

    def conditions(
        self, columns: Expressions, cond_dict: Mapping[str, Any] | None, parameter: str = "condDict"
    ) -> None:
        """Add a condDict; see ``comparisons``."""
        self.meet(comparisons(columns, cond_dict, parameter))

    def meet(self, comparisons: Iterable[Comparison]) -> None:
        """Add a condDict that was read."""
        for (sql, kind), wanted in comparisons:
            if type(wanted) is list:
                self.among(sql, wanted, kind)
            else:
                self.equal(sql, wanted)

    def bounds(self, columns: Expressions, older: str | None, newer: str | None, time_stamp: str | None) -> None:
        """Add ``newer <= column < older``; a bound that is None is none.

        :param older: a moment in the stored form, as fields.DateTime loads it.
        :param time_stamp: the date column; does not matter without a bound.
        :raises InvalidParams: there is a bound, and no date column of that name.
        """
        if older is None and newer is None:
            return
        dates = {name: column.sql for name, column in columns.items() if column.kind == "date"}
        if time_stamp is None or time_stamp not in dates:
            raise invalid("timeStamp", [f"Not a date column. Valid: {', '.join(dates)}."])
        if newer is not None:
            self.add(f"{dates[time_stamp]} >= {self._bind(newer)}")
        if older is not None:
            self.add(f"{dates[time_stamp]} < {self._bind(older)}")

    def within(self, sql: str, condition: Mapping[str, Any]) -> None:
        """Keep rows whose *sql* is the id of a transformation that fulfils a condDict."""
        inner = Where(self._dialect, f"{self._name}_within")
        inner.conditions(expressions(TRANSFORMATIONS), condition)
        self.add(f"{sql} IN (SELECT TransformationID FROM Transformations WHERE {inner.text})", **inner.parameters)

    def after(self, key: Sequence[str], seen: Sequence[int]) -> None:
        """Keep rows whose *key* (SQL) sorts after what was *seen* last."""
        values = [self._bind(value) for value in seen]
        self.add(f"{key[0]} > {values[0]}" if len(key) == 1 else self._dialect.beyond(key, values))


def invalid(parameter: str, errors: Any) -> InvalidParams:
    """Return the error of one wrong parameter."""
    return InvalidParams(f"Invalid parameter {parameter}", errors={parameter: errors})


def order_by(
    columns: Expressions, key: Sequence[str], order: Sequence[str] | None, parameter: str = "orderAttribute"
) -> str:
    """Return `` ORDER BY …``, which always ends with the key. Null comes first, with DESC last (both engines).

    :param columns: what may be named.
    :param key: names of the primary key's columns.
    :param order: ``Col``, ``Col:ASC`` or ``Col:DESC`` each; None for the key alone.
    :param parameter: the parameter that errors name.
    :raises InvalidParams: an unknown name or direction; lists what is valid.
    """
    terms: dict[str, str] = {}
    for item in order or ():
        name, colon, direction = item.partition(":")
        direction = direction.upper() if colon else "ASC"
        if name not in columns:
            raise invalid(parameter, [f"{name[:100]!r} is not a column. Valid: {', '.join(columns)}."])
        if direction not in ("ASC", "DESC"):
            raise invalid(parameter, [f"{direction[:100]!r} is not a direction. Valid: ASC, DESC."])
        terms.setdefault(columns[name].sql, direction)
    for name in key:
        terms.setdefault(columns[name].sql, "ASC")
    return " ORDER BY " + ", ".join(f"{sql} {direction}" for sql, direction in terms.items())


def limited(limit: int | None, offset: int | None) -> str:
    """Return `` LIMIT … OFFSET …`` for numbers that were checked: 0 and None are no limit and no offset."""
    if not limit and not offset:
        return ""
    # OFFSET needs a LIMIT; the largest that both engines take stands for none
    return f" LIMIT {limit or MAX_INTEGER:d} OFFSET {offset or 0:d}"
