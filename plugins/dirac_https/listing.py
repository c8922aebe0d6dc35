"""Lists as text, as ``json.dumps`` writes them, but column by column: rows one by one take three times as long."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, repeat
from typing import Any, Protocol

import orjson
from aiohttp import web

from jsonrpc_tm.api import TABLES, Head, Outlet, Spool, Tuples, Users, give_way, spool_of, without_collections

from . import methods
from .jencode import TAG, VALUE

PIECE = 1000
"""Rows that become text at a time: some milliseconds."""
SHORT = 2000
"""Rows of a list that is read and made in one piece."""
_FLOATS = frozenset(c.name for table in TABLES.values() for c in table.columns.values() if c.kind == "float")
# What orjson puts between two values of an array when it indents them. No text has it: there a line's end is escaped.
_LINE = b"\n  "
_TAG = f'{{"{TAG}": "dt", "{VALUE}": '.encode()
Cells = tuple[bytes, list[bytes], bytes]
"""A column of rows: what is before each value, values, of which one stands for all, and what is behind."""

BEGIN, END = b'{"OK": true, "Value": "', b'"}'
"""What is around JSON that is a text inside of S_OK, where it is ``escaped``."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a list is shown.

    :param authored: with ``AuthorDN``, of the row or of its ``Author``.
    :param users: know the DNs of authors.
    :param records: with ``Records`` and ``ParameterNames`` beside ``Value``.
    :param as_text: as a text inside of another S_OK, without ``Records``.
    """

    authored: bool
    users: Users
    records: bool
    as_text: bool


class Sink(Protocol):
    """What text is written into."""

    def write(self, text: bytes | memoryview, /) -> Any:
        """Add a piece."""


class Listing:
    """S_OK with rows that become text some at a time: ``Value`` goes into one place, what follows it into another.

    :param names: of the columns.
    :param texts: rows are the JSON texts of arrays.
    """

    def __init__(self, shape: Shape, names: Sequence[str], texts: bool, value: Sink, after: Sink) -> None:
        self._shape = shape
        self._names = names
        self._texts = texts
        self._value = value
        self._after = after
        self._inside = escaped if shape.as_text else bytes
        self._records = shape.records and not shape.as_text
        self._empty = True
        value.write((BEGIN if shape.as_text else b"") + self._inside(b'{"OK": true, "Value": ['))
        if self._records:
            after.write(b', "Records": [')

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows; where they are many in a thread, which lets others go on between its steps."""
        for start in range(0, len(rows), PIECE):
            some = rows[start : start + PIECE]
            columns = self._columns(some)
            cells = {name: _cells(name, values, self._inside) for name, values in columns.items()}
            shown = [_tagged(name, of_value, self._inside) for name, (of_value, _) in cells.items()]
            self._write(self._value, _joined(shown, b"{}", len(some)))
            if self._records:
                give_way()
                listed = [(b"", of_record, b"") for _, of_record in cells.values()]
                self._write(self._after, _joined(listed, b"[]", len(some)))
            self._empty = False
            give_way()

    def end(self) -> None:
        """Write what follows the rows."""
        self._value.write(b"]")
        if self._records:
            self._after.write(b'], "ParameterNames": %b' % _dumped(list(self._columns([]))))
        self._after.write(b"}" + (END if self._shape.as_text else b""))

    def _write(self, sink: Sink, rows: bytes) -> None:
        if not self._empty:
            sink.write(b", ")
        sink.write(rows)

    def _columns(self, rows: Sequence[Sequence[Any]]) -> dict[str, Sequence[Any]]:
        if self._texts:  # one long list is read, and taken apart, in half the time of many short ones
            values = orjson.loads(f"[{','.join([text[1:-1] for (text,) in rows])}]")
        else:
            values = list(chain.from_iterable(rows))
        columns: dict[str, Sequence[Any]] = {name: values[i :: len(self._names)] for i, name in enumerate(self._names)}
        if self._shape.authored:
            own = columns.pop(methods.AUTHOR_DN, repeat(None))
            pairs = zip(own, columns["Author"], strict=False)
            columns[methods.AUTHOR_DN] = [dn or methods.dn_of(author, self._shape.users) for dn, author in pairs]
        return columns


