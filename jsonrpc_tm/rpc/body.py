"""From the bytes of a request to JSON values: parsing, and the limits on numbers, nesting and texts.

orjson is strict about syntax, UTF-8 and surrogates, but makes floats of integers beyond 64 bits and refuses more
than 1,024 levels as if they were malformed. Both are looked for in the bytes, never value by value: whoever sends
64 MiB of the smallest values must not stop the server for much longer than orjson does.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, compress
from operator import xor
from typing import Any

import orjson

from ..core.breath import give_way
from ..core.errors import ParseError
from ..core.garbage import Long
from ..core.model import MAX_INTEGER
from .pieces import Body, Parsers, Unusual, in_pieces

_LARGEST = b"%d" % MAX_INTEGER
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * len(_LARGEST)
_TOO_LARGE = "an integer is beyond 64 bits"
# bytes that are looked at faster than it is found out whether they must be
_SHORT = 1024
# stands for such an integer: is one itself, but orjson keeps it
_MARK = b"9" * len(_LARGEST)


def _up_to(largest: bytes) -> bytes:
    """Return an expression for the numbers of as many digits that are not above *largest*."""
    found = b""
    for length, digit in enumerate(reversed(largest)):
        same = b"%c" % digit + found
        found = b"(?:[0-%c][0-9]{%d}|%b)" % (digit - 1, length, same) if digit > ord("0") else same
    return found


# Possessive expressions, so that no body makes them backtrack. This one goes through anything, malformed or not, and
# stops only at integers beyond 64 bits: texts (perhaps without an end), other numbers, and what is no number go by.
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+'
_FITS = rb"-?+(?:[0-9]{1,18}+|" + _up_to(_LARGEST) + rb")(?![0-9.eE])"
_FLOAT = rb"-?+[0-9]++[.eE][-+.0-9eE]*+"
_JUNK = rb"-?+0[0-9]++|-(?:(?![0-9])|(?<=[0-9-]-))"
_REST = rb'[^"0-9-]*+'
_UNTIL_TOO_LARGE = re.compile(
    rb"((?:%b(?:%b|%b|%b|%b))*+%b)(-?+[0-9]*+)" % (_REST, _TEXT, _FITS, _FLOAT, _JUNK, _REST), re.DOTALL
)

# These are for valid JSON without escapes.
_UNTIL_LONG_TEXT = rb'(?:[^"]*+"[^"]{0,%d}+")*+[^"]*+("[^"]*+")?+'
# from the beginning of an object to the first array or object in it; from its end, backwards, to the last
_HEAD = re.compile(rb'[ \t\r\n]*+\{(?:[^"\[{]++|"[^"]*+")*+')
_TAIL = re.compile(rb'[ \t\r\n]*+\}(?:[^"\]}]++|"[^"]*+")*+')
_NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
# opening ones count up, closing ones down; quotes change between outside and inside
_STEPS = bytes.maketrans(b'[]{}"', b"\x01\xff\x01\xff\x00")
_QUOTES = bytes.maketrans(b'[]{}"', b"\x00\x00\x00\x00\x01")


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a request may be.

    :param depth: levels of arrays and objects, the request object included.
    :param string_length: characters of one text.
    """

    depth: int
    string_length: int


def parse(body: Body, limits: RequestLimits) -> tuple[Any, str | None]:
    """Return the JSON value of *body*, and which limit something in it exceeds, None when nothing does.

    For a batch this is a suspicion only: ask ``excess`` about each entry. Where the limit is one of integers, the
    value has other integers beyond 64 bits for these; where the body is nested deeper than the parser goes, it is
    what can be read of the outermost object, None for nothing.

    :raises ParseError: not JSON, not UTF-8, a lone surrogate, NaN, or a number beyond double precision.
    """
    try:
        value, problem = _loads(body)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg or "recursion" in error.msg.lower():
            return _outermost(body), _too_deep(limits)
        raise ParseError(f"Parse error: not JSON at line {error.lineno} column {error.colno}") from None
    return value, problem or _deep_or_long(body, limits)


