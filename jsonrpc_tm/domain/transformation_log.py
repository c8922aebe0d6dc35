"""The lines that every change of a transformation leaves (table TransformationLog)."""

from ..core.model import LOG_LENGTH
from .work import Held, Work

_INSERT = """
INSERT INTO TransformationLog (TransformationID, Message, Author, MessageDate)
VALUES (:trans, :message, :author, :now)
"""


async def note(work: Work, trans: Held, message: str, *more: str) -> None:
    """Write a line about a transformation, in the caller's name and at the call's time.

    They may be sent with COMMIT: nothing reads or deletes the transformation's log afterwards in the same transaction.

    :param message: cut to 252 characters and ``...`` when it is longer than the column.
    :param more: further lines.
    """
    if not work.logs:
        return
    context = work.context
    lines = [
        {
            "trans": trans.id,
            "message": line if len(line) <= LOG_LENGTH + 3 else line[:LOG_LENGTH] + "...",
            "author": context.author,
            "now": context.timestamp,
        }
        for line in (message, *more)
    ]
    await work.tx.last(_INSERT, lines)
