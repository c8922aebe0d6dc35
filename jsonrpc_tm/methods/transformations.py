"""Transformations: creating, cleaning, completing, deleting; reading them is in ``queries``."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import fields
from ..core.errors import CatalogError, Conflict, Forbidden, InvalidState, NotFound
from ..core.model import TRANSFORMATIONS
from ..domain import transformations as domain
from ..domain.parameters import ABSENT
from ..domain.transitions import files
from ..domain.transitions import transformations as transitions
from ..domain.work import Held, Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Afterwards, Outside
from ..rpc.method import DEFAULT, Change, Method, Write
from . import queries
from .catalog import unfit
from .fields import MetaQuery, TransformationName
from .metaqueries import log_doubts

_DN_LENGTH = TRANSFORMATIONS.columns["AuthorDN"].length or 0


async def find(
    outside: Outside,
    transName: str,
    inheritedFrom: int | str,
    addFiles: bool,
    inputMetaQuery: dict[str, Any] | None,
) -> tuple[str, ...]:
    """Refuse what cannot be made before the catalog is asked; return the files that it has for the query."""
    decision = outside.policy.may_create(outside.context.identity)
    if not decision.allowed:
        error = Forbidden("You may not create transformations", needs=list(decision.needs))
        error.add_note(decision.reason)
        raise error
    if not inputMetaQuery or not addFiles:
        return ()
    await outside.ask(domain.refuse, transName, inheritedFrom)
    return tuple(await _search(outside, inputMetaQuery))


async def _search(outside: Outside, query: Mapping[str, Any]) -> list[str]:
    """Return the files that the catalog has for a query of the caller's new transformation."""
    context = outside.context
    found = await outside.catalog_for(context.author, context.identity.group).find(query)
    refused = await unfit(outside, found)
    return [lfn for lfn in found if lfn not in refused] if refused else found


