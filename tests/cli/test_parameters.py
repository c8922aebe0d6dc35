"""How the words of ``jsonrpc-tm call`` become parameters."""

import io

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jsonrpc_tm.cli.call import read_parameters, value
from jsonrpc_tm.tools.docs.page import kind, signature


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], []),
        (["transName=12"], {"transName": 12}),
        (["transName=t 1", "extraParams=true"], {"transName": "t 1", "extraParams": True}),
        (['transName="12"'], {"transName": "12"}),
        (["body="], {"body": ""}),
        (["body=a=b\nc"], {"body": "a=b\nc"}),
        (['lfns=["/a", "/b"]', "x=null"], {"lfns": ["/a", "/b"], "x": None}),
        (["x=NaN", "y=-Infinity", "z=[1"], {"x": "NaN", "y": "-Infinity", "z": "[1"}),
        (['{"transName": 1}'], {"transName": 1}),
        (['["t", 1]'], ["t", 1]),
        (["12"], [12]),
        (["hello"], ["hello"]),
        (["/vo/a=b"], ["/vo/a=b"]),
        (["t", "5", "[1]"], ["t", 5, [1]]),
        (["[1]", "[2]"], [[1], [2]]),
        (["x=9223372036854775808"], {"x": 9223372036854775808}),
    ],
)
def test_words(words, expected):
    assert read_parameters(words) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a=1", "5"], "by name or by position, not both: '5' has no name"),
        (["a=1", "a=2"], "The parameter a is there twice"),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises(click.UsageError, match=message):
        read_parameters(words)


def test_standard_input(monkeypatch):
    def given(text: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))

    given(b'{"lfns": ["/a"]}\n')
    assert read_parameters(["-"]) == {"lfns": ["/a"]}
    given(b"5")
    with pytest.raises(click.UsageError, match="Standard input must have a JSON object or array"):
        read_parameters(["-"])


@given(st.text().filter(lambda text: not text.startswith(("@", "text@", "text:"))))
def test_every_text_is_a_value(text):
    found = value(text)
    assert found == text or not isinstance(found, str) or text.strip().startswith('"')


def test_deep_json_is_a_text():
    assert value("[" * 100_000) == "[" * 100_000


def test_signature():
    params = [
        {"name": "transName", "required": True, "schema": {}},
        {"name": "limit", "schema": {"default": None}},
        {"name": "site", "schema": {"default": ""}},
    ]
    assert signature({"name": "m", "params": params}) == 'm(transName, limit=null, site="")'


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "any value"),
        ({"type": "integer", "minimum": 0}, "integer"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}, "string or array of string"),
        ({"type": "string", "enum": ["Input", "Output"]}, '"Input" or "Output"'),
    ],
)
def test_types_in_words(schema, expected):
    assert kind(schema) == expected
