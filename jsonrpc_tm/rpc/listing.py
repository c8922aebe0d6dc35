"""Lists as streams: from the database's cursor to an outlet, in constant memory, with an end that proves them whole."""

import functools
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, ClassVar, Literal, Protocol

import orjson

from ..core.context import Context
from ..core.errors import InvalidRequest
from ..core.model import ColumnKind
from ..domain import event_log
from ..domain.rows import NO_ROWS, Rows, Tuples
from ..domain.work import Work
from ..storage.base import Select, Transaction
from ..storage.dialect import Dialect
from .answer import json_lines, json_text, members_text, row_lines, row_texts
from .attendance import Attended
from .chain import Arguments, Ground, trusted
from .method import Method

# a list that is not short
_MORE: Any = object()
# to how many times the rows of a short list a list may be limited so that all of it is read at once: to look first
# whether it is that long costs more
_PAGES = 5
# how many times as many rows are read at a time when they are texts: a hop costs as much as a hundred of them
_TEXTS = 4
# of this many at a time, no row is long: those of fewer have bodies or names of many files, and are no texts
_SMALL = 1000

RowForm = Literal["values", "texts", "stored"]
"""How the rows of a list are read: as answers show them, as the JSON text of an object each where the database can make
it, or as they are in the database, see ``Tuples``."""


class NotOffered(InvalidRequest):
    """The rows cannot be had in the form that was asked for."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a list before its rows.

    :param revision: the event log's position at or before what the list shows.
    :param columns: kinds by name, in the order of a row's values; None where the rows are JSON values.
    :param texts: a row's only value is a text, which the database has made: the JSON of its object; of an array of its
        values where rows are read as they are stored.
    :param values: all rows, where they are JSON values.
    """

    revision: int
    columns: Mapping[str, ColumnKind] | None
    texts: bool = False
    values: list[Any] = field(default_factory=list)


class Form(Protocol):
    """How one list is put out. Its functions take milliseconds and belong in a thread, one at a time.

    :param media: the Content-Type.
    :param reads: how it wants its rows.
    """

    media: ClassVar[str]
    reads: ClassVar[RowForm]

    def rows(self, head: Head, batch: list[Any]) -> bytes:
        """Return the bytes of some rows.

        :raises NotOffered: such a list cannot be had in this form.
        """

    def end(self, head: Head, id: Any) -> bytes:
        """Return what proves that the rows are all there.

        :param id: of the request.
        :raises NotOffered: such a list cannot be had in this form.
        """

    def error(self, error: Mapping[str, Any]) -> bytes | None:
        """Return what stands instead of the end after a failure, an error object of JSON-RPC; None where there is no
        place for it: then only the end that is missing tells."""


class Outlet(Protocol):
    """Where a list goes.

    :param id: of the request.
    :param reads: how it wants its rows.
    :param short: the most rows that it leaves to be the result of the call, all in one piece; 0 where it takes any.
        They are ``Tuples`` where they are read as they are stored.
    :param waits: it waits for its place at the database, where others have all rows at once when these are taken.
    """

    id: Any
    reads: RowForm
    short: int
    waits: bool

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
        """Put out an error object, as the last part of what has begun, or have it end without its last part."""


PutsOut = Callable[[Context, Arguments, Outlet], Awaitable[Any]]


class Lines:
    """One row a line of JSON, and a last line with their number and the hash of all bytes before it."""

    media: ClassVar[str] = "application/x-ndjson"
    reads: ClassVar[RowForm] = "texts"

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._count = 0

    def rows(self, head: Head, batch: list[Any]) -> bytes:
        """Return some lines; see ``Form``."""
        if head.texts:
            text = "\n".join(chain.from_iterable((*batch, ("",)))).encode()
        else:
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


class Members:
    """The response object of JSON-RPC whose result is the list."""

    media: ClassVar[str] = "application/json"
    reads: ClassVar[RowForm] = "texts"

    def __init__(self) -> None:
        self._before = b'{"jsonrpc":"2.0","result":['

    def rows(self, head: Head, batch: list[Any]) -> bytes:
        """Return some members; see ``Form``."""
        before, self._before = self._before, b","
        if head.texts:
            return before + ",".join(chain.from_iterable(batch)).encode()
        return before + (members_text(batch) if head.columns is None else row_texts(tuple(head.columns), batch))

    def end(self, head: Head, id: Any) -> bytes:
        """Return what follows the list; see ``Form``."""
        return self._before.removeprefix(b",") + b'],"id":' + json_text(id) + b"}"

    def error(self, error: Mapping[str, Any]) -> None:
        """There is no place for it; see ``Form``."""


def streamed(method: Method, ground: Ground) -> PutsOut:
    """Return what puts out the rows of *method*, all on one snapshot, or returns them where they are few."""
    name, access = method.name, method.access
    handler = trusted(method)
    trans = None if access is None else access.trans
    storage = ground.storage

    async def described(work: Work, arguments: Arguments) -> Rows | list[Any]:
        own = dict(arguments)
        seen = () if trans is None else (await work.seen(own.pop(trans)),)
        found: Rows | list[Any] = await handler(work, *seen, **own)
        return found

    async def stream(context: Context, arguments: Arguments, outlet: Outlet) -> Any:
        async def listed(tx: Transaction, most: int) -> Any:
            """Return the list as a result; _MORE where it has more rows than *most*, if that is not 0."""
            work = Work(tx, context, ground.domain, name)
            found = await described(work, arguments)
            if not isinstance(found, Rows):
                return found
            if found.limit and found.limit <= _PAGES * most:
                most = 0
            some = found.few(most + 1) if most else found
            query, texts = _statement(some, outlet.reads, tx.dialect)
            plain = texts or outlet.reads == "stored"
            rows: list[Any] = await (tx.fetch_rows(query.sql, query.parameters) if plain else some.run(work))
            if most and len(rows) > most:
                return _MORE
            if outlet.reads == "stored":
                return Tuples(tuple(some.columns), rows, texts)
            return [orjson.Fragment(text) for (text,) in rows] if texts else rows

        async def open(tx: Transaction) -> tuple[Head, Select]:
            # first of all: who follows the events from here on must not miss one
            revision = await event_log.position(tx)
            found = await described(Work(tx, context, ground.domain, name), arguments)
            if not isinstance(found, Rows):
                return Head(revision, None, values=found), NO_ROWS
            query, texts = _statement(found, outlet.reads, tx.dialect)
            columns = {column: expression.kind for column, expression in found.columns.items()}
            return Head(revision, columns, texts), query

        run = functools.partial(storage.run, name, listed, read=True, caller=context.caller)
        size = method.streams * (_TEXTS if outlet.reads != "values" and method.streams >= _SMALL else 1)
        with Attended(ground.attendance, context):
            if outlet.short:
                if (found := await run(outlet.short)) is not _MORE:
                    return found
                if not outlet.waits and not storage.streams_at_once(context.caller):
                    # many slow readers must not keep others from what is not for them alone
                    return await run(0)
            async with storage.stream(name, open, size, context.caller) as (head, batches):
                rows = batches if head.columns is not None else _in_batches(head.values, method.streams)
                await outlet.send(head, rows)
        return None

    return stream


def _statement(found: Rows, reads: RowForm, dialect: Dialect) -> tuple[Select, bool]:
    """Return the statement for rows, and whether each is a text; see ``Head``."""
    if reads == "stored":
        return found.stored(dialect)
    query = found.texts(dialect) if reads == "texts" else None
    return query or found.query(dialect), query is not None


async def _in_batches(values: list[Any], size: int) -> AsyncIterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
