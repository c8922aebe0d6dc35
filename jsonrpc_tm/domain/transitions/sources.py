"""Lists of rows as sources of statements: by their ids alone where many rows get the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...storage.base import Transaction, chunks
from ...storage.dialect import Dialect, PackedKind


class RowSource(NamedTuple):
    """What one statement takes.

    :param sql: a derived table; empty where the identifiers stand in the statement.
    :param among: what follows a column that is the identifier of one of the rows, over ``source``.
    :param values: expressions for what the rows get, by column.
    :param parameters: what these take.
    :param rows: of the list, as they were given.
    """

    sql: str
    among: str
    values: Mapping[str, str]
    parameters: Mapping[str, Any]
    rows: Sequence[Sequence[Any]]


def sources(
    dialect: Dialect, rows: Sequence[Sequence[Any]], locked: bool = False, **columns: PackedKind
) -> Iterator[RowSource]:
    """Yield sources for a list, which may be long.

    A list of ids costs SQLite a twentieth of a list of rows, and MariaDB half of it.

    :param rows: an identifier, in ascending order, and a value for each of the columns.
    :param locked: nothing but an UPDATE takes them, of rows that are locked: few are not made a table then.
    """
    alike: dict[tuple[Any, ...], list[Sequence[Any]]] = {}
    for row in rows:
        alike.setdefault(tuple(row[1:]), []).append(row)
    if locked and len(alike) == 1 and len(rows) <= dialect.keys:
        ids = {f"id{i}": row[0] for i, row in enumerate(rows)}
        parameters = {**ids, **dict(zip(columns, rows[0][1:], strict=True))}
        bound = {name: f":{name}" for name in columns}
        yield RowSource("", f"IN (:{', :'.join(ids)})", bound, parameters, rows)
    elif len(alike) == 1 or len(alike) * dialect.apart <= len(rows):
        array = dialect.array("listed", "int")
        bound = {name: f":{name}" for name in columns}
        for values, some in alike.items():
            for chunk in chunks(some):
                parameters = {
                    "listed": dialect.pack([row[0] for row in chunk]),
                    **dict(zip(columns, values, strict=True)),
                }
                yield RowSource(array, "= source.value", bound, parameters, chunk)
    else:
        records = dialect.records("listed", id="int", **columns)
        named = {name: f"source.{name}" for name in columns}
        for chunk in chunks(rows):
            yield RowSource(records, "= source.id", named, {"listed": dialect.pack(chunk)}, chunk)


async def prepared(
    tx: Transaction, rows: Sequence[Sequence[Any]], locked: bool = False, **columns: PackedKind
) -> list[RowSource]:
    """Return the sources for a list, made where that keeps nobody waiting. Parameters as for ``sources``."""
    return await tx.aside(len(rows), lambda: list(sources(tx.dialect, rows, locked, **columns)))
