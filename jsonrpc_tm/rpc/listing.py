"""Lists as streams: from the database's cursor to an outlet, in constant memory, with an end that proves them whole."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ..core.context import Context
from ..core.errors import InvalidRequest
from ..core.model import ColumnKind
from ..domain import event_log
from ..domain.rows import NO_ROWS, Rows
from ..domain.work import Work
from ..storage.base import Select, Transaction
from .answer import json_lines, row_lines
from .attendance import Attended
from .chain import Arguments, Ground
from .method import Method


class NotOffered(InvalidRequest):
    """The rows cannot be had in the form that was asked for."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a list before its rows.

    :param revision: the event log's position at or before what the list shows.
    :param columns: kinds by name, in the order of a row's values; None where the rows are JSON values.
    """

    revision: int
    columns: Mapping[str, ColumnKind] | None


class Form(Protocol):
    """How one list is put out. Its functions take milliseconds and belong in a thread, one at a time.

    :param media: the Content-Type.
    """

    media: ClassVar[str]

    def rows(self, head: Head, batch: list[Any]) -> bytes:
        """Return the bytes of some rows.

        :raises NotOffered: such a list cannot be had in this form.
        """

    def end(self, head: Head, id: Any) -> bytes:
        """Return what proves that the rows are all there.

        :param id: of the request.
        :raises NotOffered: such a list cannot be had in this form.
        """

    def error(self, error: Mapping[str, Any]) -> bytes:
        """Return what stands instead of the end after a failure, an error object of JSON-RPC."""


class Outlet(Protocol):
    """Where a list goes.

    :param id: of the request.
    """

    id: Any

    @property
    def begun(self) -> bool:
        """Whether something of the answer is out: an error then comes as its last part."""

    async def send(self, head: Head, batches: AsyncIterator[list[Any]]) -> None:
        """Put out all rows and their end.

        :raises NotOffered: such a list cannot be had in the form that was asked for.
        :raises Unavailable: too much is in flight.
        :raises Unattended: the caller has gone.
        """

    async def fail(self, error: Mapping[str, Any]) -> None:
        """Put out an error object, as the last part of what has begun."""


PutsOut = Callable[[Context, Arguments, Outlet], Awaitable[None]]


class Lines:
    """One row a line of JSON, and a last line with their number and the hash of all bytes before it."""

    media: ClassVar[str] = "application/x-ndjson"

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._count = 0

    def rows(self, head: Head, batch: list[Any]) -> bytes:
        """Return some lines; see ``Form``."""
        text = json_lines(batch) if head.columns is None else row_lines(tuple(head.columns), batch)
        self._hash.update(text)
        self._count += len(batch)
        return text

    def end(self, head: Head, id: Any) -> bytes:
        """Return the last line; see ``Form``."""
        digest = self._hash.hexdigest()
        return json_lines([{"end": True, "count": self._count, "revision": head.revision, "sha256": digest, "id": id}])

    def error(self, error: Mapping[str, Any]) -> bytes:
        """Return the last line of what failed; see ``Form``."""
        return json_lines([{"error": error}])


def streamed(method: Method, ground: Ground) -> PutsOut:
    """Return what puts out the rows of *method*, all on one snapshot."""
    name, handler, access = method.name, method.handler, method.access
    trans = None if access is None else access.trans
    storage = ground.storage

    async def stream(context: Context, arguments: Arguments, outlet: Outlet) -> None:
        async def open(tx: Transaction) -> tuple[tuple[Head, list[Any]], Select]:
            work = Work(tx, context, ground.domain, name)
            # first of all: who follows the events from here on must not miss one
            revision = await event_log.position(tx)
            own = dict(arguments)
            seen = () if trans is None else (await work.seen(own.pop(trans)),)
            found = await handler(work, *seen, **own)
            if not isinstance(found, Rows):
                return (Head(revision, None), found), NO_ROWS
            columns = {column: expression.kind for column, expression in found.columns.items()}
            return (Head(revision, columns), []), found.query(tx.dialect)

        with Attended(ground.attendance, context):
            async with storage.stream(name, open, method.streams, context.caller) as ((head, values), batches):
                await outlet.send(head, batches if head.columns is not None else _in_batches(values, method.streams))

    return stream


async def _in_batches(values: list[Any], size: int) -> AsyncIterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
