"""Bulk operations: a change of many objects that a condition chooses (section 8.4 of the specification)."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from marshmallow import Schema, ValidationError

from ..core import fields
from ..core.chance import about
from ..core.clock import ago
from ..core.context import Context
from ..core.errors import InvalidParams, InvalidState, NotFound, StorageUnavailable
from ..core.identity import ANONYMOUS, Identity, Users
from ..core.lifetimes import AGAIN, background
from ..core.model import TRANSFORMATION_FILES, TRANSFORMATION_TASKS, TRANSFORMATIONS
from ..domain.bulk import chunks, operations
from ..domain.bulk.actions import ACTIONS
from ..domain.bulk.objects import WHATS, What
from ..domain.bulk.operations import UNDO
from ..domain.page import Page
from ..domain.work import Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Afterwards, Outside
from ..rpc.method import DEFAULT, Method, Read, Write
from ..rpc.service import Lifetime, Service
from ..settings import Settings
from ..storage.where import invalid
from .lists import CONDITIONS, list_fields, offset_field
from .parameters import stored as stored_parameter

logger = logging.getLogger(__name__)
SIGNAL = "bulk"
_IDLE = 2.0
"""Seconds between looks for operations that other processes began, or left."""
_FORGET_SECONDS = 60.0
_FORGET_MOST = 100
"""Operations, or pieces of long ones, forgotten then: more than anybody begins; running ones wait for it."""


def _arguments(what: What, action: str) -> Mapping[str, fields.Field]:
    """Return the fields of an action's arguments."""
    if action == "setStatus":
        length = _LENGTHS[what]
        return {"status": fields.Text(length, empty=False, required=True), "force": fields.Boolean(load_default=False)}
    if action == "setParameter":
        return {"name": fields.Text(32, empty=False, required=True), "value": fields.Any_(required=True)}
    return {}


_LENGTHS: Mapping[What, int | None] = {
    "transformations": TRANSFORMATIONS.columns["Status"].length,
    "files": TRANSFORMATION_FILES.columns["Status"].length,
    "tasks": TRANSFORMATION_TASKS.columns["ExternalStatus"].length,
}
_SCHEMAS = {
    (what, action): Schema.from_dict(dict(_arguments(what, action)))()
    for what, actions in ACTIONS.items()
    for action in actions
}


async def prepared(
    outside: Outside, what: What, condDict: Mapping[str, Any], action: str, arguments: Mapping[str, Any], dryRun: bool
) -> Any:
    """Read the arguments of the action; a dry run ends here."""
    if action not in ACTIONS[what]:
        known = ", ".join(ACTIONS[what])
        raise invalid("action", [f"There is no action {action!r} on {what}. Actions: {known}."])
    try:
        given: dict[str, Any] = _SCHEMAS[what, action].load(arguments)
    except ValidationError as error:
        raise InvalidParams(f"Invalid arguments of {action}", errors={"arguments": error.messages}) from None
    if action == "setParameter":
        given["value"] = await stored_parameter(outside, given["name"], given["value"])
    if not dryRun:
        return given
    method = ACTIONS[what][action].method
    return await outside.acting(method).read(chunks.preview, outside.permits(method), what, condDict, action, given)


async def start(
    work: Work,
    prepared: Any,
    what: What,
    condDict: Mapping[str, Any],
    action: str,
    arguments: Mapping[str, Any],
    dryRun: bool,
) -> Any:
    """Change many transformations, files or tasks that a condition chooses, or say what that would do.

    Actions: setStatus {status, force=false} for all three; resetErrors for files; start, stop, flush, complete, clean,
    setParameter {name, value} for transformations. The objects are fixed now; what no longer matches when its turn
    comes is skipped. A dry run returns Count (without the refused), Refused {error type: count} and Sample: the first
    ten ids, of files and tasks [TransformationID, FileID or TaskID].

    :raises InvalidParams: an unknown action or argument, or a condition that cannot be read.
    """
    return prepared if dryRun else await operations.start(work, what, condDict, action, prepared)


async def wake(outside: Afterwards, result: Any, prepared: Any) -> None:
    """Let this process begin at once."""
    outside.signal(SIGNAL)


async def get(work: Work, id: int) -> dict[str, Any]:
    """Tell how far a bulk operation is. Its author may ask, and whoever has ProductionManagement.

    :raises NotFound: no such operation of the caller's.
    """
    return await operations.get(work, id)


async def list_all(work: Work, **page: Any) -> list[dict[str, Any]]:
    """List the caller's bulk operations; those of all for whoever has ProductionManagement.

    :raises InvalidParams: an unknown column, a value that does not fit.
    """
    return await operations.listed(work, Page(**page))


async def cancel(work: Work, id: int) -> None:
    """Let a bulk operation stop after the chunk that runs; one that has ended stays as it is.

    :raises NotFound: no such operation of the caller's.
    """
    await operations.cancel(work, id)


async def undo(work: Work, id: int) -> int:
    """Put back what a bulk operation that has ended has done and nobody changed since; return the new operation's id.

    Status, ErrorCount, TaskID or parameter are as they were, whatever the state machine says. What was changed since is
    skipped.

    :raises NotFound: no such operation of the caller's.
    :raises InvalidState: it still runs, or it cleans.
    """
    return await operations.undo(work, id)


