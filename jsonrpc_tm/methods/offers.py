"""Files that the catalog announces, offered to every transformation that accepts files and wants them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

import orjson

from ..core.model import ACCEPTING_STATUSES, TRANSFORMATION_FILES, FieldType, Metadata
from ..core.values import BadValue
from ..matching.index import Files
from ..matching.query import Query, validate
from ..rpc.call import Call
from ..storage.base import Transaction, chunks, claim
from . import status

logger = logging.getLogger(__name__)

_ACCEPTING = ", ".join(f"'{word}'" for word in ACCEPTING_STATUSES)
_QUERIES = (
    "SELECT q.TransformationID, q.MetaDataName, q.MetaDataValue FROM {source}"
    " JOIN TransformationMetaQueries q ON q.TransformationID = t.TransformationID AND q.QueryType = 'Input'"
    f" WHERE t.Status IN ({_ACCEPTING}) ORDER BY q.TransformationID, q.MetaDataName"
)
_REVIVED = {
    "Status": "'Unused'",
    "ErrorCount": "0",
    "TaskID": "NULL",
    "UsedSE": "'Unknown'",
    "LastUpdate": ":now",
}
KEPT = 2_000
"""The longest query, in characters, that is kept in memory."""
BUSY = 500_000
"""Pairs of a file and a query above which matching leaves the event loop to others."""


@dataclass
class Offer:
    """Files with their metadata, and which transformations want them.

    :param files: metadata by LFN, in the order in which new files get their identifiers.
    :param declared: the catalog's fields and their types.
    """

    files: Mapping[str, Metadata]
    declared: Mapping[str, FieldType]
    queries: dict[int, Query] = field(default_factory=dict)
    wanted: dict[int, list[str]] = field(default_factory=dict)

    def match(self, queries: dict[int, Query]) -> None:
        """Find out which files each query matches."""
        self.queries, self.wanted = queries, self._match(queries)

    def _match(self, queries: Mapping[int, Query]) -> dict[int, list[str]]:
        wanted: dict[int, list[str]] = {}
        for lfns in chunks(list(self.files)):
            index = Files({lfn: self.files[lfn] for lfn in lfns}, self.declared)
            for trans_id, query in queries.items():
                if matching := index.matching(query):
                    wanted.setdefault(trans_id, []).extend(matching)
        return wanted

    def still_wanted(self, queries: Mapping[int, Query]) -> dict[int, list[str]]:
        """Return which files the transformations of *queries* want now; only changed queries are matched again."""
        wanted = {
            trans_id: self.wanted[trans_id] for trans_id in queries if queries[trans_id] is self.queries[trans_id]
        }
        changed = {trans_id: queries[trans_id] for trans_id in queries if trans_id not in wanted}
        return wanted | (self._match(changed) if changed else {})


async def offer(call: Call, files: Mapping[str, Metadata]) -> set[str]:
    """Give files to every transformation that accepts them; return those that at least one wants.

    All or nothing. Queries are read from the database each time: a change counts at once in every process.

    :param files: metadata by LFN.
    """
    if not files:
        return set()
    offered = Offer(files, await call.catalog.fields())
    queries = await call.read(read_queries)
    if len(files) * len(queries) > BUSY:
        await asyncio.to_thread(offered.match, queries)
    else:
        offered.match(queries)
    if not offered.wanted:
        return set()
    return await call.write(give, call, offered)


async def read_queries(tx: Transaction, only: Sequence[int] | None = None) -> dict[int, Query]:
    """Return the Input queries of the transformations that accept files, by TransformationID.

    A query that cannot be understood (another program wrote it) is left out and logged: it spoils no other.

    :param only: these transformations; None for all.
    """
    if only is None:
        rows = await tx.fetch_all(_QUERIES.format(source="Transformations t"))
    else:
        source = f"{tx.dialect.array('ids', 'int')} AS wanted {tx.dialect.straight_join} Transformations t"
        source += " ON t.TransformationID = wanted.value"
        rows = await tx.fetch_all(_QUERIES.format(source=source), {"ids": tx.dialect.pack(only)})
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


async def give(tx: Transaction, call: Call, offered: Offer) -> set[str]:
    """Make the wanted files files of the transformations; return those that at least one wants.

    The transformations are locked, so that none is cleaned, stopped or asked otherwise meanwhile.
    """
    source = f"{tx.dialect.array('ids', 'int')} AS wanted {tx.dialect.straight_join} Transformations t"
    sql = f"SELECT t.TransformationID FROM {source} ON t.TransformationID = wanted.value ORDER BY t.TransformationID"
    ids = sorted(offered.wanted)
    await tx.fetch_all(sql + tx.dialect.for_update, {"ids": tx.dialect.pack(ids)})
    await claim(tx, [f"transformation {trans_id}" for trans_id in ids])
    wanted = offered.still_wanted(await read_queries(tx, ids))
    chosen = {lfn for lfns in wanted.values() for lfn in lfns}
    file_ids = await _register(tx, [lfn for lfn in offered.files if lfn in chosen])
    pairs = [[trans_id, file_ids[lfn]] for trans_id, lfns in wanted.items() for lfn in lfns]
    for chunk in chunks(pairs):
        await _give_chunk(tx, call, chunk)
    return chosen


async def _register(tx: Transaction, lfns: Sequence[str]) -> dict[str, int]:
    """Return the FileIDs of files that are wanted; new ones get theirs in the given order, removed ones become New.

    The rows are locked, in one order for all: removeFile waits, or is waited for.
    """
    file_ids: dict[str, int] = {}
    sql = (
        f"SELECT d.LFN, d.FileID, d.Status FROM {tx.dialect.array('lfns')} AS wanted"
        f" {tx.dialect.straight_join} DataFiles d ON d.LFN = wanted.value{tx.dialect.for_update}"
    )
    for chunk in chunks(lfns):
        rows = await tx.fetch_all(sql, {"lfns": tx.dialect.pack(sorted(chunk))})
        file_ids.update((row["LFN"], row["FileID"]) for row in rows)
        if removed := [row["FileID"] for row in rows if row["Status"] == "Deleted"]:
            ids = tx.dialect.array("ids", "int")
            on = "target.FileID = source.value"
            update = tx.dialect.update_join("DataFiles", ids, on, {"Status": "'New'"})
            await tx.execute(update, {"ids": tx.dialect.pack(removed)})
        if new := [lfn for lfn in chunk if lfn not in file_ids]:
            insert = tx.dialect.insert_new_rows("DataFiles", ["LFN", "Status"], ["LFN"])
            await tx.executemany(insert, [{"LFN": lfn, "Status": "New"} for lfn in new])
            rows = await tx.fetch_all(sql, {"lfns": tx.dialect.pack(new)})
            file_ids.update((row["LFN"], row["FileID"]) for row in rows)
    return file_ids


async def _give_chunk(tx: Transaction, call: Call, pairs: Sequence[Sequence[int]]) -> None:
    source = tx.dialect.records("pairs", trans="int", file="int")
    on = "target.TransformationID = source.trans AND target.FileID = source.file"
    parameters = {"pairs": tx.dialect.pack(pairs)}
    changes = f"target.Status AS old, 'Unused' AS new FROM {source} AS source LEFT JOIN TransformationFiles target"
    where = "target.Status IS NULL OR target.Status = 'Deleted'"
    await status.check_rows(tx, call, "file", f"{changes} ON {on} WHERE {where}", parameters)
    columns = ["TransformationID", "FileID", "Status", "LastUpdate", "InsertedTime"]
    select = f"SELECT trans, file, 'Unused' AS status, :now AS changed, :now AS inserted FROM {source} AS pairs"
    insert = tx.dialect.insert_new("TransformationFiles", columns, select, TRANSFORMATION_FILES.key)
    await tx.execute(insert, {**parameters, "now": call.timestamp})
    revive = tx.dialect.update_join("TransformationFiles", source, f"{on} AND target.Status = 'Deleted'", _REVIVED)
    await tx.execute(revive, {**parameters, "now": call.timestamp})
