"""The log of events as its readers see it (section 8.7 of the specification)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from ..core.clock import answered
from ..core.model import TRANSFORMATIONS
from ..storage.base import Transaction
from .event_log import position
from .work import Work


@dataclass(frozen=True, slots=True)
class Logged:
    """An event of the log.

    :param document: as readers get it.
    :param text: the same as JSON.
    """

    revision: int
    document: dict[str, Any]
    text: bytes

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Logged":
        """Return what *document* says."""
        return cls(document["revision"], document, orjson.dumps(document))

    @property
    def concerned(self) -> list[int]:
        """The ids of all transformations that it is about."""
        trans: int | None = self.document["transformation"]
        return [*map(int, self.document["data"].get("transformations", ())), *([] if trans is None else [trans])]

    def seen_by(self, readable: Collection[int]) -> "Logged | None":
        """Return what somebody learns who may read some transformations only, None for nothing.

        Of several transformations the readable ones are told, and ``count`` is the sum of their numbers.
        """
        data = self.document["data"]
        if self.document["transformation"] is not None:
            return self if self.document["transformation"] in readable else None
        if (found := data.get("transformations")) is None:
            return None
        shown = {trans: number for trans, number in found.items() if int(trans) in readable}
        if not shown:
            return None
        return self.of({**self.document, "data": {"count": sum(shown.values()), "transformations": shown}})


async def bounds(tx: Transaction) -> tuple[int, int]:
    """Return the last revision, and the first one that is kept: one more where none is."""
    last = await position(tx)
    first = await tx.fetch_value("SELECT Revision FROM Events WHERE Revision > 0 ORDER BY Revision LIMIT 1")
    return last, first or last + 1


async def after(tx: Transaction, revision: int, most: int) -> list[Logged]:
    """Return the first *most* events after a revision, in order."""
    rows = await tx.fetch_all(
        "SELECT Revision, Time, Type, TransformationID, Data, Author, RequestID FROM Events"
        " WHERE Revision > :revision ORDER BY Revision LIMIT :most",
        {"revision": revision, "most": most},
    )
    return [
        Logged.of(
            {
                "revision": row["Revision"],
                "time": answered(row["Time"]),
                "type": row["Type"],
                "transformation": row["TransformationID"],
                "data": orjson.loads(row["Data"]),
                "author": row["Author"],
                "request_id": row["RequestID"],
            }
        )
        for row in rows
    ]


async def readable(work: Work, ids: Collection[int]) -> set[int]:
    """Return those transformations of *ids* that the caller may read."""
    where = work.where(TRANSFORMATIONS, "t.")
    where.among("t.TransformationID", list(ids), "int")
    sql = f"SELECT t.TransformationID FROM Transformations t WHERE {where.text}"
    return set(await work.tx.fetch_column(sql, where.parameters))
