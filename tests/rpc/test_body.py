"""Parsing, and the limits on what a request may hold."""

import contextlib
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import example, given, settings

from jsonrpc_tm.core.errors import ParseError
from jsonrpc_tm.rpc.body import RequestLimits, excess, parse

LIMITS = RequestLimits(depth=5, string_length=100)
LARGE = 2**63


def problem(body: bytes, limits: RequestLimits = LIMITS) -> str | None:
    value, found = parse(body, limits)
    # the same is found in the value, as in an entry of a batch
    assert excess(value, limits) == found
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


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Return a number as JSON may write it, mostly with many digits."""
    digits = st.text("0123456789", max_size=25)
    integer = draw(
        st.sampled_from([str(LARGE - 1), str(LARGE), str(LARGE + 1), "9" * 19, "1" + "0" * 19, str(2**64), "0"])
        | st.builds(str.__add__, st.sampled_from("123456789"), digits)
    )
    fraction = draw(st.just("") | st.builds(str.__add__, st.sampled_from([".0", ".9"]), digits))
    exponent = draw(st.sampled_from(["", "", "e5", "E-20", "e+00000000000000000000"]))
    return draw(st.sampled_from(["", "-"])) + integer + fraction + exponent


TEXTS = st.lists(
    st.sampled_from(["\\\\", '\\"', "\\n", "\\u0022", "\\ud83d\\ude00", "[", "}", ",", ":", " ", "-", "é", ".5"])
    | st.integers(10**18, 10**21).map(str),
    max_size=5,
).map(lambda parts: '"' + "".join(parts) + '"')
SPACES = st.sampled_from(["", "", " ", "\n", "\t\r "])


def joined(parts: tuple[str, ...] | list[str]) -> str:
    return "".join(parts)


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    item = st.tuples(SPACES, inner, SPACES).map(joined)
    member = st.tuples(TEXTS, SPACES, st.just(":"), item).map(joined)
    return st.lists(item, max_size=4).map(lambda items: "[" + ",".join(items) + "]") | st.lists(member, max_size=4).map(
        lambda members: "{" + ",".join(members) + "}"
    )


def slowly(text: str, limits: RequestLimits) -> set[str]:
    """Return all that *text* exceeds, looked at value by value."""
    found = set()

    def look(value: Any, depth: int) -> None:
        if type(value) is int and abs(value) >= LARGE:
            found.add("an integer is beyond 64 bits")
        if isinstance(value, str) and len(value) > limits.string_length:
            found.add(f"a text is longer than {limits.string_length} characters")
        if isinstance(value, list | tuple):
            if depth > limits.depth:
                found.add(f"nested deeper than {limits.depth} levels")
            for one in value:
                # the members of an object, as pairs
                for item in one if type(value) is tuple else [one]:
                    look(item, depth + 1)

    look(json.loads(text, object_pairs_hook=tuple), 1)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(numbers() | TEXTS | st.sampled_from(["null", "true", "false"]), containers, max_leaves=25),
    st.integers(1, 6),
    st.integers(0, 40),
)
def test_agrees_with_a_plain_reference(text: str, depth: int, length: int) -> None:
    limits = RequestLimits(depth, length)
    expected = slowly(text, limits)
    value, found = parse(text.encode(), limits)
    assert found in (expected or {None})
    exact = json.loads(text)
    if found is None:
        assert value == exact
    # an object may have a member twice, of which only the last is in the value
    assert excess(value, limits) in (slowly(json.dumps(exact), limits) or {None})


@pytest.mark.parametrize("levels", [1, 4, 5, 6, 7, 500, 1023, 1024])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth(levels: int, opening: str, closing: str) -> None:
    body = (opening * levels + "1" + closing * levels).encode()
    assert problem(body) == (None if levels <= 5 else "nested deeper than 5 levels")


@pytest.mark.parametrize("levels", [255, 256, 1000, 1024])
def test_depth_beyond_what_can_be_written(levels: int) -> None:
    assert parse(b"[" * levels + b"]" * levels, LIMITS)[1] == excess(
        orjson.loads(b"[" * levels + b"]" * levels), LIMITS
    )


DEEP = b"[" * 1_500 + b"]" * 1_500


@pytest.mark.parametrize(
    ("body", "readable"),
    [
        (b'{"id":7,"params":%b}', {"id": 7, "params": {}}),
        (b'{"params":%b,"id":"]}\\""}', {"id": ']}"', "params": {}}),
        (
            b' {"a":"[{\\\\","id":7.5,"params":[{"id":%b}],"b":{},"c":1}\n',
            {"a": "[{\\", "id": 7.5, "params": {}, "c": 1},
        ),
        (b'{"id":%b}', {"id": {}}),
        (b"[%b]", None),
        (b"%b", None),
        (b'{"id":7,"params":%b', None),
        (b'{"id":7,"params":[[[%b}', {"id": 7, "params": {}}),
        (b'{"id":7,"params":%b,}', None),
        (b'{"id":7,"params":%b}x', None),
        (b'{"id":7,"params":%b,"x":"', None),
    ],
)
def test_what_can_be_read_of_bodies_deeper_than_the_parser_goes(body: bytes, readable: Any) -> None:
    assert parse(body % DEEP, LIMITS) == (readable, "nested deeper than 5 levels")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"id":7,"a":' + b"[" * 2000 + b"}"])
def test_deep_bodies_that_never_close(body: bytes) -> None:
    assert parse(body, LIMITS) == (None, "nested deeper than 5 levels")


def test_too_large_integers_stay_too_large() -> None:
    value, _ = parse(b'{"id":-18446744073709551616,"x":1e30,"y":[1,-9223372036854775808]}', LIMITS)
    assert abs(value["id"]) >= LARGE and type(value["id"]) is int
    assert (value["x"], value["y"][0]) == (1e30, 1)


@pytest.mark.parametrize("number", ["1" * 25, "-" + "9" * 19, '"%s"' % ("1" * 25)])
@pytest.mark.parametrize("frame", ['{"a":%s, x}', "[%s", "%s 1", '["%s', "[%s,]", "[0%s]", "[-%s.]", "\n\n[%s x]"])
def test_the_place_of_a_mistake_is_that_in_the_body_as_sent(frame: str, number: str) -> None:
    body = (frame % number).encode()
    with pytest.raises(orjson.JSONDecodeError) as mistake:
        orjson.loads(body)
    with pytest.raises(ParseError, match=f"line {mistake.value.lineno} column {mistake.value.colno}$"):
        parse(body, LIMITS)


def test_brackets_in_texts_are_not_depth() -> None:
    assert problem(b'["[[[[[[[[[[{{{{{{{{"]') is None


@pytest.mark.parametrize("frame", ["%s", "[%s]", '{"a":[%s]}', "{%s:1}"])
def test_long_texts(frame: str) -> None:
    assert problem((frame % ('"%s"' % ("é" * 100))).encode()) is None
    assert problem((frame % ('"%s"' % ("é" * 101))).encode()) == "a text is longer than 100 characters"


@settings(max_examples=90, deadline=None)
@example("--9223372036854775808")
@example("1-9223372036854775808")
@example("0009223372036854775808")
@given(
    st.lists(
        st.sampled_from(
            ["[", "]", "{", "}", ",", ":", "-", "+", ".", "e", '"', "\\", " ", "\n", "0", "00", "1", "true", '"a":']
        )
        | numbers()
        | TEXTS,
        max_size=12,
    ).map(joined)
)
def test_mistakes_are_those_that_the_parser_finds(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as mistake:
        with pytest.raises(ParseError, match=f"line {mistake.lineno} column {mistake.colno}$"):
            parse(text.encode(), LIMITS)
    else:
        parse(text.encode(), LIMITS)


# what costs most to look through: many small values, each with what makes the short way impossible
WORST = {
    "numbers": (b"1,", b"1" * 19),
    "numbers, one too large": (b"1,", b"1" * 20),
    "objects": (b"{},", b"1" * 20),
    "members": (b'{"a":1},', b"1" * 20),
    "empty texts": (b'"",', b"1" * 20),
    "digits in texts": (b'" 1111111111111111111",', b"1"),
    "fractions": (b"0.1111111111111111111,", b"1"),
    "long numbers": (b"1111111111111111111,", b"1"),
    "too large numbers": (b"11111111111111111111,", b"1"),
    "one long number": (b"1", b"1"),
    "one long fraction": (b"1", b"1"),
    "one long text": (b"1", b'","'),
    "backslashes": (b"\\\\", b'","' + b"1" * 19),
    "quotes": (b'"\\"",', b"1" * 20),
    "brackets in texts": (b'["["],', b"1"),
    "levels": (b"[" * 60 + b"]" * 60 + b",", b"1"),
}
MALFORMED = [
    b'"',
    rb"\"",
    b"-",
    b"0",
    b"1-",
    b"1.",
    b"1e",
    b"-0",
    b"[1 ",
    b'"a" ',
    b"\\",
    b"-" + b"1" * 20,
    b"1" * 20 + b"-",
]
PLENTY = RequestLimits(depth=64, string_length=2**20)


def worst(name: str, size: int) -> bytes:
    unit, last = WORST[name]
    around = {"one long text": (b'"', b'"'), "backslashes": (b'"', b'"'), "one long fraction": (b"0.", b"")}
    before, after = around.get(name, (b"", b""))
    return b'{"params":[' + before + unit * (size // len(unit)) + last + after + b"]}"


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Keep Python's collector of garbage out of what is measured: it looks at all objects, again and again."""
    gc.disable()
    yield
    gc.enable()


