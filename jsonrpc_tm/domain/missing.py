"""What to answer when identifiers are not those of a transformation."""

from collections.abc import Sequence

from ..core.errors import NotFound
from ..core.identity import Transformation
from ..core.model import Table
from .work import Work


async def not_there(work: Work, trans: Transformation, table: Table, noun: str, ids: Sequence[int]) -> NotFound:
    """Return the error about those of *ids* that are no rows of a transformation.

    :param table: its key is TransformationID and what *ids* are.
    :param noun: what its rows are called.
    """
    name = table.key[1]
    found = await work.tx.fetch_all(
        f"SELECT wanted.value AS id FROM {work.dialect.array('ids', 'int')} AS wanted LEFT JOIN {table.name} t"
        f" ON t.TransformationID = :trans AND t.{name} = wanted.value WHERE t.{name} IS NULL ORDER BY wanted.position",
        {"trans": trans.id, "ids": work.dialect.pack(ids)},
    )
    missing = [row["id"] for row in found]
    return NotFound(f"{len(missing)} {noun}(s) are not in transformation {trans.name!r}", what=noun, missing=missing)
