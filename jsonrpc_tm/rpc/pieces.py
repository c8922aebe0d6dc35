"""A long body becomes values piece by piece: one step of a parser in C, 10 MB at a time, would stop all other threads.

A piece is some whole members of one array or object. Where it ends is found with simple expressions; whether it does
is proved by orjson, which parses the piece as an array or object of its own: a member that parses from its beginning
ends where it ends. Whatever is unusual is left to orjson as a whole, which knows what is wrong.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..core.garbage import Long

Body = bytes | bytearray
PIECE = 32 * 1024
"""Bytes of a piece, if no text in it is longer: it is parsed in about a millisecond, at most three."""
# arrays and objects around a piece: each may be looked at once more for each that is around it
_DEEPEST = 5
_BLANK = rb"[ \t\r\n]*+"
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = re.compile(rb'(?:(?:[^"\[\]{},]++|%b)*+,)*+' % _TEXT, re.DOTALL)
_UNTIL_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|%b)*+([\[\]{}]|"|\Z)' % _TEXT, re.DOTALL)
_KEY = re.compile(rb"%b(%b)%b:%b" % (_BLANK, _TEXT, _BLANK, _BLANK), re.DOTALL)
_PART_OF_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_NEXT = re.compile(_BLANK)
_ARRAY, _OBJECT = b"[{"
_BRACKETS = b"[", b"]", b"{", b"}"
_WHITE = b" \t\r\n"
# quotes of a text, and backslashes before one, up to which the end is looked for in a sixtieth of the expression's time
_ESCAPED, _SLASHES = 100, 50
# places where a piece probably ends that are tried before one is found by counting brackets
_GUESSES = 5
# brackets that are counted in vain: so many, and a part of the bytes. What needs more was written to take long
_COUNTED = (_DEEPEST + 1) * PIECE, 1 / 50
_CLOSING = {_ARRAY: b"]", _OBJECT: b"}"}


class Unusual(Exception):
    """This text has no pieces: malformed, perhaps."""


@dataclass(frozen=True, slots=True)
class Parsers:
    """What makes values of pieces.

    :param piece: returns the value of an array or object; is told how many are around it.
    :param text: returns the value of a text; is told how many arrays and objects are around it.
    :param long: gets the arrays and objects that are made of pieces, each before those in it.
    :param vain: how many brackets were counted in vain, for one text.
    """

    piece: Callable[[Body, int], Any]
    text: Callable[[Body, int], str]
    long: list[Long] = field(default_factory=list)
    vain: list[int] = field(default_factory=lambda: [0])


def in_pieces(text: Body, parse: Parsers) -> Any:
    """Return the value that *text* is.

    :raises Unusual: *text* is malformed, or too deep, or no array or object.
    """
    begin = _after_blank(text, 0)
    if not text.startswith((b"[", b"{"), begin):
        raise Unusual
    value, end = _members(text, begin, 0, Parsers(parse.piece, parse.text, parse.long))
    if _after_blank(text, end) != len(text):
        raise Unusual
    return value


def _after_blank(text: Body, at: int) -> int:
    found = _NEXT.match(text, at)
    assert found is not None
    return found.end()


def _members(text: Body, begin: int, depth: int, parse: Parsers) -> tuple[Any, int]:
    """Return the array or object that begins here, and where it ends."""
    if depth > _DEEPEST:
        raise Unusual
    opening = text[begin]
    made: Any = [] if opening == _ARRAY else {}
    parse.long.append(long := Long(made, 0))
    add = made.extend if opening == _ARRAY else made.update
    brackets = b"%c%%b%b" % (opening, _CLOSING[opening])
    at = begin + 1
    while True:
        long.pieces += 1
        for end, last in _ends(text, at, parse.vain):
            if text[at:end].strip(_WHITE):
                with contextlib.suppress(orjson.JSONDecodeError):
                    add(parse.piece(brackets % text[at:end], depth))
                    break
            elif last and at == begin + 1:
                parse.piece(brackets % b"", depth)
                break
        else:
            end, last = _long_member(text, at, made, depth, parse)
        if last:
            if not text.startswith(_CLOSING[opening], end):
                raise Unusual
            return made, end + 1
        at = end + 1


def _ends(text: Body, at: int, vain: list[int]) -> Iterator[tuple[int, bool]]:
    """Give where some whole members may end: at a comma; or at a bracket, which makes them the last."""
    window = text[at : at + PIECE]
    end = window.rfind(b",")
    for _ in range(_GUESSES):
        if end <= 0:
            break
        counts = [window.count(bracket, 0, end) for bracket in _BRACKETS]
        if counts[0] == counts[1] and counts[2] == counts[3]:
            yield at + end, False
        end = max(window.rfind(b"],", 0, end), window.rfind(b"},", 0, end)) + 1
    depth = end = counted = 0
    for found in _UNTIL_BRACKET.finditer(window):
        counted += 1
        bracket = found[1]
        if bracket in (b"[", b"{"):
            depth += 1
        elif bracket not in (b"]", b"}"):
            break
        elif depth:
            depth -= 1
            end = end if depth else found.end()
        else:
            yield at + found.start(1), True
            return
    if not end:
        vain[0] += counted
        if vain[0] > _COUNTED[0] + len(text) * _COUNTED[1]:
            raise Unusual
    elif window.startswith(b",", end := _after_blank(window, end)):
        yield at + end, False
    flat = _FLAT.match(window)
    assert flat is not None
    if flat.end():
        yield at + flat.end() - 1, False


def _long_member(text: Body, at: int, made: Any, depth: int, parse: Parsers) -> tuple[int, bool]:
    """Add a member that is longer than a piece; return where it ends, and whether it is the last."""
    key = None
    if type(made) is dict:
        name = _KEY.match(text, at)
        if name is None:
            raise Unusual
        key, at = parse.text(name[1], depth + 1), name.end()
    else:
        at = _after_blank(text, at)
    if text.startswith((b"[", b"{"), at):
        value, end = _members(text, at, depth + 1, parse)
    elif text.startswith(b'"', at):
        end = _text_end(text, at)
        value = parse.text(text[at:end], depth + 1)
    else:
        raise Unusual
    if key is None:
        made.append(value)
    else:
        made[key] = value
    end = _after_blank(text, end)
    return end, not text.startswith(b",", end)


def _text_end(text: Body, at: int) -> int:
    """Return where the text that begins here ends, in steps that are short."""
    at += 1
    for _ in range(_ESCAPED):
        end = text.find(b'"', at)
        if end < 0:
            raise Unusual
        before = text[max(at, end - _SLASHES) : end]
        slashes = len(before) - len(before.rstrip(b"\\"))
        if slashes == _SLASHES:
            break
        if slashes % 2 == 0:
            return end + 1
        at = end + 1
    while True:
        found = _PART_OF_TEXT.match(text, at, at + PIECE)
        assert found is not None
        end = found.end()
        if text.startswith(b'"', end):
            return end + 1
        if end == at:
            raise Unusual
        at = end
