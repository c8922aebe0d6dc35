"""JEncode, DIRAC's JSON with tags for dates and bytes. Nothing is ever imported or evaluated.

Source: the wire as measured: ``{"__dCls": "dt", "obj": "YYYY-mm-dd HH:MM:SS"}``, likewise ``date`` and ``b64``.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

from jsonrpc_tm.api import RequestLimits, errors, give_way, parse, parse_long

TAG, VALUE = "__dCls", "obj"
PIECE, TEXT = 250, 2**16
"""Members of a list or object, and characters of a text, that are written at a time."""
LONG = 64 * 1024
"""A longer text is taken apart in a thread: nobody else waits for it."""

_TAG = TAG.encode()
_SEARCHED = 2**20


class Undecodable(Exception):
    """A text that is not JEncode, or that has a tag we refuse."""


def decode(given: str | bytes | bytearray, limits: RequestLimits) -> Any:
    """Return the value of a JEncoded text; dates and bytes become texts. In a thread where it is ``LONG``.

    :raises Undecodable: not JSON, a limit is exceeded, or a tag is none of the three.
    """
    try:
        text = given.encode() if isinstance(given, str) else given
        value, problem = (parse if len(text) <= LONG else parse_long)(text, limits)
    except (errors.ParseError, UnicodeEncodeError) as error:
        raise Undecodable(error.message if isinstance(error, errors.ParseError) else "not UTF-8") from None
    if problem is not None:
        raise Undecodable(problem)
    # no recursion deeper than the limit: parse() has seen to it
    return _untag(value) if _has_tag(text) else value


def _has_tag(text: bytes | bytearray) -> bool:
    for start in range(0, len(text), _SEARCHED):
        if text.find(_TAG, start, start + _SEARCHED + len(TAG)) >= 0:
            return True
        if len(text) > _SEARCHED:
            give_way()
    return False


def _untag(value: Any) -> Any:
    if isinstance(value, list):
        return [_untag(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: _untag(item) for key, item in value.items()}
    tagged = value.get(VALUE)
    if set(value) != {TAG, VALUE} or not isinstance(tagged, str):
        raise Undecodable(f"a tag {value[TAG]!r} with other members than it has")
    if value[TAG] in ("dt", "date"):
        return tagged
    if value[TAG] == "b64":
        try:
            return base64.b64decode(tagged, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Undecodable("bytes that are no text") from None
    raise Undecodable(f"the tag {value[TAG]!r} is refused")


def date(text: str | None) -> Any:
    """Return a date-time of an answer (``YYYY-MM-DDTHH:MM:SSZ``) with DIRAC's tag."""
    return None if text is None else {TAG: "dt", VALUE: f"{text[:10]} {text[11:19]}"}


def encode(value: Any) -> str:
    """Return *value* as DIRAC writes it: Python's json with ASCII, keys as texts."""
    return "".join(pieces(value))


def pieces(value: Any) -> Iterator[str]:
    """Yield what ``encode`` returns, each piece about a millisecond's work: ``json.dumps`` lets no other thread run."""
    if not is_long(value):
        yield json.dumps(value)
    elif isinstance(value, str):
        yield '"'
        for piece in batched(value, TEXT):
            yield json.dumps(piece)[1:-1]
        yield '"'
    elif isinstance(value, list):
        yield from _members("[", map(_of_list, batched(value, PIECE)), "]")
    elif len(value) > PIECE:
        parts = batched(list(value.items()), PIECE)
        yield from _members("{", ([json.dumps(dict(part))[1:-1]] for part in parts), "}")
    else:
        # json.dumps knows how any key is written; what is cut off is the 0
        yield from _members("{", (chain([json.dumps({key: 0})[1:-2]], pieces(value[key])) for key in value), "}")


def _members(begin: str, parts: Iterable[Iterable[str]], end: str) -> Iterator[str]:
    for part in parts:
        yield begin
        yield from part
        begin = ", "
    yield end


def _of_list(some: list[Any]) -> Iterator[str]:
    return _members("", map(pieces, some), "") if _has_long_text(some) else iter([json.dumps(some)[1:-1]])


def is_long(value: Any) -> bool:
    """Whether *value* is long, or an object with something that is."""
    kind = type(value)
    if kind is dict:
        return len(value) > PIECE or any(map(is_long, value.values()))
    return (kind is str and len(value) > TEXT) or (kind is list and (len(value) > PIECE or _has_long_text(value)))


def _has_long_text(value: list[Any]) -> bool:
    return any(type(one) is str and len(one) > TEXT for one in value)


S = TypeVar("S", bound=Sequence[Any])


def batched(value: S, size: int) -> Iterator[S]:
    """Yield *value* in pieces of at most *size*."""
    for start in range(0, len(value), size):
        yield value[start : start + size]  # type: ignore[misc]
