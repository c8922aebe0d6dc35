"""Texts become the JSON values they were; nothing is evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jsonrpc_tm.tools.adopt.values import Unreadable, asked, dumps, literal, parameter


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("x", "StringType", "x"),
        ("5", "StringType", "5"),
        ("['a']", "StringType", "['a']"),
        ("", "StringType", ""),
        ("5", "IntType", 5),
        ("-5000000000L", "LongType", -5000000000),
        ("1.5", "FloatType", 1.5),
        ("True", "BooleanType", True),
        ("['a', (1, None)]", "ListType", ["a", [1, None]]),
        ("{'a': {'b': u'c'}}", "DictType", {"a": {"b": "c"}}),
        ('{"a": 1}', "JSON", {"a": 1}),
    ],
)
def test_parameters(text, kind, value):
    assert parameter(text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("many", "IntType"),
        ("9223372036854775808", "IntType"),
        ("9" * 5000, "IntType"),
        ("nan", "FloatType"),
        ("__import__('os')", "DictType"),
        ("{1: 2}", "DictType"),
        ("b'x'", "ListType"),
        ("[" * 10000, "ListType"),
        ("{", "JSON"),
    ],
)
def test_what_is_not_of_its_type_is_unreadable(text, kind):
    with pytest.raises(Unreadable):
        parameter(text, kind)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("7", "Integer", 7),
        ("7;;;8", "Integer", [7, 8]),
        ("1.5", "Integer", 1.5),
        ("a", "String", "a"),
        ("1.5", "String", "1.5"),
        ("a;;;b;c", "String", ["a", "b;c"]),
        ("", "String", ""),
        ("{'>=': 5, 'in': [1L, 20000000000L], '=': 'x'}", "Dict", {">=": 5, "in": [1, 20000000000], "=": "x"}),
    ],
)
def test_queries(text, kind, value):
    assert asked("field", text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("seven", "Integer"),
        ("9" * 5000, "Integer"),
        ("{'~': 5}", "Dict"),
        ("{}", "Dict"),
        ("datetime.now()", "Dict"),
        ("{'in': []}", "Dict"),
    ],
)
def test_queries_that_nobody_can_ask_are_unreadable(text, kind):
    with pytest.raises(Unreadable):
        asked("field", text, kind)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_the_python_text_of_any_json_value_is_read(value):
    assert literal(repr(value)) == value


@given(st.text())
def test_any_other_text_is_read_or_refused(text):
    try:
        value = literal(text)
    except Unreadable:
        return
    dumps(value)
