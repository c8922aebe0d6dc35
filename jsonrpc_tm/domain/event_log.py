"""The log of what was committed; each transaction writes its events last."""

from collections.abc import Sequence

import orjson

from ..core.clock import stored
from ..core.events import Event
from ..storage.base import Transaction

_NAMES = 255
"""The longest name of a caller or a request that is kept."""


async def write(tx: Transaction, events: Sequence[Event]) -> None:
    """Write events, in their order, at the end of the transaction that makes the change."""
    if not events:
        return
    dialect = tx.dialect
    source = dialect.records(
        "events", time="text", type="text", trans="int", data="text", author="text", request="text"
    )
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
    await tx.last(
        "INSERT INTO Events (Time, Type, TransformationID, Data, Author, RequestID)"
        f" SELECT time, type, trans, data, author, request FROM {source} AS events ORDER BY position",
        {"events": dialect.pack(rows)},
    )


async def position(tx: Transaction) -> int:
    """Return the revision of the last event that a reader can see; 0 before the first."""
    return int(await tx.fetch_value(tx.dialect.last_revision) or 0)
