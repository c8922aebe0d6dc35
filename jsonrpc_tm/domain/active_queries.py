"""The Input queries of the transformations that accept files: compiled once in each process, and never stale.

Some row of ``Versions`` changes in each transaction that changes which queries there are, or which of them count. Who
has compiled them looks at these rows alone. There are several, by TransformationID, and they are written last, so that
writers hardly ever wait for each other.
"""

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol, TypeVar

import orjson

from ..core.model import Metadata
from ..core.statuses import ACCEPTING_STATUSES
from ..core.values import BadValue
from ..matching.engine import Engine
from ..matching.query import Fields, Query, validate
from ..storage.base import Row, Transaction, chunks

logger = logging.getLogger(__name__)

_ACCEPTING = ", ".join(f"'{word}'" for word in ACCEPTING_STATUSES)
ACCEPTED = (
    "JOIN TransformationMetaQueries q ON q.TransformationID = t.TransformationID AND q.QueryType = 'Input'"
    f" AND t.Status IN ({_ACCEPTING})"
)
"""What ``Transformations t`` are joined to."""
BUCKETS = 16
"""A power of two, for SQL finds a transformation's bucket by the last bits of its id."""
FEW = 500
"""Changed queries that are asked beside those compiled before, until all are compiled anew."""
_COLUMNS = ("Name", "Bucket", "Turn")
_OURS = "'queries'"
T = TypeVar("T")
Asked = tuple[tuple[str, str], ...]
"""A query as it is stored: fields and JSON texts."""
Turn = list[Any]


class ReadRunner(Protocol):
    """Runs a body, which gets something that has a ``tx``, in a transaction that only reads."""

    async def __call__(self, body: Callable[[Any], Awaitable[T]], /) -> T:
        """Return what *body* returns."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Queries that counted at one moment.

    :param turn: the rows of ``Versions`` at that moment, or before; None: never.
    :param declared: the catalog's fields and their types.
    :param asked: by TransformationID.
    :param engine: those that have not changed since it was compiled, and what there was for ``outdated`` before.
    :param newer: what there is for ``outdated`` now.
    """

    turn: Turn | None
    declared: Fields
    asked: Mapping[int, Asked]
    engine: Engine
    outdated: frozenset[int] = frozenset()
    newer: Engine | None = None

    def wanted(self, files: Mapping[str, Metadata]) -> dict[int, list[str]]:
        """Return which transformations want files, and which ones.

        :param files: metadata by LFN.
        """
        found: dict[int, list[str]] = defaultdict(list)
        for lfn, metadata in files.items():
            for trans_id in self.engine.matching(metadata):
                found[trans_id].append(lfn)
        for trans_id in self.outdated:
            found.pop(trans_id, None)
        if self.newer is not None:
            for lfn, metadata in files.items():
                for trans_id in self.newer.matching(metadata):
                    found[trans_id].append(lfn)
        return dict(found)


class ActiveQueries:
    """The newest compiled queries of this process."""

    def __init__(self) -> None:
        self._newest = NOBODY
        self._alone = asyncio.Lock()

    async def compiled(self, read: ReadRunner, declared: Fields) -> Compiled:
        """Return the queries as they are now, compiled in a thread where something has changed.

        :param declared: the catalog's fields and their types.
        """
        newest = self._newest
        if newest.declared != declared or newest.turn != await read(_turn):
            async with self._alone:
                newest = self._newest = await self._renewed(read, declared)
        return newest

    async def _renewed(self, read: ReadRunner, declared: Fields) -> Compiled:
        newest = self._newest

        async def body(work: Any) -> tuple[Turn, Mapping[int, Asked]]:
            return await _read(work.tx, newest)

        return await asyncio.to_thread(renew, newest, *await read(body), declared)


async def current(tx: Transaction, compiled: Compiled, declared: Fields) -> Compiled:
    """Return the queries as they are now, in a transaction.

    :param compiled: shortly before, so that there is little to do.
    """
    return renew(compiled, *await _read(tx, compiled), declared)


async def _read(tx: Transaction, known: Compiled) -> tuple[Turn, Mapping[int, Asked]]:
    # the turn first: the queries may be newer, which the next who asks finds out
    turn = await read_turn(tx)
    if turn == known.turn:
        return turn, known.asked
    raised = {bucket for bucket, _ in set(turn) ^ set(known.turn or ())}
    if known.turn is None or not raised <= set(range(BUCKETS)):
        return turn, await read_asked(tx)
    others = {trans_id: rows for trans_id, rows in known.asked.items() if trans_id % BUCKETS not in raised}
    return turn, others | await read_asked(tx, buckets=raised)


