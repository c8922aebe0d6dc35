"""Files that the catalog announces, offered to every transformation that accepts files and wants them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.model import DATA_FILES, TRANSFORMATIONS, Metadata
from ..storage.base import chunks
from . import names
from .active_queries import NOBODY, Compiled, read_asked, read_turn, renew
from .transitions import files as transitions
from .work import LISTED, Work

BUSY = 300
"""Files above which matching leaves the event loop to others."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Files with their metadata, and which transformations want them.

    :param files: metadata by LFN, in the order in which new files get their identifiers.
    :param queries: what was asked.
    :param wanted: the files that match, by TransformationID; transformations that want none are left out.
    :param refused: reasons why files are not offered, by LFN.
    """

    files: Mapping[str, Metadata]
    queries: Compiled
    wanted: Mapping[int, Sequence[str]]
    refused: Mapping[str, str] = field(default_factory=dict)

    async def still_wanted(self, work: Work, held: Sequence[int]) -> Mapping[int, Sequence[str]]:
        """Return which files transformations want now that they are held: only changed queries are matched again."""
        turn = await read_turn(work.tx)
        if turn == self.queries.turn:
            return {trans_id: self.wanted[trans_id] for trans_id in held}
        asked = await read_asked(work.tx, held)
        changed = {trans_id: rows for trans_id, rows in asked.items() if self.queries.asked.get(trans_id) != rows}
        wanted = {trans_id: self.wanted[trans_id] for trans_id in asked if trans_id not in changed}
        return wanted | renew(NOBODY, turn, changed, self.queries.declared).wanted(self.files)


def offer(files: Mapping[str, Metadata], queries: Compiled, refused: Mapping[str, str] = {}) -> Offer:
    """Find out who wants which files.

    :param refused: see ``Offer``.
    """
    return Offer(files, queries, queries.wanted(files), refused)


async def offer_beside(files: Mapping[str, Metadata], queries: Compiled, refused: Mapping[str, str]) -> Offer:
    """The same; for many files in a thread, so that others go on."""
    if len(files) > BUSY:
        return await asyncio.to_thread(offer, files, queries, refused)
    return offer(files, queries, refused)


async def give(work: Work, offered: Offer) -> set[str]:
    """Make the wanted files files of the transformations; return those that at least one wants. All or nothing.

    The transformations are locked, so that none is cleaned, stopped or asked otherwise meanwhile, and asked again. A
    file that was removed and is wanted begins anew. What a transformation wants that the caller may not read is given
    to it and not told.

    :raises InvalidState: a plugin's rule forbids it.
    """
    held = {trans.id: trans for trans in await work.hold_wanting(offered.wanted)} if offered.wanted else {}
    wanted = await offered.still_wanted(work, list(held)) if held else {}
    size = len(wanted) + sum(map(len, wanted.values()))
    chosen = await work.tx.aside(size, lambda: {lfn for lfns in wanted.values() for lfn in lfns})
    told: dict[str, Any] = {"transformations": {trans_id: len(lfns) for trans_id, lfns in wanted.items()}}
    if chosen:
        ids = await _identifiers(work, [lfn for lfn in offered.files if lfn in chosen])
        given = await work.tx.aside(
            size, lambda: [(held[trans_id], [ids[lfn] for lfn in lfns]) for trans_id, lfns in sorted(wanted.items())]
        )
        if out_of_tasks := await transitions.announce(work, given):
            told["out_of_tasks"] = out_of_tasks[:LISTED]
    work.emit("files.announced", None, count=len(offered.files), **told)
    if work.readable is not None:
        chosen = {lfn for trans_id in await _readable(work, list(wanted)) for lfn in wanted[trans_id]}
    return chosen


async def _readable(work: Work, trans_ids: Sequence[int]) -> list[int]:
    """Return those transformations that the caller may read."""
    where = work.where(TRANSFORMATIONS, "t.")
    sql = (
        f"SELECT t.TransformationID FROM {work.dialect.array('ids', 'int')} AS wanted {work.dialect.straight_join}"
        f" Transformations t ON t.TransformationID = wanted.value WHERE {where.text}"
    )
    found: list[int] = []
    for chunk in chunks(trans_ids):
        found += await work.tx.fetch_column(sql, {**where.parameters, "ids": work.dialect.pack(chunk)})
    return found


async def _identifiers(work: Work, lfns: Sequence[str]) -> dict[str, int]:
    """Return the FileIDs of wanted files, whose rows are locked; new names are registered, removed files are New."""
    known = {row["LFN"]: row["FileID"] for row in await names.by_name(work, lfns)}
    statuses = await names.lock(work, list(known.values()))
    await transitions.revive(work, [file_id for file_id, status in statuses.items() if status == "Deleted"])
    new = [lfn for lfn in lfns if lfn not in known]
    return known | (await transitions.register(work, new) if new else {})


async def remove(work: Work, lfns: Sequence[str]) -> set[str]:
    """Mark files as Deleted in every transformation that has them; return those that the caller may know.

    :param lfns: none twice.
    :raises InvalidState: a plugin's rule forbids a change of status.
    """
    present = {row["LFN"]: row["FileID"] for row in await names.by_name(work, lfns)}
    ids = list(present.values())
    held = await work.hold_wanting(await _having(work, ids))
    await names.lock(work, ids)
    # nobody can add these files any more; who did since is held out of order: of two that wait, one begins anew
    having = await _having(work, ids)
    if later := having.keys() - {trans.id for trans in held}:
        held += await work.hold_wanting(later)
    await transitions.remove(work, held, ids)
    if present:
        work.emit("files.removed", None, count=len(ids), ids=ids, transformations=having)
    return set(present) if work.readable is None else await known(work, list(present))


async def _having(work: Work, file_ids: Sequence[int]) -> dict[int, int]:
    """Return which transformations have files, and how many of them."""
    sql = (
        f"SELECT f.TransformationID, COUNT(*) AS number FROM {work.dialect.array('ids', 'int')} AS wanted"
        f" {work.dialect.straight_join} TransformationFiles f ON f.FileID = wanted.value GROUP BY f.TransformationID"
    )
    having: dict[int, int] = {}
    for chunk in chunks(file_ids):
        for row in await work.tx.fetch_all(sql, {"ids": work.dialect.pack(chunk)}):
            having[row["TransformationID"]] = having.get(row["TransformationID"], 0) + row["number"]
    return having


async def known(work: Work, lfns: Sequence[str]) -> set[str]:
    """Return those names that the server knows and the caller may see, removed files included."""
    where = work.where(DATA_FILES, "d.")
    rows = await names.by_name(work, lfns, "d.LFN", f" WHERE {where.text}", where.parameters)
    return {row["LFN"] for row in rows}
