"""Rows of an answer, described before they are read."""

from dataclasses import dataclass
from functools import lru_cache

from ..core.identity import Transformation
from ..core.model import DATA_FILES, TRANSFORMATION_FILES, TRANSFORMATION_TASKS, TRANSFORMATIONS
from ..storage.base import Row, Select
from ..storage.dialect import Dialect
from ..storage.where import Expression, Expressions, Where, expressions
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
    # the format functions of the engines would need literals with colons
    return dialect.concat(f"REPLACE({sql}, ' ', 'T')", "'Z'") if kind == "date" else sql


@lru_cache(maxsize=256)
def _select(dialect: Dialect, columns: tuple[tuple[str, Expression], ...]) -> str:
    return "SELECT " + ", ".join(f"{in_answers(dialect, expression)} AS {name}" for name, expression in columns)


def only(work: Work, trans: Transformation, prefix: str = "") -> Where:
    """Return a clause that keeps what belongs to one transformation, which the caller may read.

    :param prefix: alias and dot of the table.
    """
    where = Where(work.dialect)
    where.equal(f"{prefix}TransformationID", trans.id)
    return where


@dataclass(frozen=True, slots=True)
class Rows:
    """A SELECT whose parts are known, so that it can still be decided how its rows are read and put out.

    :param columns: of a row, in order.
    :param source: what stands after FROM.
    :param where: which rows; from ``Work.where``, which holds what the policy says, or ``only``.
    :param tail: what follows WHERE. It names columns by their expressions, never by their names in the row: there
        dates are texts that no index has.
    """

    columns: Expressions
    source: str
    where: Where
    tail: str = ""

    def query(self, dialect: Dialect) -> Select:
        """Return the statement, as ``Storage.stream`` takes it."""
        select = _select(dialect, tuple(self.columns.items()))
        return Select(f"{select} FROM {self.source} WHERE {self.where.text}{self.tail}", self.where.parameters)

    async def run(self, work: Work) -> list[Row]:
        """Return all rows, as objects."""
        query = self.query(work.dialect)
        return await work.tx.fetch_all(query.sql, query.parameters)