async def _turn(work: Any) -> Turn:
    return await read_turn(work.tx)


async def read_turn(tx: Transaction) -> Turn:
    """Return what changes whenever the queries that count do."""
    rows = await tx.fetch_all(f"SELECT Bucket, Turn FROM Versions WHERE Name = {_OURS} ORDER BY Bucket")
    return [(row["Bucket"], row["Turn"]) for row in rows]


async def read_asked(
    tx: Transaction, only: Sequence[int] | None = None, buckets: Iterable[int] | None = None
) -> dict[int, Asked]:
    """Return the queries that count, by TransformationID.

    :param only: of these transformations; None for all.
    :param buckets: of those in these buckets; None for all.
    """
    source = "Transformations t"
    parameters: list[dict[str, Any]] = [{}]
    if only is not None:
        source = f"{tx.dialect.array('ids', 'int')} AS wanted {tx.dialect.straight_join} Transformations t"
        source += " ON t.TransformationID = wanted.value"
        parameters = [{"ids": tx.dialect.pack(chunk)} for chunk in chunks(only)]
    sql = f"SELECT q.TransformationID, q.MetaDataName, q.MetaDataValue FROM {source} {ACCEPTED}"
    if buckets is not None:
        sql += f" WHERE (t.TransformationID & {BUCKETS - 1}) IN ({', '.join(map(str, buckets))})"
    sql += " ORDER BY q.TransformationID, q.MetaDataName"
    found: dict[int, Asked] = {}
    for one in parameters:
        rows = await tx.fetch_all(sql, one)
        found |= await tx.aside(len(rows), _by_transformation, rows)
    return found


def _by_transformation(rows: Iterable[Row]) -> dict[int, Asked]:
    return {
        trans_id: tuple((row["MetaDataName"], row["MetaDataValue"]) for row in some)
        for trans_id, some in groupby(rows, key=itemgetter("TransformationID"))
    }


async def write(tx: Transaction, trans_ids: Iterable[int]) -> None:
    """Make known that the queries of transformations count from now on, or no more, or are others.

    In the transaction in which that happens, as one of its last statements.
    """
    if buckets := sorted({trans_id % BUCKETS for trans_id in trans_ids}):
        dialect = tx.dialect
        select = (
            f"SELECT {_OURS} AS Name, value AS Bucket, :turn AS Turn FROM {dialect.array('buckets', 'int')} AS raised"
        )
        # a random step: another database, put in this one's place, has other turns
        await tx.last(
            dialect.add_up("Versions", _COLUMNS, select, _COLUMNS[:-1], "Turn"),
            {"buckets": dialect.pack(buckets), "turn": 1 + secrets.randbelow(2**32)},
        )


def understand(asked: Mapping[int, Asked]) -> dict[int, Query]:
    """Return queries ready to be matched. What another program wrote and nobody understands is logged."""
    queries = {}
    for trans_id, rows in asked.items():
        try:
            queries[trans_id] = Query(validate({name: orjson.loads(text) for name, text in rows}))
        except (BadValue, orjson.JSONDecodeError):
            logger.warning("the Input meta query of transformation %d cannot be understood", trans_id)
    return queries


def renew(known: Compiled, turn: Turn, asked: Mapping[int, Asked], declared: Fields) -> Compiled:
    """Return compiled queries; where few have changed, what *known* has compiled goes on to be used."""
    if known.turn == turn and known.declared == declared:
        return known
    before = known.asked
    changed = {trans_id for trans_id in before.keys() | asked.keys() if before.get(trans_id) != asked.get(trans_id)}
    outdated = known.outdated | changed
    if known.declared != declared or len(outdated) > FEW:
        return Compiled(turn, declared, asked, Engine(understand(asked), declared))
    newer = understand({trans_id: asked[trans_id] for trans_id in outdated if trans_id in asked})
    return Compiled(turn, declared, asked, known.engine, outdated, Engine(newer, declared))


NOBODY = Compiled(None, {}, {}, Engine({}, {}))
"""No queries, of no moment."""
