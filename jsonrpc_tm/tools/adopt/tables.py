"""Which tables are taken over, and how a column of the old one becomes a column of the new one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...core import model
from .database import ORPHANED


@dataclass(frozen=True)
class Adopted:
    """A table to be taken over.

    :param key: integer columns by which it is read in chunks.
    :param parents: tables that must have a row with the same values in these columns; its own columns by parent.
    :param indexes: the reference's own, of all ages, beside the primary key.
    :param unique: columns that identify a row; empty for those of *key*.
    :param bulky: rows are large, and few go through Python at once.
    """

    name: str
    key: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    indexes: tuple[tuple[str, ...], ...] = ()
    unique: tuple[str, ...] = ()
    bulky: bool = False

    @property
    def aside(self) -> str:
        """The table for rows whose owner is gone."""
        return ORPHANED + self.name


_TRANS = ("TransformationID",)
_TASK = ("TransformationID", "TaskID")
_FILE = ("TransformationID", "FileID")
_OF_TRANSFORMATIONS = {"Transformations": _TRANS}
# parents first
TABLES = tuple(
    replace(table, unique=table.unique or table.key)
    for table in (
        Adopted(
            "Transformations",
            _TRANS,
            indexes=(("TransformationName",), ("TransformationFamily",), ("Status",), ("Type",)),
            bulky=True,
        ),
        Adopted("DataFiles", ("FileID",), indexes=(("FileID", "LFN"), ("LFN",), ("Status",))),
        Adopted("AdditionalParameters", _TRANS, _OF_TRANSFORMATIONS, unique=(*_TRANS, "ParameterName"), bulky=True),
        Adopted(
            "TransformationMetaQueries",
            _TRANS,
            _OF_TRANSFORMATIONS,
            indexes=((*_TRANS, "MetaDataName"),),
            unique=(*_TRANS, "MetaDataName", "QueryType"),
        ),
        Adopted("TransformationLog", ("recid",), _OF_TRANSFORMATIONS, indexes=(_TRANS, ("MessageDate",))),
        Adopted(
            "TransformationTasks",
            _TASK,
            _OF_TRANSFORMATIONS,
            indexes=(("ExternalStatus",), (*_TRANS, "ExternalStatus")),
        ),
        Adopted(
            "TransformationFiles",
            _FILE,
            {"Transformations": _TRANS, "DataFiles": ("FileID",)},
            indexes=(_TRANS, ("Status",), ("FileID",), (*_TRANS, "Status")),
        ),
        Adopted(
            "TransformationFileTasks",
            (*_FILE, "TaskID"),
            {"TransformationFiles": _FILE, "TransformationTasks": _TASK},
            indexes=(_FILE, _TASK),
        ),
        Adopted("TaskInputs", _TASK, {"TransformationTasks": _TASK}, bulky=True),
    )
)
assert {table.name for table in TABLES} == set(model.TABLES)
DERIVED = {
    "Transformations": {"Author", "AuthorDN"},
    "TransformationLog": {"recid"},
    "TransformationMetaQueries": {"QueryType"},
}
"""Columns that an old database may lack: the author is derived from AuthorDN, which may be missing beside it; log
lines are numbered by their time; queries ask for input."""


def lineage(table: Adopted) -> dict[str, tuple[str, ...]]:
    """Return the parents of a table and theirs: a row is taken over when all of them are there."""
    found = dict(table.parents)
    for parent in table.parents:
        # the columns of a key have one name in all tables
        found |= lineage(next(each for each in TABLES if each.name == parent))
    return found


def owners(parents: Mapping[str, tuple[str, ...]], join: str, prefix: str) -> str:
    """Return the joins from a row ``s`` to its owners ``p0 …``, which have unique keys.

    :param parents: see `Adopted`.
    :param join: ``STRAIGHT_JOIN`` or ``LEFT JOIN``: both read the rows first and then look the owners up. Left to
        itself the engine may begin with a table that it takes for small because it has just been filled.
    :param prefix: of the owners' tables.
    """
    joins = []
    for number, (parent, columns) in enumerate(parents.items()):
        same = " AND ".join(f"p{number}.{column} = s.{column}" for column in columns)
        joins.append(f" {join} `{prefix}{parent}` AS p{number} ON {same}")
    return "".join(joins)


def owned(parents: Mapping[str, tuple[str, ...]]) -> str:
    """Return the condition that ``LEFT JOIN`` found every owner."""
    there = [f"p{number}.{columns[0]} IS NOT NULL" for number, columns in enumerate(parents.values())]
    return f"({' AND '.join(there) or '1 = 1'})"


def checksum(expressions: list[str]) -> str:
    """Return the aggregates that stand for a set of rows: their number, and two of a hash of each row."""
    # as bytes: texts of different collations do not go together
    parts = ", ".join(f"COALESCE(CONCAT('=', CAST({part} AS BINARY)), '0')" for part in expressions)
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
