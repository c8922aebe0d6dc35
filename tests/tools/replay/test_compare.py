"""What counts as the same answer."""

import pytest

from jsonrpc_tm.tools.replay.compare import differences

from .samples import step


def equal(expected: object, given: object, **how: object) -> bool:
    return not differences(step(result=expected, **how), {"result": given})


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        (1, 1.0),
        (1.0, 1),
        (None, None),
        ("é", "é"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1, [2, {"a": []}]], [1, [2, {"a": []}]]),
        ({"Successful": {"a": 1}, "Failed": {"b": "no such file"}}, {"Successful": {"a": 1}, "Failed": {"b": "gone"}}),
        ({"Successful": [], "Failed": []}, {"Successful": [], "Failed": []}),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_same(expected: object, given: object) -> None:
    assert equal(expected, given)


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        (1, True),
        (0, False),
        (True, 1),
        (1, "1"),
        (None, 0),
        (None, ""),
        (None, False),
        ("a", "A"),
        ("a", "a "),
        (1, 2),
        ([], {}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ([1, 1], [1]),
        ({"a": 1}, {}),
        ({}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}),
        (2**63 - 1, 2**63 - 2),
        ({"Successful": {}, "Failed": {"b": "x"}}, {"Successful": {}, "Failed": {}}),
        ({"Successful": {}, "Failed": {}}, {"Successful": {}, "Failed": {"b": "x"}}),
        ({"Successful": {}, "Failed": {"b": "x"}}, {"Successful": {}, "Failed": {"b": 1}}),
        ({"Successful": {"b": "x"}, "Failed": {}}, {"Successful": {"b": "y"}, "Failed": {}}),
        ({"Successful": {}, "Failed": []}, {"Successful": {}, "Failed": {}}),
        ({"Added": 1, "Successful": {}, "Failed": {"b": "x"}}, {"Added": 1, "Successful": {}, "Failed": {"b": "y"}}),
    ],
)
def test_not_the_same(expected: object, given: object) -> None:
    assert not equal(expected, given)


def test_unordered_lists_are_multisets_at_every_depth() -> None:
    assert equal([1, 2, 2], [2, 1, 2], unordered=True)
    assert equal({"a": [{"b": [1, 2]}, 3]}, {"a": [3, {"b": [2, 1]}]}, unordered=True)
    assert not equal([1, 2, 2], [2, 1, 1], unordered=True)
    assert not equal([1, 2], [1], unordered=True)
    assert not equal([1], [1, 2], unordered=True)
    assert not equal([1], [True], unordered=True)


def test_match_keys_looks_at_types_only() -> None:
    assert equal({"a": 1, "b": "x", "c": {}}, {"a": 2.5, "b": "y", "c": {"z": 1}}, match="keys")
    assert equal("x", "y", match="keys")
    assert not equal({"a": 1}, {"a": "1"}, match="keys")
    assert not equal({"a": 1}, {"a": None}, match="keys")
    assert not equal({"a": True}, {"a": 1}, match="keys")
    assert not equal({"a": 1}, {"a": 1, "b": 1}, match="keys")
    assert not equal({"a": 1}, {}, match="keys")
    assert not equal({}, [], match="keys")


def test_match_subset_allows_more() -> None:
    assert equal({"a": 1}, {"a": 1, "b": 2}, match="subset")
    assert not equal({"a": 1}, {"b": 2}, match="subset")
    assert not equal({"a": 1}, {"a": 2}, match="subset")
    assert not equal({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, match="subset")
    assert not equal({"a": 1}, [1], match="subset")
    assert not equal({"a": [1, 2]}, {"a": [2, 1]}, match="subset")
    assert equal({"a": [1, 2]}, {"a": [2, 1]}, match="subset", unordered=True)


def test_match_present_looks_at_the_type() -> None:
    assert equal({"a": 1}, {}, match="present")
    assert not equal({}, None, match="present")
    assert not equal(1, True, match="present")


def test_errors_compare_by_type() -> None:
    wanted = step(error={"type": "NotFound"})
    assert not differences(wanted, {"error": {"code": -32004, "message": "gone", "data": {"type": "NotFound"}}})
    assert differences(wanted, {"error": {"code": -32003, "message": "no", "data": {"type": "Forbidden"}}}) == [
        "expected the error NotFound, got Forbidden: no"
    ]
    assert differences(wanted, {"result": None}) == ["expected the error NotFound, got the result null"]
    assert differences(wanted, {"error": {"code": -32004, "message": "gone"}})
    assert differences(wanted, {"error": "NotFound"})
    assert differences(wanted, {})


def test_an_error_instead_of_a_result_is_told_with_its_details() -> None:
    error = {"message": "Invalid parameters", "data": {"type": "InvalidParams", "errors": {"a": ["Not a string."]}}}
    [text] = differences(step(result=1), {"error": error})
    assert text == 'expected the result 1, got the error InvalidParams: Invalid parameters {"a": ["Not a string."]}'


def test_differences_name_the_place() -> None:
    assert differences(step(result={"a": [1, {"b": 2}]}), {"result": {"a": [1, {"b": 3}]}}) == [
        "result.a[1].b: expected 2, got 3"
    ]
    assert differences(step(result=[1]), {"result": [1, 5]}) == [
        "result: expected 1 item(s), got 2",
        "result: unexpected 5",
    ]


def test_long_values_are_cut() -> None:
    [text] = differences(step(result="a" * 1000), {"result": ""})
    assert "(1002 characters)" in text
    assert len(text) < 500
