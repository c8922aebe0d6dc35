"""Deriving a transformation: its files come from a parent (section 6.6 of the specification)."""

from ..core.errors import InvalidState
from ..core.identity import Owner
from ..core.model import INHERITED_TASK_FACTOR as FACTOR
from ..core.model import TRANSFORMATION_FILES
from ..rpc.call import Call
from ..storage.base import Transaction
from . import status
from .log import log_line

SUFFIX = "-inherited"
_STATUS_LENGTH = TRANSFORMATION_FILES.columns["Status"].length
# removed files are not inherited
_PARENTS = "FROM TransformationFiles WHERE TransformationID = :parent AND Status <> 'Removed'"
_KEPT = "INSTR(Status, '-') > 0"


async def derive(tx: Transaction, call: Call, child_id: int, parent: Owner) -> None:
    """Copy a parent's files to its new child, and let the parent complete.

    The parent is locked, and the right on it checked. A file's status gets ``-inherited`` and its TaskID the parent's
    id in front, unless it was inherited itself.

    :raises InvalidState: a status would become longer than its column, or a plugin's rule forbids a change.
    """
    inherited = tx.dialect.concat("Status", f"'{SUFFIX}'")
    new_status = f"CASE WHEN {_KEPT} THEN Status ELSE {inherited} END"
    parameters = {"child": child_id, "parent": parent.id, "now": call.timestamp}
    too_long = await tx.fetch_value(
        f"SELECT Status {_PARENTS} AND {tx.dialect.characters(new_status)} > {_STATUS_LENGTH} LIMIT 1",
        parameters,
    )
    if too_long is not None:
        raise InvalidState(f"Files with status {too_long!r} cannot be inherited: {too_long + SUFFIX!r} is too long")
    await status.check_rows(tx, call, "file", f"NULL AS old, {new_status} AS new {_PARENTS}", parameters)
    task_id = f"CASE WHEN {_KEPT} OR TaskID >= {FACTOR} THEN TaskID ELSE :parent * {FACTOR} + TaskID END"
    await tx.execute(
        "INSERT INTO TransformationFiles (TransformationID, FileID, Status, ErrorCount, TaskID, TargetSE, UsedSE,"
        f" LastUpdate, InsertedTime) SELECT :child, FileID, {new_status}, 0, {task_id}, TargetSE, UsedSE, :now, :now"
        f" {_PARENTS}",
        parameters,
    )
    status.check(call, "transformation", [(parent.status, "Completing")])
    await tx.execute(
        "UPDATE Transformations SET Status = 'Completing', AgentType = 'Automatic', LastUpdate = :now"
        " WHERE TransformationID = :parent",
        parameters,
    )
    await log_line(tx, call, parent.id, "Status updated to Completing")
    await log_line(tx, call, parent.id, "AgentType updated to Automatic")
    await log_line(tx, call, parent.id, f"Creation of the derived transformation ({child_id})")
