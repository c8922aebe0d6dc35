"""Parsing, and the limits on what a request may hold."""

import json
import time
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from jsonrpc_tm.core.errors import InvalidRequest, ParseError
from jsonrpc_tm.rpc.body import Limits, parse, violation

LIMITS = Limits(depth=5, string_length=100)
LARGE = 2**63


def problem(body: bytes, limits: Limits = LIMITS) -> str | None:
    value, suspect = parse(body, limits)
    found = violation(value, limits)
    # what is not suspect has nothing to find: else the short way would let it pass
    assert suspect or found is None
    return found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"{'a':1}",
        b'{"a":1}x',
        b"01",
        b"+1",
        b"1.",
        b".5",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"[1e400]",
        b'"\x01"',
        b'"\\x"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'"\xc0\x80"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"\x00",
        b"nul",
        b"// {}",
    ],
)
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(ParseError, match=r"Parse error: not JSON at line \d+ column \d+"):
        parse(body, LIMITS)


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("digits", [str(LARGE), str(LARGE + 1), str(2**64 - 1), str(2**64), "9" * 20, "1" * 400])
@pytest.mark.parametrize("frame", ["%s", "[%s]", "[ %s]", '{"a":\n%s}', '{"a":[0,%s ,0]}', "[\t%s\r]", '["\\"", %s]'])
def test_integers_beyond_64_bits_are_found_anywhere(sign: str, digits: str, frame: str) -> None:
    assert problem((frame % (sign + digits)).encode()) == "an integer is beyond 64 bits"


@pytest.mark.parametrize(
    "text",
    [
        str(LARGE - 1),
        str(1 - LARGE),
        '"%s"' % ("9" * 30),
        '" %s"' % ("9" * 30),
        '",%s,"' % ("9" * 30),
        '"\\",%s,"' % ("9" * 30),
        '"\\\\"',
        "9" * 30 + ".5",
        "9" * 30 + "e2",
        "9" * 30 + "E-20",
        "0." + "9" * 30,
        "1e30",
    ],
)
def test_what_only_looks_like_a_large_integer_passes_unchanged(text: str) -> None:
    body = f"[{text}, 1]".encode()
    assert problem(body) is None
    assert parse(body, LIMITS)[0] == orjson.loads(body)


@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**70), 2**70),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(),
            st.integers(10**18, 10**40).map(str),
        ),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.sampled_from([None, 1, "\t"]),
)
def test_agrees_with_a_parser_of_exact_integers(value: Any, indent: Any) -> None:
    limits = Limits(depth=500, string_length=10**6)
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    body = text.encode("utf-8", "surrogatepass")

    def integers(one: Any) -> list[int]:
        if isinstance(one, dict):
            return integers(list(one.values()))
        if isinstance(one, list):
            return [number for item in one for number in integers(item)]
        return [one] if type(one) is int else []

    if any(abs(number) >= LARGE for number in integers(value)):
        assert problem(body, limits) == "an integer is beyond 64 bits"
    else:
        assert problem(body, limits) is None
        assert parse(body, limits)[0] == json.loads(text)


@pytest.mark.parametrize("levels", [1, 4, 5, 6, 7, 500, 1023, 1024])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth(levels: int, opening: str, closing: str) -> None:
    body = (opening * levels + "1" + closing * levels).encode()
    assert problem(body) == (None if levels <= 5 else "nested deeper than 5 levels")


@pytest.mark.parametrize("levels", [1025, 100_000])
def test_depth_beyond_the_parsers_own_limit(levels: int) -> None:
    with pytest.raises(InvalidRequest, match="nested deeper than 5 levels"):
        parse(b"[" * levels + b"]" * levels, LIMITS)


def test_brackets_in_texts_are_not_depth() -> None:
    assert problem(b'["[[[[[[[[[[{{{{{{{{"]') is None


@pytest.mark.parametrize("frame", ["%s", "[%s]", '{"a":[%s]}', "{%s:1}"])
def test_long_texts(frame: str) -> None:
    assert problem((frame % ('"%s"' % ("é" * 100))).encode()) is None
    assert problem((frame % ('"%s"' % ("é" * 101))).encode()) == "a text is longer than 100 characters"


def test_hostile_bodies_cost_linear_time() -> None:
    """Quotes, backslashes and digits that would make a backtracking expression explode."""
    unit = b'"\\\\' + b"9" * 19 + b",-" + b"9" * 25
    for body in (unit * 20_000, b'"' + b"\\\\" * 200_000 + b" " + b"9" * 25, b"[" + b" 9" * 200_000 + b"9" * 25):
        begin = time.process_time()
        with pytest.raises((ParseError, InvalidRequest)):
            parse(body, LIMITS)
        assert time.process_time() - begin < 10, "cost grows faster than the body"
