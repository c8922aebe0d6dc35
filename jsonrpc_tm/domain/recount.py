"""Whether the counters of files and tasks are what a count gives; and making them so, beside servers at work."""

from collections.abc import AsyncIterator
from datetime import datetime

from ..storage.base import Row, Storage, Transaction, exclude_other_nodes
from . import counters
from .verify import all_transformations

_OWNERLESS = " UNION ".join(
    f"SELECT x.TransformationID FROM {table} x LEFT JOIN Transformations t ON t.TransformationID = x.TransformationID"
    " WHERE t.TransformationID IS NULL"
    for table in counters.TABLES
)


async def recount(storage: Storage, mend: datetime | None = None) -> AsyncIterator[Row]:
    """Yield where the counters are wrong: TransformationID, Kind, Status, and how many are Missing in the counters.

    Of a transformation that is not there, all are: Kind and Status are empty then.

    :param storage: is open; servers may be at work on the same database.
    :param mend: make them right, and note the change for this moment.
    :raises StorageUnavailable: it is gone.
    """
    for trans in await storage.run("recount", all_transformations, read=True):
        found = await storage.run("recount", _drift, trans, read=True)
        if found and mend is not None:
            found = await storage.run("mend counters", _mend, trans, mend)
        for row in found:
            yield row
    for trans in await storage.run("recount", _ownerless, read=True):
        if mend is not None:
            await storage.run("mend counters", _drop, trans)
        yield {"TransformationID": trans, "Kind": "", "Status": "", "Missing": 0}


async def _drift(tx: Transaction, trans: int) -> list[Row]:
    return await tx.fetch_all(counters.DRIFT, {"trans": trans})


async def _mend(tx: Transaction, trans: int, now: datetime) -> list[Row]:
    """Add what is missing. Nobody changes files and tasks meanwhile: whoever does holds the transformation."""
    held = f"SELECT TransformationID FROM Transformations WHERE TransformationID = :trans{tx.dialect.for_update}"
    if await tx.fetch_value(held, {"trans": trans}) is None:
        return []
    await exclude_other_nodes(tx, [f"transformation {trans}"])
    drift = await _drift(tx, trans)
    await counters.write(tx, now, {(trans, row["Kind"], row["Status"]): row["Missing"] for row in drift})
    return drift


async def _ownerless(tx: Transaction) -> list[int]:
    found: list[int] = await tx.fetch_column(_OWNERLESS)
    return found


async def _drop(tx: Transaction, trans: int) -> None:
    """Forget the counters of a transformation that is not there; its id is never given again."""
    for table in counters.TABLES:
        await tx.execute(f"DELETE FROM {table} WHERE TransformationID = :trans", {"trans": trans})
