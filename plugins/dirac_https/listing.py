"""Lists as text, as ``json.dumps`` writes them, but column by column: rows one by one take three times as long."""

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import orjson

from jsonrpc_tm.api import TABLES, Tuples, Users, give_way

from . import methods
from .jencode import TAG, VALUE

PIECE = 1000
"""Rows that become text at a time: some milliseconds."""
_FLOATS = frozenset(c.name for table in TABLES.values() for c in table.columns.values() if c.kind == "float")
# What orjson puts between two values of an array when it indents them. No text has it: there a line's end is escaped.
_LINE = b"\n  "
_TAG = f'{{"{TAG}": "dt", "{VALUE}": "'.encode()

BEGIN, END = b'{"OK": true, "Value": "', b'"}'
"""What is around JSON that is a text inside of S_OK, where it is ``escaped``."""


@dataclass(frozen=True, slots=True)
class Listing:
    """S_OK with rows, which become text some at a time, and are let go.

    :param found: has rows.
    :param authored: with ``AuthorDN``, of the row or of its ``Author``.
    :param users: know the DNs of authors.
    :param records: with ``Records`` and ``ParameterNames`` beside ``Value``.
    """

    found: Tuples
    authored: bool
    users: Users
    records: bool

    def text(self, *, as_text: bool) -> bytearray:
        """Return the JSON; only once.

        :param as_text: as a text inside of another S_OK, without ``Records``.
        """
        inside = escaped if as_text else bytes
        text = bytearray((BEGIN if as_text else b"") + inside(b'{"OK": true, "Value": ['))
        records: deque[bytes] = deque()
        columns: dict[str, Sequence[Any]] = {}
        for some in self.found.batches(PIECE):
            columns = self._columns(some)
            lines = [_lines(name, values) for name, values in columns.items()]
            names = [inside(b"%b: " % _dumped(name)) for name in columns]
            text += _joined(names, [inside(shown) for shown, _ in lines], b"{}", len(some))
            if self.records and not as_text:
                give_way()
                records.append(_joined(repeat(b""), [listed for _, listed in lines], b"[]", len(some)))
            give_way()
        text[-2:] = b"]"
        if records:
            text += b', "Records": ['
            while records:
                text += records.popleft()
                give_way()
            text[-2:] = b'], "ParameterNames": %b' % _dumped(list(columns))
        text += b"}" + (END if as_text else b"")
        return text

    def _columns(self, rows: Sequence[Sequence[Any]]) -> dict[str, Sequence[Any]]:
        columns: dict[str, Sequence[Any]] = dict(zip(self.found.names, zip(*rows, strict=True), strict=True))
        if self.authored:
            own = columns.pop(methods.AUTHOR_DN, repeat(None))
            pairs = zip(own, columns["Author"], strict=False)
            columns[methods.AUTHOR_DN] = tuple(dn or methods.dn_of(author, self.users) for dn, author in pairs)
        return columns


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def escaped(text: bytes) -> bytes:
    """Return JSON as it stands in a text that is JSON."""
    return text.replace(b"\\", rb"\\").replace(b'"', rb"\"")


def _lines(name: str, values: Sequence[Any]) -> tuple[bytes, bytes]:
    """Return the lines of values as in ``Value``, and as in ``Records``, where all but integers is text.

    One line where all are the same.
    """
    if values.count(values[0]) == len(values):
        values = values[:1]
    if name in _FLOATS:  # which Python writes in its own way
        return _dumped_lines(values), _dumped_lines(map(str, values))
    text = orjson.dumps(values, option=orjson.OPT_INDENT_2)[1:-2]
    if name in methods.DATES:
        # there is nothing else but nulls
        shown = (text + b",").replace(b'",', b'"},')[:-1].replace(_LINE + b'"', _LINE + _TAG)
        listed = text
    else:
        shown = listed = text if text.isascii() else _dumped_lines(values)
    return shown, listed.replace(_LINE + b"null", _LINE + b'"None"')


def _dumped_lines(values: Iterable[Any]) -> bytes:
    return b",".join([_LINE + _dumped(value) for value in values])


def _joined(names: Iterable[bytes], columns: Iterable[bytes], brackets: bytes, count: int) -> bytes:
    """Return rows, each in brackets and with ``, `` behind it.

    :param names: what is before each cell.
    :param columns: lines.
    :param count: of the rows.
    """
    parts: list[Iterable[bytes]] = []
    between = brackets[:1]
    for number, (name, lines) in enumerate(zip(names, columns, strict=False)):
        cells = lines[len(_LINE) :].split(b"," + _LINE)
        between += b", " * (number > 0) + name
        if len(cells) == 1:
            between += cells[0]
        else:
            parts += (repeat(between), cells)
            between = b""
    ends = repeat(between + brackets[1:] + b", ", count)
    return b"".join(chain.from_iterable(zip(*parts, ends, strict=False)))
