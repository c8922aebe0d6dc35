"""Results and errors as JSON text; long ones piece by piece."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from itertools import islice, repeat
from typing import Any

import orjson

from ..core.breath import Breath
from ..core.garbage import Long
from .openrpc import Document

Text = bytes | bytearray
# members of a list or object that become text at a time: about a millisecond
_PIECE = 500
# of what becomes text at a time, if no member is longer
_BYTES = 2**16
# members that an object has at most around the one that is long
_FRAME = 10
_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


def json_text(value: Any) -> bytes:
    """Return *value* as JSON text.

    :raises TypeError: it has something that is no JSON.
    """
    try:
        return orjson.dumps(value, _form, _OPTIONS)
    except TypeError:
        # ids as keys become text; rows, which have none, take twice as long with this option
        return orjson.dumps(value, _form, _OPTIONS | orjson.OPT_NON_STR_KEYS)


def json_lines(values: Iterable[Any]) -> bytes:
    """Return each of *values* as a line of JSON text, which ends with LF.

    :raises TypeError: one has something that is no JSON.
    """
    return b"".join([orjson.dumps(value, _form, _OPTIONS | orjson.OPT_APPEND_NEWLINE) for value in values])


def members_text(values: Sequence[Any]) -> bytes:
    """Return *values* as JSON text with commas between them."""
    return json_text(values)[1:-1]


def row_texts(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows of a table as objects of JSON text with commas between them.

    :param names: of the columns.
    """
    return orjson.dumps(list(map(dict, map(zip, repeat(names), rows))), _form, _OPTIONS)[1:-1]


def row_lines(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows of a table, one or more, as ``json_lines`` does objects, in three quarters of the time.

    :param names: of the columns, plain words.
    """
    # this is nowhere in a value: a quote in a text has a backslash before it, and no name follows one that ends a text
    first = b'{"' + names[0].encode() + b'":'
    return row_texts(names, rows).replace(b"}," + first, b"}\n" + first) + b"\n"


def prove_json(value: Any) -> None:
    """Refuse what has no JSON text, and what would become another value in it.

    :raises TypeError: there is something in it that is no JSON.
    :raises ValueError: there is a number in it that JSON lacks.
    """
    if b"null" in json_text(value):  # so orjson writes NaN and infinity, too
        json.dumps(value, default=str, skipkeys=True, allow_nan=False)


def _form(value: Any) -> str | orjson.Fragment:
    """Return the wire's form of what is no JSON: the document that has its text, a plugin's moments in UTC, days.

    :raises TypeError: it is something else.
    """
    if isinstance(value, Document):
        return orjson.Fragment(value.text)
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC)
        return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}Z"
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError


def long_parts(value: Any) -> list[Long]:
    """Return what is long in *value*: itself, or members of the small object that it is, which comes before them.

    A list of long texts is long, too.
    """
    if type(value) is dict and len(value) <= _FRAME:
        found = [member for member in value.values() if type(member) in (list, dict) and _is_long(member)]
        around = [value] if found else []
    else:
        found, around = [value] if type(value) in (list, dict) and _is_long(value) else [], []
    return [Long(one, 1 + len(one) // _PIECE) for one in (*around, *found)]


def _is_long(value: list[Any] | dict[Any, Any]) -> bool:
    return len(value) > _PIECE or (type(value) is list and _has_long_text(value))


def _has_long_text(value: list[Any]) -> bool:
    return any(type(one) is str and len(one) > _BYTES for one in value)


async def in_turns(value: Any) -> bytearray:
    """Return *value* as JSON text, as ``json_text`` does; others have their turn meanwhile.

    :raises TypeError: it has something that is no JSON.
    """
    text, breath = bytearray(), Breath()
    for piece in _pieces(value):
        text += piece
        await breath.taken()
    return text


def _pieces(value: Any) -> Iterator[bytes]:
    if type(value) is list and _is_long(value):
        # as many members as make about so many bytes: who looks at each of them takes twice as long for numbers
        start, number, before = 0, 1, b"["
        while start < len(value):
            text = json_text(value[start : start + number])[1:-1]
            yield before
            yield text
            start, before = start + number, b","
            number = max(1, min(_PIECE, 2 * number, number * _BYTES // (len(text) + 1)))
        yield b"]"
    elif type(value) is dict and len(value) > _PIECE:
        members, separator = iter(value.items()), b"{"
        while some := dict(islice(members, _PIECE)):
            yield separator
            yield json_text(some)[1:-1]
            separator = b","
        yield b"}"
    elif type(value) is dict and value:
        for number, (key, member) in enumerate(value.items()):
            yield b"," if number else b"{"
            yield json_text({key: 0})[1:-2]
            yield from _pieces(member)
        yield b"}"
    else:
        yield json_text(value)
