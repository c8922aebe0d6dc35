"""What becomes of a column's values: in SQL where the server can do it, else row by row in Python."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...core import model
from . import definitions
from .database import SourceColumn
from .tables import Adopted
from .values import JSON, Unreadable, asked, decoded, dumps, parameter, task_number

FITTING = {"int": ("int", "text"), "float": ("int", "decimal"), "text": ("text", "bytes", "int", "decimal")}
"""Families of old columns by kind of the new one."""
QUERIES = "TransformationMetaQueries"
BLOB = 2**16 - 1
"""Bytes at which a BLOB cut, without a word."""
CUT_TASK_ID = 2**31 - 1
"""What 32 bits make of a larger inherited task id."""
UNKNOWN = "Unknown"
"""Author of what has none."""


def fits(table: Adopted, name: str, column: SourceColumn) -> bool:
    """Return whether a column can be taken over as it is, or by a rule."""
    kind = model.TABLES[table.name].columns[name].kind
    if name in (*table.unique, "TransformationName") and column.family == "bytes":
        return False  # it is compared as a text before it is one
    if column.family == "text" and kind == "int":
        return (table.name, name) == ("TransformationFiles", "TaskID")
    return column.family in FITTING.get(kind, (kind,))


def by_row(table: Adopted, columns: Mapping[str, SourceColumn]) -> tuple[str, ...]:
    """Return the columns whose values are made by `made`, others are made by `expression`."""
    return tuple(
        name
        for name, column in columns.items()
        if (known := model.TABLES[table.name].columns.get(name))
        and (name in _TO_JSON or (known.kind, column.family) in (("text", "bytes"), ("int", "text")))
    )


_TO_JSON = {"ParameterValue": "ParameterType", "MetaDataValue": "MetaDataType"}
"""Columns whose text becomes JSON, and the column that says what it is."""


def needed(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that `made` has to see beside those it makes."""
    return tuple(_TO_JSON[name] for name in columns if name in _TO_JSON)


def made(name: str, row: Mapping[str, Any], doubt: Callable[[str], None]) -> Any:
    """Return a value of a new row.

    :param row: the old one's columns, as the database has them.
    :param doubt: called with the code of a finding where the value is not what it should be.
    """
    value = row[name]
    if isinstance(value, bytes):
        value, sound = decoded(value)
        if not sound:
            doubt("latin-1")
    if name == "TaskID":
        number = None if value is None else task_number(value)
        if number is None and value is not None:
            doubt("task-numbers")
        return number
    if name not in _TO_JSON:
        return value
    kind = row[_TO_JSON[name]]
    try:
        return dumps(parameter(value, kind) if name == "ParameterValue" else asked(row["MetaDataName"], value, kind))
    except Unreadable:
        if name == "ParameterValue":
            doubt("parameters")
            return dumps(value)
        doubt("queries")
        # a text that no file has: the condition must not vanish, or the query would match more than it did
        return dumps(f"unreadable: {value}")


def expression(
    table: Adopted, column: SourceColumn, name: str, target: str, renamed: Mapping[int, str], *, by_row: bool
) -> str:
    """Return the SQL of a new column's value in terms of the old row ``s``; an extension's is copied as it is.

    :param name: the new column.
    :param target: its definition.
    :param renamed: parameter names of new names by TransformationID.
    :param by_row: Python makes it, in a row ``v``.
    """
    value = f"s.`{column.name}`"
    if name not in model.TABLES[table.name].columns:
        return value
    if name in _TO_JSON.values():
        return f"'{JSON}'"
    if by_row:
        value = f"v.{name}"
    elif name == "TransformationName" and renamed:
        cases = " ".join(f"WHEN {number} THEN :{given}" for number, given in renamed.items())
        value = f"CASE s.TransformationID {cases} ELSE CONVERT({value} USING utf8mb4) END"
    elif column.charset and column.charset[0] != "utf8mb4":
        value = f"CONVERT({value} USING utf8mb4)"
    elif column.family in ("int", "decimal") and definitions.length(target):
        value = f"CAST({value} AS CHAR)"
    elif column.family == "decimal":
        # by way of the text: 0.1 stays 0.1
        value = f"CAST(CAST({value} AS CHAR) AS DOUBLE)"
    elif "zerofill" in column.type:
        value = f"CAST({value} AS SIGNED)"
    elif column.family == "date":
        value = f"IF({no_date(value)}, NULL, CAST({value} AS DATETIME))"
    usual = _default(column, target)
    return value if usual is None else f"COALESCE({value}, {usual})"


