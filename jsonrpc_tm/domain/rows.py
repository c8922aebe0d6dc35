"""Rows of an answer, described before they are read."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..core.identity import Transformation
from ..core.model import DATA_FILES, TRANSFORMATION_FILES, TRANSFORMATION_TASKS, TRANSFORMATIONS
from ..storage.base import Row, Select
from ..storage.dialect import Dialect
from ..storage.where import Expression, Expressions, Where, expressions, limited
from .work import Work

TRANSFORMATION_SQL = expressions(TRANSFORMATIONS, "t.")
"""Over ``Transformations t``."""
TASK_SQL = expressions(TRANSFORMATION_TASKS, "t.")
"""Over ``TransformationTasks t``."""
FILE_SQL: Expressions = {"LFN": expressions(DATA_FILES, "d.")["LFN"], **expressions(TRANSFORMATION_FILES, "f.")}
"""Over ``TransformationFiles f`` and ``DataFiles d``."""
NO_ROWS = Select("SELECT 1 FROM Transformations WHERE 1 = 0")
"""What is read where there is nothing more to read."""


def in_answers(dialect: Dialect, expression: Expression) -> str:
    """Return the SQL of an expression as answers show it: dates as ``YYYY-MM-DDTHH:MM:SSZ``, all else as it is."""
    sql, kind = expression.sql, expression.kind
    # the engines have no format function in common
    return dialect.concat(f"REPLACE({sql}, ' ', 'T')", "'Z'") if kind == "date" else sql


@lru_cache(maxsize=256)
def _select(dialect: Dialect, columns: tuple[tuple[str, Expression], ...]) -> str:
    return "SELECT " + ", ".join(f"{in_answers(dialect, expression)} AS {name}" for name, expression in columns)


def _exact(columns: Iterable[Expression]) -> bool:
    """Whether the engine's JSON of columns is, see ``Rows.texts``."""
    return not any(expression.long or expression.kind == "float" for expression in columns)


@lru_cache(maxsize=256)
def _array(dialect: Dialect, columns: tuple[Expression, ...]) -> str | None:
    return dialect.json_array([(column.sql, column.kind) for column in columns]) if _exact(columns) else None


@lru_cache(maxsize=256)
def _texts(dialect: Dialect, columns: tuple[tuple[str, Expression], ...]) -> str | None:
    if not _exact(expression for _, expression in columns):
        return None
    members = {name: (in_answers(dialect, expression), expression.kind) for name, expression in columns}
    return f"SELECT {dialect.json_object(members)} AS row_text"


def only(work: Work, trans: Transformation, prefix: str = "") -> Where:
    """Return a clause that keeps what belongs to one transformation, which the caller may read.

    :param prefix: alias and dot of the table.
    """
    where = Where(work.dialect)
    where.equal(f"{prefix}TransformationID", trans.id)
    return where


@dataclass(frozen=True, slots=True)
class Tuples:
    """The rows of an answer as they are in the database: dates are ``YYYY-MM-DD HH:MM:SS``.

    :param names: of the columns.
    :param rows: each a value for each name, or the JSON text of an array of them.
    :param texts: they are texts.
    """

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    texts: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """A SELECT whose parts are known, so that it can still be decided how its rows are read and put out.

    :param columns: of a row, in order.
    :param source: what stands after FROM.
    :param where: which rows; from ``Work.where``, which holds what the policy says, or ``only``.
    :param tail: what follows WHERE, but LIMIT and OFFSET. It names columns by their expressions, never by their names
        in the row: there dates are texts that no index has.
    :param limit: how many rows at most; 0 and None for any number.
    :param offset: how many are left out before them.
    """

    columns: Expressions
    source: str
    where: Where
    tail: str = ""
    limit: int | None = None
    offset: int | None = None

    def query(self, dialect: Dialect) -> Select:
        """Return the statement, as ``Storage.stream`` takes it."""
        return self._query(_select(dialect, tuple(self.columns.items())))

    def texts(self, dialect: Dialect) -> Select | None:
        """Return the statement for rows of one value, the JSON text of the row's object; None where the engine's is not
        exact: a fraction loses digits, a text of megabytes may become longer than a packet."""
        select = _texts(dialect, tuple(self.columns.items()))
        return None if select is None else self._query(select)

    def few(self, most: int) -> "Rows":
        """Return the first rows, *most* of them."""
        return replace(self, limit=min(self.limit or most, most))

    def _query(self, select: str) -> Select:
        rest = f"{self.tail}{limited(self.limit, self.offset)}"
        return Select(f"{select} FROM {self.source} WHERE {self.where.text}{rest}", self.where.parameters)

    async def run(self, work: Work) -> list[Row]:
        """Return all rows, as objects."""
        query = self.query(work.dialect)
        return await work.tx.fetch_all(query.sql, query.parameters)

    def stored(self, dialect: Dialect) -> tuple[Select, bool]:
        """Return the statement for rows as they are in the database, and whether their values come as one, the JSON
        text of an array, which a driver reads faster."""
        if text := _array(dialect, tuple(self.columns.values())):
            return self._query(f"SELECT {text} AS row_text"), True
        return self._query(f"SELECT {', '.join(expression.sql for expression in self.columns.values())}"), False
