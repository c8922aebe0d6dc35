"""The lines that every change of a transformation leaves (table TransformationLog)."""

from ..core.model import LOG_LENGTH
from ..rpc.call import Call
from ..storage.base import Transaction

_INSERT = """
INSERT INTO TransformationLog (TransformationID, Message, Author, MessageDate)
VALUES (:trans, :message, :author, :now)
"""


async def log_line(tx: Transaction, call: Call, trans_id: int, message: str) -> None:
    """Write a line about a transformation, in the caller's name and at the call's time.

    :param message: cut to 252 characters and ``...`` when it is longer than the column.
    """
    if len(message) > LOG_LENGTH + 3:
        message = message[:LOG_LENGTH] + "..."
    line = {"trans": trans_id, "message": message, "author": call.author, "now": call.timestamp}
    await tx.execute(_INSERT, line)
