"""Files that the catalog announces, offered to every transformation that accepts files and wants them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson

from ..core.model import DATA_FILES, TRANSFORMATIONS, FieldType, Metadata
from ..core.statuses import ACCEPTING_STATUSES
from ..core.values import BadValue
from ..matching.index import Files
from ..matching.query import Query, validate
from ..storage.base import chunks
from . import names
from .transitions import files as transitions
from .work import LISTED, Work

logger = logging.getLogger(__name__)

_ACCEPTING = ", ".join(f"'{word}'" for word in ACCEPTING_STATUSES)
_QUERIES = (
    "SELECT q.TransformationID, q.MetaDataName, q.MetaDataValue FROM {source}"
    " JOIN TransformationMetaQueries q ON q.TransformationID = t.TransformationID AND q.QueryType = 'Input'"
    f" WHERE t.Status IN ({_ACCEPTING}) ORDER BY q.TransformationID, q.MetaDataName"
)
KEPT = 2_000
"""The longest query, in characters, that is kept in memory."""
BUSY = 500_000
"""Pairs of a file and a query above which matching leaves the event loop to others."""

Queries = Mapping[int, Query]


@dataclass(frozen=True, slots=True)
class Offer:
    """Files with their metadata, and which transformations want them.

    :param files: metadata by LFN, in the order in which new files get their identifiers.
    :param declared: the catalog's fields and their types.
    :param queries: what was asked, by TransformationID.
    :param wanted: the files that match, by TransformationID; transformations that want none are left out.
    :param refused: reasons why files are not offered, by LFN.
    """

    files: Mapping[str, Metadata]
    declared: Mapping[str, FieldType]
    queries: Queries
    wanted: Mapping[int, Sequence[str]]
    refused: Mapping[str, str] = field(default_factory=dict)

    def still_wanted(self, queries: Queries) -> dict[int, Sequence[str]]:
        """Return which files the transformations of *queries* want now; only changed queries are matched again."""
        same = {trans_id for trans_id in queries if queries[trans_id] is self.queries[trans_id]}
        changed = {trans_id: query for trans_id, query in queries.items() if trans_id not in same}
        wanted = {trans_id: self.wanted[trans_id] for trans_id in same}
        return wanted | (_match(self.files, self.declared, changed) if changed else {})


def offer(files: Mapping[str, Metadata], declared: Mapping[str, FieldType], queries: Queries) -> Offer:
    """Find out which files each query matches."""
    return Offer(files, declared, queries, _match(files, declared, queries))


async def offer_beside(files: Mapping[str, Metadata], declared: Mapping[str, FieldType], queries: Queries) -> Offer:
    """The same; for many pairs in a thread, so that others go on."""
    if len(files) * len(queries) > BUSY:
        return await asyncio.to_thread(offer, files, declared, queries)
    return offer(files, declared, queries)


def _match(
    files: Mapping[str, Metadata], declared: Mapping[str, FieldType], queries: Queries
) -> dict[int, Sequence[str]]:
    wanted: dict[int, list[str]] = {}
    for lfns in chunks(list(files)):
        index = Files({lfn: files[lfn] for lfn in lfns}, declared)
        for trans_id, query in queries.items():
            if matching := index.matching(query):
                wanted.setdefault(trans_id, []).extend(matching)
    return dict(wanted)


async def read_queries(work: Work, only: Sequence[int] | None = None) -> dict[int, Query]:
    """Return the Input queries of the transformations that accept files, by TransformationID.

    They are read from the database each time: a change counts at once in every process. A query that cannot be
    understood (another program wrote it) is left out and logged: it spoils no other.

    :param only: these transformations; None for all.
    """
    if only is None:
        rows = await work.tx.fetch_all(_QUERIES.format(source="Transformations t"))
    else:
        source = f"{work.dialect.array('ids', 'int')} AS wanted {work.dialect.straight_join} Transformations t"
        source += " ON t.TransformationID = wanted.value"
        rows = await work.tx.fetch_all(_QUERIES.format(source=source), {"ids": work.dialect.pack(only)})
    queries = {}
    for trans_id, group in groupby(rows, key=itemgetter("TransformationID")):
        query = tuple((row["MetaDataName"], row["MetaDataValue"]) for row in group)
        try:
            queries[trans_id] = _kept(query) if sum(len(text) for _, text in query) <= KEPT else _parse(query)
        except (BadValue, orjson.JSONDecodeError):
            logger.warning("the Input meta query of transformation %d cannot be understood", trans_id)
    return queries


def _parse(rows: tuple[tuple[str, str], ...]) -> Query:
    return Query(validate({name: orjson.loads(text) for name, text in rows}))


# nearly every call finds the queries of the one before: reading them takes much longer than matching one file
_kept = lru_cache(maxsize=10_000)(_parse)


async def give(work: Work, offered: Offer) -> set[str]:
    """Make the wanted files files of the transformations; return those that at least one wants. All or nothing.

    The transformations are locked, so that none is cleaned, stopped or asked otherwise meanwhile, and asked again. A
    file that was removed and is wanted begins anew. What a transformation wants that the caller may not read is given
    to it and not told.

    :raises InvalidState: a plugin's rule forbids it.
    """
    wanted: Mapping[int, Sequence[str]] = {}
    held = {trans.id: trans for trans in await work.hold_wanting(offered.wanted)} if offered.wanted else {}
    if held:
        wanted = offered.still_wanted(await read_queries(work, list(held)))
    chosen = {lfn for lfns in wanted.values() for lfn in lfns}
    told: dict[str, Any] = {"transformations": {trans_id: len(lfns) for trans_id, lfns in wanted.items()}}
    if chosen:
        ids = await _identifiers(work, [lfn for lfn in offered.files if lfn in chosen])
        pairs = [(held[trans], ids[lfn]) for trans, lfns in wanted.items() for lfn in lfns]
        if out_of_tasks := await transitions.announce(work, pairs):
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
    having = await _having(work, ids)
    held = await work.hold_wanting(having)
    await names.lock(work, ids)
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
