"""The lines that every change of a transformation leaves (table TransformationLog)."""

from ..core.model import LOG_LENGTH
from .work import Held, Work

_INSERT = """
INSERT INTO TransformationLog (TransformationID, Message, Author, MessageDate)
VALUES (:trans, :message, :author, :now)
"""


async def note(work: Work, trans: Held, *messages: str) -> None:
    """Write lines about a transformation, in the caller's name and at the call's time.

    They may be sent with COMMIT: nothing reads or deletes the transformation's log afterwards in the same transaction.

    :param messages: each cut to 252 characters and ``...`` when it is longer than the column.
    """
    if not work.logs:
        return
    context = work.context
    lines = [
        {
            "trans": trans.id,
            "message": message if len(message) <= LOG_LENGTH + 3 else message[:LOG_LENGTH] + "...",
            "author": context.author,
            "now": context.timestamp,
        }
        for message in messages
    ]
    if len(lines) == 1:
        await work.tx.last(_INSERT, lines[0])
    else:
        await work.tx.executemany(_INSERT, lines)