def counted_calls(work: Callable[[], Any]) -> int:
    """Return how many functions *work* calls, those written in C included."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event.endswith("call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("name", WORST)
def test_a_larger_body_takes_no_more_calls(name: str) -> None:
    for size in (20_000, 80_000):
        body = worst(name, size)
        # but for one or two an integer that is too large
        most = 200 + (2 * body.count(b"1" * 20 + b",") if name == "too large numbers" else 0)
        assert counted_calls(lambda body=body: parse(body, PLENTY)) < most
        value, _ = parse(body, PLENTY)
        assert counted_calls(lambda value=value: excess(value, PLENTY)) < 200


def grows(make: Callable[[int], bytes]) -> float:
    """Return how much longer four times the body takes: 4 when cost is linear, 16 when it is quadratic."""

    def cost(size: int) -> float:
        body = make(size)
        begin = time.process_time()
        with contextlib.suppress(ParseError):
            parse(body, PLENTY)
        return time.process_time() - begin

    return min(cost(400_000) for _ in range(3)) / min(cost(100_000) for _ in range(3))


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("name", WORST)
def test_cost_grows_with_the_body_and_not_faster(name: str) -> None:
    assert grows(lambda size: worst(name, size)) < 10


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("unit", MALFORMED)
@pytest.mark.parametrize("first", [b"", b'"'])
def test_also_of_malformed_bodies(first: bytes, unit: bytes) -> None:
    assert grows(lambda size: first + unit * (size // len(unit)) + b" " + b"1" * 20) < 10


@pytest.mark.parametrize("name", WORST)
def test_looking_takes_no_more_memory_than_parsing(name: str) -> None:
    def peak(work: Callable[[bytes], Any]) -> int:
        tracemalloc.start()
        try:
            work(body)
        except orjson.JSONDecodeError:  # an integer beyond double precision
            pass
        finally:
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    body = worst(name, 200_000)
    assert peak(lambda body: parse(body, PLENTY)) < peak(orjson.loads) + 20 * len(body)
