"""The lines that every change of a transformation leaves (table TransformationLog)."""

from ..core.model import LOG_LENGTH
from .work import Held, Work

_INSERT = """
INSERT INTO TransformationLog (TransformationID, Message, Author, MessageDate)
VALUES (:trans, :message, :author, :now)
"""


async def note(work: Work, trans: Held, message: str) -> None:
    """Write a line about a transformation, in the caller's name and at the call's time.

    It may be sent with COMMIT: nothing reads or deletes the transformation's log afterwards in the same transaction.

    :param message: cut to 252 characters and ``...`` when it is longer than the column.
    """
    if not work.logs:
        return
    if len(message) > LOG_LENGTH + 3:
        message = message[:LOG_LENGTH] + "..."
    context = work.context
    line = {"trans": trans.id, "message": message, "author": context.author, "now": context.timestamp}
    await work.tx.last(_INSERT, line)
