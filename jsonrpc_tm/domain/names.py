"""From names to the rows of DataFiles: the one join that does it, and which names may become rows."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.errors import InvalidParams
from ..storage.base import Row, chunks
from .work import LISTED, Held, Work


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


async def lock_by_name(work: Work, trans: Held, lfns: Sequence[str], more: str = "") -> list[Row]:
    """Lock the files of a transformation that have these names, a piece of the list in one order for all.

    The rows of ``DataFiles`` are not locked: those who remove files hold these and wait for the transformation.

    :param lfns: any number, none twice.
    :param more: an SQL expression and its name; ``:trans`` is the transformation.
    :return: LFN, FileID, Status and *more* of each that there is.
    """
    dialect = work.dialect
    # the LIMIT keeps MariaDB from taking the inner query, and its order, apart
    ordered = (
        f"SELECT d.LFN, d.FileID FROM {dialect.array('lfns')} AS wanted {dialect.straight_join} DataFiles d"
        " ON d.LFN = wanted.value ORDER BY d.FileID LIMIT 9223372036854775807"
    )
    sql = (
        f"SELECT {', '.join(filter(None, ('d.LFN, f.FileID, f.Status', more)))} FROM ({ordered}) AS d"
        f" {dialect.straight_join} TransformationFiles f{dialect.by_key}"
        f" ON f.TransformationID = :trans AND f.FileID = d.FileID{dialect.for_update}"
    )
    found: list[Row] = []
    for chunk in chunks(lfns):
        found += await work.tx.fetch_all(sql, {"trans": trans.id, "lfns": dialect.pack(chunk)})
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


async def unfit(work: Work, lfns: Iterable[str]) -> dict[str, str]:
    """Return the names that no new file may have (``files.pattern``), with the reason; known files keep theirs.

    :param lfns: none twice.
    """
    pattern = work.parts.settings["files.pattern"]
    odd = [] if pattern is None else [lfn for lfn in lfns if re.fullmatch(pattern, lfn) is None]
    known = {row["LFN"] for row in await by_name(work, odd, "d.LFN")}
    return {lfn: f"The name does not match {pattern}" for lfn in odd if lfn not in known}


async def refuse_unfit(work: Work, lfns: Iterable[str], parameter: str = "lfns") -> None:
    """Refuse names that no new file may have.

    :param parameter: what the caller knows them as.
    :raises InvalidParams: there are some; the first ``LISTED`` are told.
    """
    if wrong := await unfit(work, lfns):
        errors = {lfn: [f"{reason}."] for lfn, reason in list(wrong.items())[:LISTED]}
        raise InvalidParams(f"{len(wrong)} name(s) are not as files.pattern wants them", errors={parameter: errors})