def no_date(value: str) -> str:
    """Return the condition that a date is none: 0000-00-00, or one without a day or month."""
    day = f"DAY({value}) > DAY(LAST_DAY(CONCAT_WS('-', YEAR({value}), MONTH({value}), 1)))"
    return f"YEAR({value}) = 0 OR MONTH({value}) = 0 OR DAY({value}) = 0 OR (DAY({value}) > 28 AND {day})"


def _default(column: SourceColumn, target: str) -> str | None:
    """Return what stands for a missing value, None where it may be missing or cannot be."""
    if " NOT NULL" not in target:
        return None
    if column.family == "date":
        return "FROM_UNIXTIME(0)"
    usual = re.search(r" DEFAULT ('[^']*'|\S+)", target)
    return usual[1] if usual and column.nullable else None


def author(authors: Mapping[str, str], *, beside: bool) -> str:
    """Return the SQL of the author in terms of the old row ``s``: the user who has its DN, else the DN.

    :param authors: parameter names of users by those of DNs.
    :param beside: there is a column Author too, which counts where it is not empty.
    """
    dn = "CONVERT(s.AuthorDN USING utf8mb4)"
    value = f"COALESCE(NULLIF({dn}, ''), '{UNKNOWN}')"
    if authors:
        cases = " ".join(f"WHEN BINARY :{given} THEN :{user}" for given, user in authors.items())
        value = f"CASE BINARY {dn} {cases} ELSE {value} END"
    return f"COALESCE(NULLIF(CONVERT(s.Author USING utf8mb4), ''), {value})" if beside else value


@dataclass(frozen=True, slots=True)
class Concern:
    """Something to tell about the rows of a table.

    :param condition: SQL over the old row ``s``.
    :param text: the sentence, after the number of rows.
    """

    code: str
    condition: str
    text: str
    blocking: bool = False


def checks(
    table: Adopted, columns: Mapping[str, SourceColumn], targets: Mapping[str, str], packet: int
) -> Iterator[Concern]:
    """Yield what to look for in a table's rows: whatever the copy would refuse or change.

    :param targets: definitions of the new columns by name.
    :param packet: ``max_allowed_packet``, in bytes.
    """
    for name, column in columns.items():
        if name in model.TABLES[table.name].columns and name in targets:
            yield from _column_checks(f"{table.name}.{name}", f"s.`{column.name}`", column, targets[name])
            if name in ("InputVector", "MetaDataValue"):
                yield Concern(
                    "cut-texts",
                    f"LENGTH(s.`{column.name}`) = {BLOB}",
                    f"{table.name}.{name}: exactly {BLOB} bytes, cut by a BLOB: the last name is not whole; stays",
                )
    if table.name == "TransformationFiles" and columns["TaskID"].family == "int":
        yield Concern(
            "cut-task-ids", f"s.TaskID = {CUT_TASK_ID}", "inherited task ids that 32 bits have cut; they stay"
        )
        yield Concern(
            "inherited-task-ids",
            f"s.Status LIKE '%-inherited' AND s.TaskID < {model.INHERITED_TASK_FACTOR}",
            "inherited task ids of which only the parent's id is left; they stay",
        )
    long = [f"COALESCE(LENGTH(s.`{column.name}`), 0)" for column in columns.values() if (column.length or 0) >= BLOB]
    if long:
        # a text is part of a checksum; in JSON, and that as a literal, some characters double
        part = 4 if by_row(table, columns) else 2
        yield Concern(
            "packet",
            f"{part} * ({' + '.join(long)}) > {packet - 65536}",
            f"{table.name}: rows larger than 1/{part} of the server's max_allowed_packet ({packet} bytes): raise it",
            blocking=True,
        )


def _column_checks(label: str, value: str, column: SourceColumn, target: str) -> Iterator[Concern]:
    if column.family == "date":
        became = "1970-01-01" if " NOT NULL" in target else "no date"
        yield Concern("dates", no_date(value), f"{label}: dates like 0000-00-00; they become {became}")
        if "(" in column.type:
            yield Concern("fractions", f"MICROSECOND({value}) <> 0", f"{label}: fractions of a second; they are cut")
    if column.nullable and " NOT NULL" in target:
        usual = _default(column, target)
        text = f"{label}: no value; it becomes {usual}" if usual else f"{label}: no value, but one is needed"
        yield Concern("nulls", f"{value} IS NULL", text, blocking=usual is None)
    if "unsigned" in column.type and column.type.startswith("bigint"):
        yield Concern("ranges", f"{value} > {model.MAX_INTEGER}", f"{label}: numbers beyond 64 bits", blocking=True)
    if (column.length or 0) > (most := definitions.length(target)) > 0 and column.family == "text":
        text = f"{label}: texts longer than {most} characters"
        yield Concern("lengths", f"CHAR_LENGTH({value}) > {most}", text, blocking=True)
