"""From names to the rows of DataFiles: the one join that does it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..storage.base import Row, chunks
from .work import Work


async def by_name(
    work: Work,
    lfns: Sequence[str],
    select: str = "d.LFN, d.FileID",
    more: str = "",
    parameters: Mapping[str, Any] = {},
) -> list[Row]:
    """Return what there is for names: a row of ``DataFiles d`` for each known one, and what is joined to it.

    :param lfns: any number, none twice.
    :param select: over ``d``, what *more* joins, and ``wanted.position``.
    :param more: what follows the join: further joins, WHERE, ORDER BY within a piece of the list.
    """
    dialect = work.dialect
    sql = (
        f"SELECT {select} FROM {dialect.array('lfns')} AS wanted {dialect.straight_join} DataFiles d"
        f" ON d.LFN = wanted.value{more}"
    )
    found: list[Row] = []
    for chunk in chunks(lfns):
        found += await work.tx.fetch_all(sql, {**parameters, "lfns": dialect.pack(chunk)})
    return found


async def lock(work: Work, file_ids: Sequence[int]) -> dict[int, str]:
    """Lock rows of DataFiles, in one order for all, and return their statuses.

    Of two that announce and remove the same files, one waits for the other.

    :param file_ids: in any order.
    """
    dialect = work.dialect
    sql = (
        f"SELECT d.FileID, d.Status FROM {dialect.array('ids', 'int')} AS wanted {dialect.straight_join} DataFiles d"
        f"{dialect.by_key} ON d.FileID = wanted.value{dialect.for_update}"
    )
    statuses: dict[int, str] = {}
    for chunk in chunks(sorted(file_ids)):
        rows = await work.tx.fetch_all(sql, {"ids": dialect.pack(chunk)})
        statuses.update((row["FileID"], row["Status"]) for row in rows)
    return statuses
