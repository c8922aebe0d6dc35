"""From the bytes of a request to JSON values: parsing, and the limits on numbers, nesting and texts.

orjson is strict about syntax, UTF-8 and surrogates, but makes floats of integers beyond 64 bits and refuses more
than 1,024 levels as if they were malformed. Both are looked for here, cheaply where there is nothing to find.
"""

import itertools
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from ..core.errors import InvalidRequest, ParseError
from ..core.model import MAX_INTEGER

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_NINETEEN = b"0" * 19
# a superset of the long integers: most long runs of digits are inside names and have another neighbour
_LONG = re.compile(rb"[ \t\r\n:,\[-][0-9]{19}")
# possessive, so that no body makes it backtrack
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?', re.DOTALL)
_INTEGER = re.compile(rb"-?[0-9]{19,}")
# stands for an integer that is too large, while the request that has it is looked for; cannot be guessed
_TOO_LARGE = secrets.token_hex(32)
_TOO_LARGE_JSON = b'"' + _TOO_LARGE.encode() + b'"'


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be.

    :param depth: levels of arrays and objects, the request object included.
    :param string_length: characters of one text.
    """

    depth: int
    string_length: int


def parse(body: bytes, limits: Limits) -> tuple[Any, bool]:
    """Return the JSON value of *body*, and whether ``violation`` must look at its requests.

    :raises ParseError: not JSON, not UTF-8, a lone surrogate, NaN, or a number beyond double precision.
    :raises InvalidRequest: nested deeper than the parser goes.
    """
    suspect = _brackets(body, limits.depth) or limits.string_length < len(body)
    if _NINETEEN in body.translate(_DIGITS_TO_ZERO) and _LONG.search(b" " + body):
        suspect, body = True, _TOKEN.sub(_mark, body)
    try:
        return orjson.loads(body), suspect
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg or "recursion" in error.msg.lower():
            raise InvalidRequest(f"Invalid request: nested deeper than {limits.depth} levels") from None
        raise ParseError(f"Parse error: not JSON at line {error.lineno} column {error.colno}") from None


def _brackets(body: bytes, limit: int) -> bool:
    """Tell whether *body* has more than *limit* opening brackets; counting them all takes longer."""
    found = 0
    for bracket in (b"[", b"{"):
        position = body.find(bracket)
        while position >= 0:
            found += 1
            if found > limit:
                return True
            position = body.find(bracket, position + 1)
    return False


def _mark(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if _INTEGER.fullmatch(text) and (len(text) > 20 or abs(int(text)) > MAX_INTEGER):
        return _TOO_LARGE_JSON
    return text


def violation(request: Any, limits: Limits) -> str | None:
    """Return what limit *request*, a value that ``parse`` returned or a part of it, exceeds; None when none."""
    values: Iterable[Any] = [request]
    for depth in itertools.count(1):
        containers: list[Iterable[Any]] = []
        for value in values:
            kind = type(value)
            if kind is str:
                if value == _TOO_LARGE:
                    return "an integer is beyond 64 bits"
                if limits.string_length < len(value):
                    return f"a text is longer than {limits.string_length} characters"
            elif kind is list:
                containers.append(value)
            elif kind is dict:
                containers += (value.keys(), value.values())
        if not containers:
            break
        if depth > limits.depth:
            return f"nested deeper than {limits.depth} levels"
        values = itertools.chain.from_iterable(containers)
    return None