def identity(users: Users, row: Mapping[str, Any]) -> Identity:
    """Return the author of an operation, with the rights that the registry gives now; without any, if it gives none.

    A token may have given less than the registry does: an operation never has more than its author had at its start.
    """
    name, group, dn = row["Author"], row["AuthorGroup"], row["AuthorDN"]
    user = users.by_name(name) or (users.by_dn(dn) if dn else None)
    if user is None or user.name != name or user.suspended or group not in user.groups:
        return replace(ANONYMOUS, username=name, group=group, reason=f"{name} has lost the group {group}")
    given = orjson.loads(row["AuthorProperties"])
    rights = users.properties(group) if user.properties is None else user.properties
    return Identity(name, group, tuple(one for one in rights if one in given), dn=dn)


async def step(service: Service) -> bool:
    """Do one chunk of every operation that runs; return whether there is more to do."""
    more = False
    for row in await service.outside(Context(ANONYMOUS, "", service.clock()), SIGNAL).read(operations.running):
        author = identity(service.users, row)
        context = Context(author, row["RequestID"], service.clock())
        undoes = row["Action"] == UNDO
        method = "undoBulk" if undoes else ACTIONS[row["What"]][row["Action"]].method
        outside = service.outside(context, method)
        try:
            more |= await outside.write(chunks.chunk, row["BulkID"], author.authenticated and outside.permits(method))
        except StorageUnavailable as error:
            # it may be this one alone: the others go on
            logger.warning("bulk operation %d waits for the database: %s", row["BulkID"], error)
        except Exception:
            logger.exception("bulk operation %d failed", row["BulkID"])
            await outside.write(operations.end, row["BulkID"], "Failed")
    return more


async def run(service: Service) -> None:
    """Work at bulk operations as long as the server runs."""
    signal = service.signals[SIGNAL]
    forgotten = time.monotonic()
    while True:
        more = False
        try:
            more = await step(service)
            if time.monotonic() - forgotten > _FORGET_SECONDS:
                forgotten = time.monotonic()
                await _forget(service)
        except StorageUnavailable as error:
            logger.warning("bulk operations wait for the database: %s", error)
        if more:
            continue
        signal.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(signal.wait(), about(_IDLE))


async def _forget(service: Service) -> None:
    keep: float = service.settings["bulk.keep"]
    if keep:
        now = service.clock()
        outside = service.outside(Context(ANONYMOUS, "", now), SIGNAL)
        for _ in range(_FORGET_MOST):
            if not await outside.write(operations.prune, ago(now, keep)):
                break


@hookimpl
def register_lifetime(settings: Settings) -> Iterable[Lifetime]:
    """Work at the operations."""
    yield background(run, again=AGAIN)


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    number = {"id": fields.Id(required=True, metadata={"description": "the operation's id"})}
    told = results.members(
        "how far the operation is",
        BulkID=results.INTEGER,
        State={"enum": ["Running", "Done", "Cancelled", "Failed"]},
        Done=results.INTEGER,
        Skipped=results.INTEGER,
        Total=results.INTEGER,
        Refused=results.mapped(results.INTEGER),
        Author=results.TEXT,
        Started=results.TEXT,
        Finished={"type": ["string", "null"]},
        What=results.TEXT,
        Action=results.TEXT,
    )
    yield Method(
        "startBulk",
        start,
        {
            "what": fields.Choice(*WHATS, required=True, metadata={"description": "what is changed"}),
            "condDict": fields.Object(required=True, metadata={"description": CONDITIONS}),
            "action": fields.Text(None, required=True, metadata={"description": "what happens to each"}),
            "arguments": fields.Object(load_default=dict, metadata={"description": "the action's arguments"}),
            "dryRun": fields.Boolean(load_default=True, metadata={"description": "only say what would happen"}),
        },
        access=Write(),
        prepare=prepared,
        after=wake,
        rule=DEFAULT,  # the right on each object is asked when its turn comes
        result={
            "description": "a preview, or the operation's id",
            "anyOf": [
                results.INTEGER,
                results.members(
                    "",
                    Count=results.INTEGER,
                    Refused=results.mapped(results.INTEGER),
                    Sample=results.listed(
                        {"anyOf": [results.INTEGER, results.listed(results.INTEGER)]},
                    ),
                ),
            ],
        },
    )
    yield Method("getBulk", get, number, access=Read(), errors=(NotFound,), result=told)
    page = list_fields("Started")
    wanted = {name: page[name] for name in ("condDict", "orderAttribute", "limit")}
    yield Method(
        "listBulk",
        list_all,
        {**wanted, "offset": offset_field()},
        access=Read(),
        result=results.listed(told, "the operations"),
    )
    yield Method("cancelBulk", cancel, number, access=Write(), rule=DEFAULT, errors=(NotFound,), result=results.NULL)
    yield Method(
        "undoBulk",
        undo,
        number,
        access=Write(),
        after=wake,
        rule=DEFAULT,
        errors=(NotFound, InvalidState),
        result=results.said(results.INTEGER, "the id of the operation that undoes it"),
    )