async def add(
    work: Work,
    found: tuple[str, ...],
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

    :raises Forbidden: the caller may not create transformations, or has no right on the parent, or none to make it
        Completing.
    :raises NotFound: no such parent.
    :raises Conflict: the name is taken.
    :raises InvalidState: a status of the parent's files would become too long.
    :raises CatalogError: the catalog failed, or refused the query.
    """
    parent = await domain.refuse(work, transName, inheritedFrom)
    context = work.context
    dn = context.identity.dn
    values = {
        "TransformationName": transName,
        "Description": description,
        "LongDescription": longDescription,
        "CreationDate": context.timestamp,
        "LastUpdate": context.timestamp,
        "Author": context.author,
        # a name too long for its column is left out, not cut: half a DN is somebody else's
        "AuthorDN": dn if dn is not None and len(dn) <= _DN_LENGTH else None,
        "AuthorGroup": context.identity.group,
        "Type": transType,
        "Plugin": plugin,
        "AgentType": agentType,
        "FileMask": fileMask,
        "TransformationGroup": transformationGroup,
        "GroupSize": groupSize,
        "InheritedFrom": 0 if parent is None else parent.id,
        "Body": body,
        "MaxNumberOfTasks": maxTasks,
        "EventsPerTask": eventsPerTask,
    }
    asked = {"Input": inputMetaQuery, "Output": outputMetaQuery}
    return await domain.make(work, values, parent, asked, found)


async def follow(
    outside: Afterwards,
    trans_id: int,
    found: tuple[str, ...],
    addFiles: bool,
    inputMetaQuery: dict[str, Any] | None,
) -> None:
    """Add the files that came between asking the catalog and the commit; log why the query may match nothing.

    Nobody else knew the new transformation then.
    """
    if not inputMetaQuery:
        return
    before = set(found)
    new = [lfn for lfn in await _search(outside, inputMetaQuery) if lfn not in before] if addFiles else []

    async def body(work: Work) -> None:
        for made in await work.hold_wanting([trans_id]):
            await files.add_named(work, made, new)

    if new:
        await outside.write(body)
    await log_doubts(outside, trans_id, inputMetaQuery)


async def delete(work: Work, transformation: Held, dryRun: bool) -> dict[str, int] | None:
    """Delete a transformation and everything of it, its log included.

    A dry run changes nothing and returns how many rows would go, by table.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    """
    if dryRun:
        return await transitions.would_delete(work, transformation)
    await transitions.delete(work, transformation)
    return None


async def clean(work: Work, transformation: Held, dryRun: bool) -> int | dict[str, int]:
    """Take away a transformation's files, their history, its tasks and meta queries; return its id.

    Files that no other transformation has are forgotten. Parameters and log stay; task numbers go on counting. A dry
    run changes nothing and returns how many rows would go, by table.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    """
    if dryRun:
        return await transitions.would_clear(work, transformation)
    await domain.clean(work, transformation)
    return transformation.id


async def complete(work: Work, transformation: Held) -> None:
    """Set a transformation's status to Completed.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it. A status may need a property of its own.
    :raises InvalidState: a plugin's rule forbids it.
    """
    await transitions.move(work, transformation, "Completed", strict=True)


async def start(work: Work, transformation: Held, expected: Any) -> None:
    """Let a transformation run: status Active, AgentType Automatic, in one step.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it. A status may need a property of its own.
    :raises Conflict: its status is not the expected one.
    :raises InvalidState: it is Cleaning, Cleaned, TransformationCleaned, Deleted or Archived, or a rule forbids it.
    """
    await transitions.step(work, transformation, "start", expected)


async def stop(work: Work, transformation: Held, expected: Any) -> None:
    """Stop a transformation: status Stopped, AgentType Manual, in one step.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it. A status may need a property of its own.
    :raises Conflict: its status is not the expected one.
    :raises InvalidState: it is Cleaning, Cleaned, TransformationCleaned, Deleted or Archived, or a rule forbids it.
    """
    await transitions.step(work, transformation, "stop", expected)


async def flush(work: Work, transformation: Held, expected: Any) -> None:
    """Let a transformation make tasks of what is left: status Flush, AgentType Automatic, in one step.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it. A status may need a property of its own.
    :raises Conflict: its status is not the expected one.
    :raises InvalidState: it is Cleaning, Cleaned, TransformationCleaned, Deleted or Archived, or a rule forbids it.
    """
    await transitions.step(work, transformation, "flush", expected)


def _text(column: str, **kwargs: Any) -> fields.Field:
    return fields.Text(TRANSFORMATIONS.columns[column].length, **{"required": True, **kwargs})


def _optional(column: str, default: str) -> fields.Field:
    return _text(column, required=False, load_default=default)


def _query() -> fields.Field:
    text = "a meta query; null and {} for none"
    return MetaQuery(empty=True, allow_none=True, load_default=None, metadata={"description": text})


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
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
            "inputMetaQuery": _query(),
            "outputMetaQuery": _query(),
        },
        access=Write(),
        prepare=find,
        after=follow,
        rule=DEFAULT,  # who may create is asked by the policy, in prepare
        errors=(Forbidden, NotFound, Conflict, InvalidState, CatalogError),
        result=results.said(results.INTEGER, "the new transformation's id"),
    )
    trans = {"transName": fields.Transformation(required=True)}
    dry: dict[str, fields.Field] = {
        "dryRun": fields.Boolean(load_default=False, metadata={"description": "only count the rows that would go"})
    }
    rows = results.mapped(results.INTEGER)
    yield Method(
        "deleteTransformation",
        delete,
        {**trans, **dry},
        access=Change(),
        result={"description": "null; of a dry run the numbers of rows by table", "anyOf": [{"type": "null"}, rows]},
    )
    yield Method(
        "cleanTransformation",
        clean,
        {**trans, **dry},
        access=Change(),
        result={
            "description": "the transformation's id; of a dry run the numbers of rows by table",
            "anyOf": [results.INTEGER, rows],
        },
    )
    yield Method(
        "completeTransformation", complete, trans, access=Change(), errors=(InvalidState,), result=results.NULL
    )
    expected = fields.Any_(
        load_default=ABSENT, metadata={"description": "the present status; the call fails if it is another"}
    )
    for name, handler in (("start", start), ("stop", stop), ("flush", flush)):
        yield Method(
            f"{name}Transformation",
            handler,
            {**trans, "expected": expected},
            access=Change(),
            errors=(Conflict, InvalidState),
            result=results.NULL,
        )
    yield from queries.methods()
