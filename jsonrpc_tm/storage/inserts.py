"""INSERTs of a few rows, or of many, each in the form that costs less."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from .base import Parameters, chunks
from .dialect import Dialect, PackedKind
from .dialect.base import listed


async def insert(
    verb: Callable[[str, Any], Awaitable[Any]],
    dialect: Dialect,
    table: str,
    columns: Mapping[str, PackedKind],
    rows: Sequence[Sequence[Any]],
    given: Mapping[str, str] = {},
    parameters: Parameters = {},
    tail: str = "",
    ordered: bool = False,
) -> None:
    """Insert rows whose count and identifiers nobody needs.

    :param verb: ``soon`` or ``last`` of the transaction.
    :param columns: what the rows hold, by column of *table*.
    :param rows: values in the order of *columns*.
    :param given: SQL expressions of further columns, equal for all rows.
    :param parameters: of *given*; named like none of *columns*.
    :param tail: what ends the statement, see ``Dialect.adding``.
    :param ordered: the engine gives out identifiers, in the order of the rows.
    """
    head = f"INSERT INTO {table} ({listed([*given, *columns])})"
    if 0 < len(rows) <= dialect.few:
        sql = f"{head} VALUES ({listed([*given.values(), *(f':{column}' for column in columns)])}){tail}"
        await verb(sql, [{**parameters, **dict(zip(columns, row, strict=True))} for row in rows])
        return
    source = dialect.records("rows", **columns)
    order = " ORDER BY position" if ordered else ""
    # the WHERE keeps SQLite's parser from reading the ON of a tail as a join's
    sql = f"{head} SELECT {listed([*given.values(), *columns])} FROM {source} AS packed WHERE true{order}{tail}"
    for chunk in chunks(rows):
        await verb(sql, {**parameters, "rows": dialect.pack(chunk)})
