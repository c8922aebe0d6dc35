"""Long bodies become values piece by piece, and the same values as in one piece."""

import json
import random
from typing import Any

import orjson
import pytest

from jsonrpc_tm.core.errors import ParseError
from jsonrpc_tm.rpc import body, pieces
from jsonrpc_tm.rpc.body import RequestLimits, parse, parse_long

LIMITS = RequestLimits(12, 200)


def _loads(text: bytes, around: int) -> Any:
    return orjson.loads(text)


PARSERS = pieces.Parsers(_loads, _loads)
LEAVES: tuple[Any, ...] = (0, -1.5, True, None, "", "é,]}", 'q"\\,{', "x" * 150, 2**63 - 1, 2**64, "y" * 201)


def _value(chance: random.Random, depth: int) -> Any:
    kind = chance.random()
    if depth and kind < 0.3:
        return [_value(chance, depth - 1) for _ in range(chance.randrange(8))]
    if depth and kind < 0.6:
        return {chance.choice("abc,]") * chance.randrange(9): _value(chance, depth - 1) for _ in range(6)}
    return chance.choice(LEAVES[:8] if chance.random() < 0.98 else LEAVES)


def _outcome(function: Any, body: bytes) -> Any:
    try:
        value, problem = function(body, LIMITS)
    except ParseError as error:
        return error.message
    return value, problem is None


def test_values_and_mistakes_are_those_of_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 64)
    chance = random.Random(1)
    whole = 0
    for _ in range(80):
        body = json.dumps(
            [_value(chance, 3), _value(chance, 3)], indent=chance.choice((None, 1)), ensure_ascii=False
        ).encode()
        assert _outcome(parse_long, body) == _outcome(parse, body)
        for _ in range(3):
            at = chance.randrange(len(body))
            wrong = body[:at] + chance.choice((b"", b",", b"]", b"}", b'"', b"[", b"\\", b"1", b" ")) + body[at + 1 :]
            assert _outcome(parse_long, wrong) == _outcome(parse, wrong), wrong
        try:
            pieces.in_pieces(body, PARSERS)
        except pieces.Unusual:
            whole += 1
    assert whole < 20, "most can be taken apart"


@pytest.mark.parametrize(
    "body",
    [b"[,]", b"[1,]", b"[ ,1]", b"{,}", b'{"a":1,}', b"[1}", b"[[1],2", b"", b"1", b"[1] 2", b'{"a"}', b'["a'],
    ids=repr,
)
def test_no_mistake_goes_by_between_pieces(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 2)
    with pytest.raises((pieces.Unusual, orjson.JSONDecodeError)):
        pieces.in_pieces(body, PARSERS)


@pytest.mark.parametrize(
    "value",
    [
        [f"{number:016}," for number in range(20_000)],
        dict.fromkeys(map(str, range(20_000)), "Processed"),
        [{"lfns": ["/a]", "/b}"], "n": {"x": [1, {}]}} for _ in range(5_000)],
        [1] * 100_000,
        [[[[[["x"]]]]]] * 10_000,
    ],
    ids=["texts", "names", "objects", "numbers", "deep"],
)
def test_nothing_is_long_for_the_parser(value: Any) -> None:
    sizes: list[int] = []

    def loads(text: bytes, around: int) -> Any:
        sizes.append(len(text))
        return orjson.loads(text)

    call = {"jsonrpc": "2.0", "id": 1, "method": "m", "params": [1, value, "x"]}
    assert pieces.in_pieces(orjson.dumps(call), pieces.Parsers(loads, loads)) == call
    assert max(sizes) <= pieces.PIECE + 2
    assert len(sizes) < 4 * sum(sizes) / pieces.PIECE, "not member by member"


@pytest.mark.parametrize("part", ['"', "\\", '\\"', "x", '"x', 'x\\"x', '""\\'], ids=repr)
def test_a_long_text_ends_where_it_does(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 8)
    for number in (*range(12), 300):
        for value in ([part * number, part * 5], {"a": part * number + "x", part * 9: "b" * 9 + part}):
            for levels in (value, [value, 1]):
                assert pieces.in_pieces(orjson.dumps(levels), PARSERS) == levels
            body = orjson.dumps(value)
            for other in (body[:-2], body[:-3] + b"\\" + body[-2:]):
                assert _outcome(parse_long, other) == _outcome(parse, other)


def test_a_limit_holds_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 16)
    for depth in range(1, 8):
        value = "x" * 20
        for _ in range(depth):
            value = [value, "x" * 20]  # type: ignore[assignment]
        body = orjson.dumps(value)
        for most in range(1, 8):
            limits = RequestLimits(most, 100)
            assert parse_long(body, limits) == parse(body, limits)


def test_brackets_are_not_counted_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_COUNTED", (1000, 0))
    member = b"[" * 5 + b'"[",' + b"[]," * 11_000 + b"1" + b"]" * 5
    with pytest.raises(pieces.Unusual):
        pieces.in_pieces(b"[%b,%b]" % (member, member), PARSERS)
    assert _outcome(parse_long, b"[%b,%b]" % (member, member)) == _outcome(parse, b"[%b,%b]" % (member, member))


def test_an_empty_list_is_a_level_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 8)
    body = b'{"a long name": []}'
    assert parse_long(body, RequestLimits(1, 200)) == parse(body, RequestLimits(1, 200))


def test_others_have_their_turn_after_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    monkeypatch.setattr(body, "give_way", lambda: turns.append(1))
    parse_long(orjson.dumps([["x" * pieces.PIECE] * 10, [1] * 10 * pieces.PIECE]), RequestLimits(2, pieces.PIECE))
    assert len(turns) >= 30
