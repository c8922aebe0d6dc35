"""Rows that tell whether a transaction happened, when its connection was lost while it committed."""

import secrets
from dataclasses import dataclass

from ..base import CallKey, Parameters

_INSERT = "INSERT INTO CommitMarkers (Marker, CreatedAt, Abandoned) VALUES (:marker, UTC_TIMESTAMP(), {})"


@dataclass(frozen=True, slots=True)
class Mark:
    """One such row.

    :param make: statement that makes it with COMMIT; empty where it is there by then.
    :param take: statement that makes it in place of a transaction that has not happened, and now will not.
    :param look: query, where the row is there already: whether the transaction made it.
    :param parameters: of all three.
    """

    make: str
    take: str
    look: str
    parameters: Parameters


def own_mark() -> Mark:
    """Return a row that is made for nothing else."""
    return Mark(
        _INSERT.format(0),
        _INSERT.format(1),
        "SELECT NOT Abandoned FROM CommitMarkers WHERE Marker = :marker",
        {"marker": secrets.token_hex(16)},
    )


def key_mark(key: CallKey) -> Mark:
    """Return the row of a key that the transaction claims; without a result it stands for nothing."""
    return Mark(
        "",
        "INSERT INTO CallKeys (Name, CallDigest, CreatedAt, Attempt) VALUES (:name, '', UTC_TIMESTAMP(), '')",
        "SELECT Attempt = :attempt FROM CallKeys WHERE Name = :name",
        {"name": key.name, "attempt": secrets.token_hex(16)},
    )