def made(found: Tuples, shape: Shape) -> bytes:
    """Return the JSON of a list that is there."""
    value, after = BytesIO(), BytesIO()
    listing = Listing(shape, found.names, found.texts, value, after)
    listing.add(found.rows)
    listing.end()
    return value.getvalue() + after.getvalue()


class Kept(Outlet):
    """An outlet for rows: keeps the answer until all of it is made, for its length is told before it.

    :param request: what is answered.
    :param spools: have the answer, one after the other.
    """

    id = None
    reads = "stored"
    short = SHORT
    waits = True
    begun = False

    def __init__(self, request: web.Request, shape: Shape) -> None:
        self.spools: list[Spool] = []
        self._request = request
        self._shape = shape

    async def send(self, head: Head, batches: AsyncIterator[list[Any]]) -> None:
        """Make the answer, see ``Outlet``: rows are read while those before them become text."""
        self.spools = [spool_of(self._request) for _ in range(2)]
        assert head.columns is not None  # of rows that are read as they are stored
        listing = Listing(self._shape, tuple(head.columns), head.texts, *self.spools)
        step: asyncio.Task[None] | None = None
        try:
            with without_collections():  # it makes way for others, and not for itself
                async for rows in batches:
                    await _done(step)
                    step = asyncio.create_task(asyncio.to_thread(listing.add, rows))
                await _done(step)
                await asyncio.to_thread(listing.end)
        finally:
            if step is not None:  # a thread must not write into what is closed
                await asyncio.wait([step])

    async def fail(self, error: Mapping[str, Any]) -> None:
        """Do nothing: nothing is out."""


async def _done(step: "asyncio.Task[None] | None") -> None:
    if step is not None:
        await asyncio.wait([step])  # which leaves it alone where who waits is cancelled
        step.result()


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def escaped(text: bytes) -> bytes:
    """Return JSON as it stands in a text that is JSON."""
    return text.replace(b"\\", rb"\\").replace(b'"', rb"\"")


def _cells(name: str, values: Sequence[Any], inside: Callable[[bytes], bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return values as in ``Value``, but dates without their tag, and as in ``Records``: all but integers is text.

    One of each where all are the same.
    """
    if values.count(values[0]) == len(values):
        values = values[:1]
    if name in _FLOATS:  # which Python writes in its own way
        return [inside(_dumped(value)) for value in values], [_dumped(str(value)) for value in values]
    text = orjson.dumps(values, option=orjson.OPT_INDENT_2)
    if text.isascii():
        shown = inside(text)[1 + len(_LINE) : -2].split(b"," + _LINE)
    else:
        shown = [inside(_dumped(value)) for value in values]
    return shown, [b'"None"' if cell == b"null" else cell for cell in shown] if b"null" in shown else shown


def _tagged(name: str, cells: list[bytes], inside: Callable[[bytes], bytes]) -> Cells:
    """Return cells of ``Value``, of dates with their tag."""
    label = inside(b"%b: " % _dumped(name))
    if name not in methods.DATES:
        return label, cells, b""
    tag = inside(_TAG)
    if b"null" in cells:
        return label, [cell if cell == b"null" else b"%b%b}" % (tag, cell) for cell in cells], b""
    return label + tag, cells, b"}"


def _joined(columns: Iterable[Cells], brackets: bytes, count: int) -> bytes:
    """Return rows, each in brackets, with ``, `` between them.

    :param count: of the rows.
    """
    parts: list[Iterable[bytes]] = []
    between = brackets[:1]
    for number, (before, cells, after) in enumerate(columns):
        between += b", " * (number > 0) + before
        if len(cells) == 1:
            between += cells[0]
        else:
            parts += (repeat(between), cells)
            between = b""
        between += after
    end = between + brackets[1:]
    ends = chain(repeat(end + b", ", count - 1), (end,))
    return b"".join(chain.from_iterable(zip(*parts, ends, strict=False)))