def parse_long(body: Body, limits: RequestLimits, long: list[Long] | None = None) -> tuple[Any, str | None]:
    """Do as ``parse``, in a thread: others go on between its steps, which are short.

    :param long: gets what ``let_go`` should have when the value is not needed any more.
    """
    problem: str | None = None

    def parse_piece(text: Body, around: int) -> Any:
        nonlocal problem
        value, wrong = _loads(text)
        problem = problem or wrong or _deep_or_long(text, limits, around)
        give_way()
        return value

    def parse_text(text: Body, around: int) -> str:
        nonlocal problem
        value: str = orjson.loads(text)
        give_way()
        if around > limits.depth:
            problem = problem or _too_deep(limits)
        elif len(value) > limits.string_length:
            problem = problem or _too_long(limits)
        return value

    try:
        return in_pieces(body, Parsers(parse_piece, parse_text, [] if long is None else long)), problem
    except (Unusual, orjson.JSONDecodeError):
        return parse(body, limits)


def excess(entry: Any, limits: RequestLimits) -> str | None:
    """Return which limit *entry*, a part of a value that ``parse`` returned, exceeds; None when none."""
    try:
        text = orjson.dumps(entry)
    except orjson.JSONEncodeError:  # more than 254 levels; no limit is as high
        return _too_deep(limits)
    if _around_too_large(text):
        return _TOO_LARGE
    return _deep_or_long(text, limits)


def _loads(body: Body) -> tuple[Any, str | None]:
    pieces = _around_too_large(body)
    if not pieces:
        return orjson.loads(body), None
    # as long as before, so that the place of a mistake stays
    pieces[2::3] = [number and _MARK.ljust(len(number)) for number in pieces[2::3]]
    return orjson.loads(b"".join(pieces)), _TOO_LARGE


def _around_too_large(text: Body) -> list[bytes]:
    """Return *text* in threes: nothing, what is before an integer beyond 64 bits, and this; [] where none is."""
    # of 19 digits in a row, every sixth byte has three
    if len(text) > _SHORT and _LONG[:3] not in text[::6].translate(_DIGITS_TO_ZERO):
        return []
    if _LONG not in text.translate(_DIGITS_TO_ZERO):
        return []
    pieces = _UNTIL_TOO_LARGE.split(text)
    return pieces if any(pieces[2::3]) else []


def _deep_or_long(text: Body, limits: RequestLimits, around: int = 0) -> str | None:
    depth = max(0, limits.depth - around)
    if _has_brackets(text, depth + 1) and _depth(text) > depth:
        return _too_deep(limits)
    if len(text) > limits.string_length and _has_longer_text(text, limits.string_length):
        return _too_long(limits)
    return None


def _too_long(limits: RequestLimits) -> str:
    return f"a text is longer than {limits.string_length} characters"


def _has_brackets(text: Body, number: int) -> bool:
    """Tell whether *text* has *number* opening brackets; of a long text, counting them all takes longer."""
    if len(text) <= _SHORT:
        return text.count(b"[") + text.count(b"{") >= number
    for bracket in (b"[", b"{"):
        at = text.find(bracket)
        while at >= 0 and number:
            number -= 1
            at = text.find(bracket, at + 1)
    return not number


def _too_deep(limits: RequestLimits) -> str:
    return f"nested deeper than {limits.depth} levels"


def _depth(text: Body) -> int:
    # texts without brackets are "" then, and go
    brackets = _unescaped(text).translate(None, _NO_BRACKETS).replace(b'""', b"")
    steps: Iterable[int] = memoryview(brackets.translate(_STEPS)).cast("b")
    if b'"' in brackets:
        steps = compress(steps, accumulate(brackets.translate(_QUOTES), xor, initial=1))
    return max(accumulate(steps), default=0)


def _has_longer_text(text: Body, limit: int) -> bool:
    for found in re.finditer(_UNTIL_LONG_TEXT % limit, _unescaped(text)):
        begin, end = found.span(1)
        # more bytes, but perhaps not more characters
        if begin < end and len(orjson.loads(text[begin:end])) > limit:
            return True
    return False


def _unescaped(text: Body) -> Body:
    """Return *text* with other bytes for escaped quotes and backslashes, so that every quote begins or ends a text."""
    return text.replace(rb"\\", b"__").replace(rb"\"", b"__") if b"\\" in text else text


def _outermost(body: Body) -> Any:
    """Return the object that *body* is, with one ``{}`` for the first array or object in it and all up to the last."""
    plain = _unescaped(body)
    head, tail = _HEAD.match(plain), _TAIL.match(plain[::-1])
    if head is None or tail is None:
        return None
    try:
        return _loads(body[: head.end()] + b"{}" + body[len(body) - tail.end() :])[0]
    except orjson.JSONDecodeError:
        return None
