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
"""Longer IN lists travel as one JSON array: engines bound the number of parameters of a statement, and SQLite compares
the name of each with all others, 20 s for 42,000. So do all lists behind twice as many parameters."""
_UNIQUE_TEXTS = ("LFN", "TransformationName")
"""Texts by which an engine finds rows, instead of looking every row up in a list."""
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z", re.ASCII)


class Expression(NamedTuple):
    """What a name of the interface means in a statement.

    :param sql: a column with the alias of its table, or what is computed of some.
    :param kind: how its values compare, and how answers show them.
    :param long: it may be a text of any length.
    """

    sql: str
    kind: ColumnKind
    long: bool = False


Expressions = Mapping[str, Expression]


def expressions(table: Table, prefix: str = "") -> Expressions:
    """Return the columns of a table of the interface by name.

    :param prefix: alias and dot.
    """
    return _expressions(table.name, prefix)


@cache
def _expressions(table_name: str, prefix: str) -> Expressions:
    return {
        name: Expression(f"{prefix}{name}", column.kind, column.kind == "text" and column.length is None)
        for name, column in TABLES[table_name].columns.items()
    }


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


LISTING: Mapping[str, str] = {"=": "in", "!=": "nin", "in": "in", "nin": "nin"}
"""Operators that take a list too, by what they mean then."""
_ORDERING = ("<", "<=", ">", ">=")
_OPERATORS = (*LISTING, *_ORDERING, "like")
_PATTERN_LENGTH = 4096  # characters; an engine refuses patterns of 50,000 bytes, and escaping may triple them
# on a text of megabytes: engines try what stands between two % at every place of it, and cannot be stopped at that
_SHORT_PATTERN_LENGTH = 100


class Comparison(NamedTuple):
    """One thing that a condDict asks of a column, read.

    :param operator: ``=``, ``in``, ``nin``, ``<``, ``<=``, ``>``, ``>=`` or ``like``.
    :param wanted: a value as the column compares (None is IS NULL); for ``in`` and ``nin`` a list of those.
    """

    column: Expression
    operator: str
    wanted: Any


def _compared(column: Expression, wanted: Any) -> list[Comparison]:
    """Read what a condDict has under a name: a scalar, a list, or an object of operators.

    :raises BadValue: it does not fit.
    """
    if type(wanted) is list:
        return [Comparison(column, "in", [scalar(column.kind, value) for value in wanted])]
    if type(wanted) is not dict:
        return [Comparison(column, "=", scalar(column.kind, wanted))]
    if not wanted:
        raise BadValue(f"No operator. Valid: {', '.join(_OPERATORS)}.")
    read, errors = [], {}
    for operator, value in wanted.items():
        try:
            read.append(_operation(column, operator, value))
        except BadValue as error:
            errors[operator] = error.messages
    if errors:
        raise BadValue(errors)
    return read


def _operation(column: Expression, operator: str, value: Any) -> Comparison:
    if operator in LISTING:
        if value == []:
            raise BadValue("Needs at least one value.")
        if operator == "=" and type(value) is not list:
            return Comparison(column, "=", scalar(column.kind, value))
        several = value if type(value) is list else [value]
        return Comparison(column, LISTING[operator], [scalar(column.kind, item) for item in several])
    if operator not in _OPERATORS:
        raise BadValue(f"Not an operator. Valid: {', '.join(_OPERATORS)}.")
    if value is None:
        raise BadValue("Must not be null.")
    if operator != "like":
        return Comparison(column, operator, scalar(column.kind, value))
    if column.kind != "text":
        raise BadValue("Only text is like a pattern.")
    most = _SHORT_PATTERN_LENGTH if column.long else _PATTERN_LENGTH
    pattern = values.text(values.number_as_text(value), most)
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise BadValue("Ends with a backslash that escapes nothing.")
    return Comparison(column, "like", pattern)


def fixed(wanted: Any) -> Any:
    """Return the one value that an entry of a condDict allows by a scalar or ``=``; None where there is none."""
    value = wanted.get("=") if type(wanted) is dict else wanted
    return None if type(value) in (list, dict) else value


def comparisons(
    columns: Expressions, cond_dict: Mapping[str, Any] | None, parameter: str = "condDict"
) -> tuple[Comparison, ...]:
    """Read a condDict: names to a scalar (equal; null is IS NULL), a list (any of them) or an object of operators.

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
            read += _compared(column, wanted)
        except BadValue as error:
            errors[name] = _with_kind(error.messages, column.kind)
    if errors:
        raise invalid(parameter, errors)
    return tuple(read)


def _with_kind(messages: Any, kind: ColumnKind) -> Any:
    if isinstance(messages, dict):
        return {name: _with_kind(inner, kind) for name, inner in messages.items()}
    return [f"{message} The column's type is {kind}." for message in messages]


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

    def among(self, sql: str, values: Sequence[Any], kind: ColumnKind = "text", *, without: bool = False) -> None:
        """Add membership; None among *values* is IS NULL, no values match nothing.

        :param values: as ``scalar`` returns them.
        :param without: keep the other rows instead, null among them unless it is one of *values*.
        """
        given = list(dict.fromkeys(value for value in values if value is not None))
        null = None in values
        isin, isnull = ("NOT IN", "IS NOT NULL" if null else "IS NULL") if without else ("IN", "IS NULL")
        choices = []
        if len(given) > LONG_LIST or (given and len(given) + len(self.parameters) > 2 * LONG_LIST):
            name = self._bind(self._dialect.pack(given))[1:]
            array = self._dialect.array(name, _PACKED[kind])
            by_index = not (without or null) and sql.rpartition(".")[2] in _UNIQUE_TEXTS
            short = self._dialect.short if _PACKED[kind] == "text" and not by_index else str
            choices.append(f"{short(sql)} {isin} (SELECT {short('listed.value')} FROM {array} AS listed)")
        elif given:
            choices.append(f"{sql} {isin} ({', '.join(map(self._bind, given))})")
        if null or (without and given):
            choices.append(f"{sql} {isnull}")
        # spelled out, not IS NOT TRUE: an index serves the parts
        joined = (" AND " if without and null else " OR ").join(choices)
        self.add(f"({joined})" if choices else "1=1" if without else "1=0")

    def conditions(
        self, columns: Expressions, cond_dict: Mapping[str, Any] | None, parameter: str = "condDict"
    ) -> None:
        """Add a condDict; see ``comparisons``."""
        self.meet(comparisons(columns, cond_dict, parameter))

    def meet(self, comparisons: Iterable[Comparison]) -> None:
        """Add a condDict that was read."""
        for column, operator, wanted in comparisons:
            sql = column.sql
            if operator in ("in", "nin"):
                self.among(sql, wanted, column.kind, without=operator == "nin")
            elif operator == "=":
                self.equal(sql, wanted)
            elif operator == "like":
                self.add(self._dialect.like(sql, wanted, self._bind))
            else:
                self.add(f"{sql} {operator} {self._bind(wanted)}")

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
    return InvalidParams("Invalid parameters", errors={parameter: errors})


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
