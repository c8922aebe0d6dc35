"""Which tables are taken over, and how a column of the old one becomes a column of the new one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...core import model
from .database import ORPHANED, SourceColumn


@dataclass(frozen=True)
class Adopted:
    """A table to be taken over.

    :param key: integer columns by which it is read in chunks.
    :param parents: tables that must have a row with the same values in these columns; its own columns by parent.
    :param converted: rows go through Python, because texts become JSON.
    """

    name: str
    key: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    converted: bool = False

    @property
    def aside(self) -> str:
        """The table for rows whose owner is gone."""
        return ORPHANED + self.name


_TRANS = ("TransformationID",)
_TASK = ("TransformationID", "TaskID")
_FILE = ("TransformationID", "FileID")
# parents first
TABLES = (
    Adopted("Transformations", _TRANS),
    Adopted("DataFiles", ("FileID",)),
    Adopted("AdditionalParameters", _TRANS, {"Transformations": _TRANS}, converted=True),
    Adopted("TransformationMetaQueries", _TRANS, {"Transformations": _TRANS}, converted=True),
    Adopted("TransformationLog", ("recid",), {"Transformations": _TRANS}),
    Adopted("TransformationTasks", _TASK, {"Transformations": _TRANS}),
    Adopted("TransformationFiles", _FILE, {"Transformations": _TRANS, "DataFiles": ("FileID",)}),
    Adopted(
        "TransformationFileTasks", (*_FILE, "TaskID"), {"TransformationFiles": _FILE, "TransformationTasks": _TASK}
    ),
    Adopted("TaskInputs", _TASK, {"TransformationTasks": _TASK}),
)
assert {table.name for table in TABLES} == set(model.TABLES)


def expression(source: SourceColumn, target: SourceColumn, renamed: Mapping[int, str]) -> str:
    """Return the SQL of a new column's value in terms of the old row ``s``.

    :param renamed: parameter names of new names by TransformationID.
    """
    value = source.text
    if source.name == "TransformationName" and renamed:
        cases = " ".join(f"WHEN {number} THEN :{parameter}" for number, parameter in renamed.items())
        return f"CASE s.TransformationID {cases} ELSE {value} END"
    if source.type.startswith("float") and target.type.startswith("double"):
        # by way of the text: 0.1 stays 0.1
        value = f"CAST(CAST({value} AS CHAR) AS DOUBLE)"
    if source.type.startswith("datetime"):
        # 0000-00-00 is no date
        value = f"IF(YEAR({value}) = 0, NULL, {value})"
    if not target.nullable:
        if source.type.startswith("datetime"):
            value = f"COALESCE({value}, FROM_UNIXTIME(0))"
        elif source.nullable and target.default is not None:
            value = f"COALESCE({value}, {target.default})"
    return value


def owners(table: Adopted, join: str, prefix: str) -> str:
    """Return the joins from a row ``s`` to its owners ``p0 …``, which have unique keys.

    :param join: ``STRAIGHT_JOIN`` or ``LEFT JOIN``: both read the rows first and then look the owners up. Left to
        itself the engine may begin with a table that it takes for small because it has just been filled.
    :param prefix: of the owners' tables.
    """
    joins = []
    for number, (parent, columns) in enumerate(table.parents.items()):
        same = " AND ".join(f"p{number}.{column} = s.{column}" for column in columns)
        joins.append(f" {join} `{prefix}{parent}` AS p{number} ON {same}")
    return "".join(joins)


def owned(table: Adopted) -> str:
    """Return the condition that ``LEFT JOIN`` found every owner."""
    found = [f"p{number}.TransformationID IS NOT NULL" for number in range(len(table.parents))]
    for number, parent in enumerate(table.parents):
        if parent == "DataFiles":
            found[number] = f"p{number}.FileID IS NOT NULL"
    return f"({' AND '.join(found) or '1 = 1'})"


def checksum(expressions: list[str]) -> str:
    """Return the aggregates that stand for a set of rows: their number, and two of a hash of each row."""
    parts = ", ".join(f"COALESCE(CONCAT('=', {part}), '0')" for part in expressions)
    row = f"MD5(CONCAT_WS(',', {parts}))"
    return (
        "COUNT(*) AS n,"
        f" COALESCE(BIT_XOR(CAST(CONV(LEFT({row}, 16), 16, 10) AS UNSIGNED)), 0) AS x,"
        f" COALESCE(SUM(CAST(CONV(RIGHT({row}, 8), 16, 10) AS UNSIGNED)), 0) AS s"
    )


def within(alias: str, key: tuple[str, ...], *, low: bool) -> str:
    """Return the condition that a row's key is above ``:low0 …`` (if *low*) and not above ``:high0 …``."""
    conditions = [_compared(alias, key, "high", "<", "<=")]
    if low:
        conditions.append(_compared(alias, key, "low", ">", ">"))
        # implied, but it tells the engine where to begin
        conditions.append(f"{alias}.{key[0]} >= :low0")
    conditions.append(f"{alias}.{key[0]} <= :high0")
    return " AND ".join(conditions)


def above(alias: str, key: tuple[str, ...]) -> str:
    """Return the condition that a row's key is above ``:low0 …``."""
    return f"{alias}.{key[0]} >= :low0 AND {_compared(alias, key, 'low', '>', '>')}"


def _compared(alias: str, key: tuple[str, ...], bound: str, strict: str, last: str) -> str:
    alternatives = []
    for place, column in enumerate(key):
        equal = "".join(f"{alias}.{before} = :{bound}{i} AND " for i, before in enumerate(key[:place]))
        operator = last if place == len(key) - 1 else strict
        alternatives.append(f"({equal}{alias}.{column} {operator} :{bound}{place})")
    return "(" + " OR ".join(alternatives) + ")"
