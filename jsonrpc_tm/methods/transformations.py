"""Transformations: creating, cleaning, completing, deleting; reading them is in ``queries``."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import fields
from ..core.errors import Forbidden
from ..core.identity import Owner
from ..core.model import TRANSFORMATIONS
from ..plugin.marker import hookimpl
from ..rpc.call import Call, find
from ..rpc.method import Method
from ..storage.base import Transaction, chunks
from . import metaqueries, queries, status
from .derivation import derive
from .fields import MetaQuery
from .files import add_files
from .log import log_line
from .parameters import TransformationName, refuse_taken

_DN_LENGTH = 255
_COLUMNS = (
    "TransformationName, Description, LongDescription, CreationDate, LastUpdate, Author, AuthorDN, AuthorGroup, Type,"
    " Plugin, AgentType, Status, FileMask, TransformationGroup, GroupSize, InheritedFrom, Body, MaxNumberOfTasks,"
    " EventsPerTask"
)
_VALUES = (
    ":transName, :description, :longDescription, :now, :now, :author, :dn, :group, :transType, :plugin, :agentType,"
    " 'New', :fileMask, :transformationGroup, :groupSize, :parent, :body, :maxTasks, :eventsPerTask"
)


async def add(
    call: Call,
    transName: str,
    description: str,
    longDescription: str,
    transType: str,
    plugin: str,
    agentType: str,
    fileMask: str,
    transformationGroup: str,
    groupSize: int | float,
    inheritedFrom: int | str,
    body: str,
    maxTasks: int,
    eventsPerTask: int,
    addFiles: bool,
    inputMetaQuery: dict[str, Any] | None,
    outputMetaQuery: dict[str, Any] | None,
) -> int:
    """Create a transformation of the caller's, with status New, and return its id. All or nothing.

    With ``inheritedFrom`` (an id or a name; 0 for none) it is derived: the parent becomes Completing and Automatic,
    and its files are copied. With ``inputMetaQuery`` and ``addFiles`` it gets the files that the catalog has for the
    query now; those announced later come through addFile.

    :raises Forbidden: the caller may not create transformations, or has no right on the parent.
    :raises NotFound: no such parent.
    :raises Conflict: the name is taken.
    :raises InvalidState: a status of the parent's files would become too long.
    :raises CatalogError: the catalog failed, or refused the query.
    """
    decision = call.service.policy.may_create(call.identity)
    if not decision.allowed:
        raise Forbidden("You may not create transformations", needs=list(decision.needs))

    async def refuse(tx: Transaction) -> Owner | None:
        """What may stop the call, before the catalog is asked and again in the end."""
        parent = await call.authorise(tx, inheritedFrom) if inheritedFrom != 0 else None
        await refuse_taken(tx, transName)
        return parent

    found: list[str] = []
    if inputMetaQuery and addFiles:
        await call.write(refuse)
        found = await call.catalog.find(inputMetaQuery)

    dn = call.identity.dn

    async def create(tx: Transaction) -> int:
        parent = await refuse(tx)
        status.check(call, "transformation", [(None, "New")])
        trans_id = await tx.insert(
            f"INSERT INTO Transformations ({_COLUMNS}) VALUES ({_VALUES})",
            {
                "transName": transName,
                "description": description,
                "longDescription": longDescription,
                "transType": transType,
                "plugin": plugin,
                "agentType": agentType,
                "fileMask": fileMask,
                "transformationGroup": transformationGroup,
                "groupSize": groupSize,
                "body": body,
                "maxTasks": maxTasks,
                "eventsPerTask": eventsPerTask,
                "now": call.timestamp,
                "author": call.author,
                # a name too long for its column is left out, not cut: half a DN is somebody else's
                "dn": dn if dn is not None and len(dn) <= _DN_LENGTH else None,
                "group": call.identity.group,
                "parent": parent.id if parent else 0,
            },
        )
        await tx.execute(
            "INSERT INTO TaskCounters (TransformationID, LastTaskID) VALUES (:trans, 0)", {"trans": trans_id}
        )
        for query, query_type in ((inputMetaQuery, "Input"), (outputMetaQuery, "Output")):
            if query:
                await metaqueries.store(tx, call, trans_id, query, query_type)
        if parent:
            await derive(tx, call, trans_id, parent)
        await add_files(tx, call, trans_id, found)
        await log_line(tx, call, trans_id, f"Created transformation {trans_id}")
        return trans_id

    trans_id = await call.write(create)
    if inputMetaQuery and addFiles:
        await _add_meanwhile(call, trans_id, inputMetaQuery, found)
    return trans_id


async def _add_meanwhile(call: Call, trans_id: int, query: Mapping[str, Any], found: Iterable[str]) -> None:
    """Add the files that came between asking the catalog and the commit: nobody else knew the new transformation.

    The transformation is there whatever happens here, so a failure is logged and is not the call's.
    """

    async def body(tx: Transaction) -> None:
        if await find(tx, trans_id, lock=True) is not None:
            await add_files(tx, call, trans_id, new)

    try:
        before = set(found)
        new = [lfn for lfn in await call.catalog.find(query) if lfn not in before]
        if new:
            await call.write(body)
    except Exception:
        call.log.warning(
            "transformation %d may lack files that were announced while it was made",
            trans_id,
            exc_info=True,
            extra={"request_id": call.request_id},
        )


async def delete(call: Call, transName: int | str) -> None:
    """Delete a transformation and everything of it, its log included.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    """

    async def body(tx: Transaction, owner: Owner) -> None:
        await _clean(tx, owner.id)
        for table in ("AdditionalParameters", "TransformationLog", "TaskCounters", "Transformations"):
            await tx.execute(f"DELETE FROM {table} WHERE TransformationID = :trans", {"trans": owner.id})

    await call.change(transName, body)


async def clean(call: Call, transName: int | str) -> int:
    """Take away a transformation's files, their history, its tasks and meta queries; return its id.

    Files that no other transformation has are forgotten. Parameters and log stay; task numbers go on counting.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    """

    async def body(tx: Transaction, owner: Owner) -> int:
        await _clean(tx, owner.id)
        await log_line(tx, call, owner.id, "Transformation Cleaned")
        return owner.id

    return await call.change(transName, body)


async def _clean(tx: Transaction, trans_id: int) -> None:
    trans = {"trans": trans_id}
    rows = await tx.fetch_all(
        "SELECT f.FileID FROM TransformationFiles f WHERE f.TransformationID = :trans AND NOT EXISTS"
        " (SELECT 1 FROM TransformationFiles other WHERE other.FileID = f.FileID AND other.TransformationID <> :trans)",
        trans,
    )
    for table in (
        "TransformationFileTasks",
        "TaskInputs",
        "TransformationTasks",
        "TransformationFiles",
        "TransformationMetaQueries",
    ):
        await tx.execute(f"DELETE FROM {table} WHERE TransformationID = :trans", trans)
    unused = (
        "target.FileID = source.value AND NOT EXISTS"
        " (SELECT 1 FROM TransformationFiles other WHERE other.FileID = target.FileID)"
    )
    forget = tx.dialect.delete_join("DataFiles", tx.dialect.array("ids", "int"), unused)
    for chunk in chunks([row["FileID"] for row in rows]):
        await tx.execute(forget, {"ids": tx.dialect.pack(chunk)})


async def complete(call: Call, transName: int | str) -> None:
    """Set a transformation's status to Completed.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids it.
    """

    async def body(tx: Transaction, owner: Owner) -> None:
        status.check(call, "transformation", [(owner.status, "Completed")])
        await tx.execute(
            "UPDATE Transformations SET Status = 'Completed', LastUpdate = :now WHERE TransformationID = :trans",
            {"trans": owner.id, "now": call.timestamp},
        )
        await log_line(tx, call, owner.id, "Status updated to Completed")

    await call.change(transName, body)


def _text(column: str, **kwargs: Any) -> fields.Field:
    return fields.Text(TRANSFORMATIONS.columns[column].length, **{"required": True, **kwargs})


def _optional(column: str, default: str) -> fields.Field:
    return _text(column, required=False, load_default=default)


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    trans = fields.Transformation(required=True)
    query = "a meta query; null and {} for none"
    yield Method(
        "addTransformation",
        add,
        {
            "transName": TransformationName(required=True, metadata={"description": "a name nobody has"}),
            "description": _text("Description"),
            "longDescription": _text("LongDescription"),
            "transType": _text("Type"),
            "plugin": _text("Plugin"),
            "agentType": _text("AgentType", metadata={"description": "Manual or Automatic, or a word of your own"}),
            "fileMask": _text("FileMask"),
            "transformationGroup": _optional("TransformationGroup", "General"),
            "groupSize": fields.Size(load_default=1, metadata={"description": "files a task"}),
            "inheritedFrom": fields.Transformation(
                load_default=0, metadata={"description": "the parent's id or name; 0 for none"}
            ),
            "body": _optional("Body", ""),
            "maxTasks": fields.Count(load_default=0, metadata={"description": "0 for no limit"}),
            "eventsPerTask": fields.Count(load_default=0),
            "addFiles": fields.Boolean(
                load_default=True, metadata={"description": "add the files that the catalog has for inputMetaQuery"}
            ),
            "inputMetaQuery": MetaQuery(
                empty=True, allow_none=True, load_default=None, metadata={"description": query}
            ),
            "outputMetaQuery": MetaQuery(
                empty=True, allow_none=True, load_default=None, metadata={"description": query}
            ),
        },
        result="the new transformation's id",
        changes=True,
        schema={"type": "integer"},
    )
    for name, handler, result, schema in (
        ("deleteTransformation", delete, "null", {"type": "null"}),
        ("cleanTransformation", clean, "the transformation's id", {"type": "integer"}),
        ("completeTransformation", complete, "null", {"type": "null"}),
    ):
        yield Method(name, handler, {"transName": trans}, result=result, right=True, schema=schema)
    yield from queries.methods()
