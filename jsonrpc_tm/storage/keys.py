"""The results of changes that callers gave a key (``Idempotency-Key``), so that each of them happens once.

A key's row is the first thing that the transaction of the change writes, and the result the last. A row without a
result, or one that is too old, stands for nothing.
"""

from ..core.errors import Conflict
from .base import CHUNK, CallKey, Row, Storage, Transaction

FIND = "SELECT CallDigest, CreatedAt, Result FROM CallKeys WHERE Name = :name"
"""Query: the row of the key ``:name``, as ``kept`` takes it."""
_INSERT = "INSERT INTO CallKeys (Name, CallDigest, CreatedAt, Attempt) VALUES (:name, :digest, :now, :attempt)"
_RENEW = (
    "UPDATE CallKeys SET CallDigest = :digest, CreatedAt = :now, Attempt = :attempt, Result = NULL WHERE Name = :name"
)
_OLD = "SELECT Name FROM CallKeys WHERE CreatedAt < :oldest ORDER BY CreatedAt LIMIT :rows"


class KeyInUse(Conflict):
    """Another call with the same key has not come to its end."""

    def __init__(self) -> None:
        super().__init__("A call with this key is still running", reason="key in use", retryable=True)


def kept(row: Row | None, key: CallKey) -> str | None:
    """Return the result that a key's row has, as JSON text; None where it stands for nothing.

    :raises Conflict: it is another call's.
    """
    if row is None or row["Result"] is None or row["CreatedAt"] < key.oldest:
        return None
    if row["CallDigest"] != key.digest:
        raise Conflict("This key was used for another call", reason="key reused")
    text: str = row["Result"]
    return text


async def find(tx: Transaction, key: CallKey) -> str | None:
    """Return the result that is kept under a key, as ``Transaction.claim`` does, and leave the key alone."""
    return kept(await tx.fetch_one(FIND, {"name": key.name}), key)


async def take(tx: Transaction, key: CallKey, *, there: bool, attempt: str = "") -> None:
    """Write the row of a key that stands for nothing.

    :param there: whether it has a row.
    :param attempt: a word for the transaction.
    """
    values = {"name": key.name, "digest": key.digest, "now": key.now, "attempt": attempt}
    await tx.execute(_RENEW if there else _INSERT, values)


async def keep(tx: Transaction, key: CallKey, result: str) -> None:
    """Write down the result of the transaction that has claimed a key.

    :param result: JSON text.
    """
    await tx.last("UPDATE CallKeys SET Result = :result WHERE Name = :name", {"name": key.name, "result": result})


async def forget(storage: Storage, oldest: str) -> bool:
    """Forget keys from before a moment, as many as one statement takes; return whether there may be more.

    :param oldest: the moment, in the stored form.
    """

    async def old(tx: Transaction) -> list[str]:
        names: list[str] = await tx.fetch_column(_OLD, {"oldest": oldest, "rows": CHUNK})
        return names

    async def delete(tx: Transaction) -> None:
        source = tx.dialect.array("names")
        on = "target.Name = source.value AND target.CreatedAt < :oldest"
        sql = tx.dialect.delete_join("CallKeys", source, on, ("Name",))
        await tx.execute(sql, {"names": tx.dialect.pack(sorted(names)), "oldest": oldest})

    names = await storage.run("find old keys", old, read=True)
    if names:
        await storage.run("forget keys", delete)
    return len(names) == CHUNK
