"""The log of what was committed; each transaction writes its events last.

Revisions are dense and in the order of the commits. SQLite gives them as it writes, one writer after the other. On
MariaDB a row that was numbered later may be committed earlier: ``number`` numbers what is committed, in any process.
"""

from collections.abc import Mapping, Sequence

import orjson

from ..core.clock import stored
from ..core.events import Event
from ..storage.base import CHUNK, Storage, Transaction
from ..storage.dialect import PackedKind
from ..storage.inserts import insert

_COLUMNS: Mapping[str, PackedKind] = {
    **dict.fromkeys(("Time", "Type"), "text"),
    "TransformationID": "int",
    **dict.fromkeys(("Data", "Author", "RequestID"), "text"),
}
_NAMES = 255
"""The longest name of a caller or a request that is kept."""


async def write(tx: Transaction, events: Sequence[Event]) -> None:
    """Write events, in their order, at the end of the transaction that makes the change."""
    rows = [
        [
            stored(event.time),
            event.type,
            event.transformation,
            orjson.dumps(event.data, option=orjson.OPT_NON_STR_KEYS).decode(),
            event.author[:_NAMES],
            event.request_id[:_NAMES],
        ]
        for event in events
    ]
    await insert(tx.last, tx.dialect, "Events", _COLUMNS, rows, ordered=True)


async def position(tx: Transaction) -> int:
    """Return the last revision; whatever has one is committed, and seen by this transaction."""
    return await tx.fetch_value(tx.dialect.last_revision) or 0


async def number(storage: Storage) -> None:
    """Give revisions to what was committed without one; any number of processes may do so at once.

    Nobody who writes waits for it: only rows are locked that are committed, and the head.
    """

    async def unnumbered(tx: Transaction) -> bool:
        if tx.dialect.serial == "Revision":
            return False
        return await tx.fetch_value("SELECT 1 FROM Events WHERE Revision IS NULL LIMIT 1") is not None

    while await storage.run("find events to number", unnumbered, read=True):
        await storage.run("number events", _number)


async def _number(tx: Transaction) -> None:
    # a transaction that writes reads what is committed when the statement begins: behind the head's lock, all numbers
    last = await tx.fetch_value(tx.dialect.last_revision + tx.dialect.for_update)
    if last is None:
        named = "SELECT 'events' AS Name"
        await tx.execute(tx.dialect.insert_new("EventHead", ("Name",), named, ("Name",)))
        last = await tx.fetch_value(tx.dialect.last_revision + tx.dialect.for_update)
    sql = f"SELECT Serial FROM Events WHERE Revision IS NULL ORDER BY Serial LIMIT {CHUNK}"
    serials = await tx.fetch_column(sql)
    if not serials:
        return
    source = tx.dialect.records("serials", serial="int", revision="int")
    numbers = [[serial, revision] for revision, serial in enumerate(serials, last + 1)]
    joined = f"{source} AS source {tx.dialect.straight_join} Events AS target{tx.dialect.by_key}"
    update = f"UPDATE {joined} ON target.Serial = source.serial SET target.Revision = source.revision"
    await tx.execute(update, {"serials": tx.dialect.pack(numbers)})
    await tx.last("UPDATE EventHead SET Revision = :last WHERE Name = 'events'", {"last": last + len(serials)})


async def forget(storage: Storage, before: str) -> bool:
    """Forget the oldest events, as many as one statement takes; return whether there may be more.

    :param before: a moment in the stored form. What is kept has no gaps: nothing goes that a younger one is before.
    """

    async def old(tx: Transaction) -> list[int]:
        rows = await tx.fetch_all(
            f"SELECT {tx.dialect.serial} AS Serial, Time FROM Events WHERE Revision > 0 ORDER BY Revision LIMIT {CHUNK}"
        )
        young = next((index for index, row in enumerate(rows) if row["Time"] >= before), len(rows))
        return [row["Serial"] for row in rows[:young]]

    async def delete(tx: Transaction) -> None:
        # by key: a range would lock the place where new ones are written
        on = f"target.{tx.dialect.serial} = source.value"
        sql = tx.dialect.delete_join("Events", tx.dialect.array("serials", "int"), on, (tx.dialect.serial,))
        await tx.execute(sql, {"serials": tx.dialect.pack(sorted(serials))})

    serials = await storage.run("find old events", old, read=True)
    if serials:
        await storage.run("forget events", delete)
    return len(serials) == CHUNK
