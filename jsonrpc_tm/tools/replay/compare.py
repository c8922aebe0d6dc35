"""Judging an answer: where it differs from what a scenario expects.

The rules are those of the conformance corpus: objects by keys, lists in order unless said otherwise, numbers by value,
texts exactly, the reasons under ``Failed`` only by being texts, errors by their type.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...core.records import ReplayStep

SHOWN = 300
"""Longest text of a value in a difference, in characters."""


def differences(step: ReplayStep, answer: Mapping[str, Any]) -> list[str]:
    """Return in which points *answer*, a JSON-RPC response object, is not what the step expects; empty when it is.

    :param answer: ``{"result": …}`` or ``{"error": {…}}``; other members do not matter.
    """
    if "error" in answer:
        error = answer["error"]
        given = _error_type(error)
        if "error" in step.expected:
            wanted = step.expected["error"]["type"]
            return [] if given == wanted else [f"expected the error {wanted}, got {given}: {_message(error)}"]
        return [f"expected the result {show(step.expected['result'])}, got the error {given}: {_message(error)}"]
    if "result" not in answer:
        return [f"neither result nor error in {show(answer)}"]
    if "error" in step.expected:
        return [f"expected the error {step.expected['error']['type']}, got the result {show(answer['result'])}"]
    expected, result = step.expected["result"], answer["result"]
    match step.match:
        case None:
            found = _values(expected, result, "result", step.unordered)
        case "keys":
            found = _keys(expected, result)
        case "subset":
            found = _subset(expected, result, step.unordered)
        case _:
            found = _kinds(expected, result, "result")
    return list(found)


def show(value: Any) -> str:
    """Return *value* as JSON, cut when long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def _error_type(error: Any) -> str:
    data = error.get("data") if isinstance(error, dict) else None
    return data.get("type", "without type") if isinstance(data, dict) else "without type"


def _message(error: Any) -> str:
    if not isinstance(error, dict):
        return show(error)
    data = error.get("data")
    details = data.get("errors") if isinstance(data, dict) else None
    return str(error.get("message")) + (f" {show(details)}" if details else "")


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _kinds(expected: Any, given: Any, path: str) -> Iterator[str]:
    if _kind(expected) != _kind(given):
        yield f"{path}: expected {_article(_kind(expected))}, got {show(given)}"


def _article(kind: str) -> str:
    return kind if kind == "null" else f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _keys(expected: Any, given: Any) -> Iterator[str]:
    yield from _kinds(expected, given, "result")
    if isinstance(expected, dict) and isinstance(given, dict):
        yield from _same_keys(expected, given, "result")
        for key in expected.keys() & given.keys():
            yield from _kinds(expected[key], given[key], f"result.{key}")


def _subset(expected: Any, given: Any, unordered: bool) -> Iterator[str]:
    if not (isinstance(expected, dict) and isinstance(given, dict)):
        yield from _values(expected, given, "result", unordered)
        return
    for key, value in expected.items():
        if key in given:
            yield from _values(value, given[key], f"result.{key}", unordered)
        else:
            yield f"result: the key {show(key)} is missing"


def _same_keys(expected: Mapping[str, Any], given: Mapping[str, Any], path: str) -> Iterator[str]:
    for key in expected:
        if key not in given:
            yield f"{path}: the key {show(key)} is missing"
    for key in given:
        if key not in expected:
            yield f"{path}: unexpected key {show(key)} with {show(given[key])}"


def _values(expected: Any, given: Any, path: str, unordered: bool) -> Iterator[str]:
    kind = _kind(expected)
    if kind != _kind(given):
        yield f"{path}: expected {show(expected)}, got {show(given)}"
    elif kind == "object":
        yield from _objects(expected, given, path, unordered)
    elif kind == "array":
        yield from (_multisets if unordered else _lists)(expected, given, path)
    elif expected != given:
        yield f"{path}: expected {show(expected)}, got {show(given)}"


def _objects(expected: Mapping[str, Any], given: Mapping[str, Any], path: str, unordered: bool) -> Iterator[str]:
    yield from _same_keys(expected, given, path)
    per_item = expected.keys() == {"Successful", "Failed"}
    for key in expected:
        if key not in given:
            continue
        if per_item and key == "Failed" and isinstance(expected[key], dict) and isinstance(given[key], dict):
            yield from _reasons(expected[key], given[key], f"{path}.Failed")
        else:
            yield from _values(expected[key], given[key], f"{path}.{key}", unordered)


def _reasons(expected: Mapping[str, Any], given: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from _same_keys(expected, given, path)
    for key, value in given.items():
        if not isinstance(value, str):
            yield f"{path}.{key}: expected a text, got {show(value)}"


def _lists(expected: list[Any], given: list[Any], path: str) -> Iterator[str]:
    if len(expected) != len(given):
        yield f"{path}: expected {len(expected)} item(s), got {len(given)}"
    for index, (wanted, value) in enumerate(zip(expected, given, strict=False)):
        yield from _values(wanted, value, f"{path}[{index}]", False)
    for value in expected[len(given) :]:
        yield f"{path}: missing {show(value)}"
    for value in given[len(expected) :]:
        yield f"{path}: unexpected {show(value)}"


def _multisets(expected: list[Any], given: list[Any], path: str) -> Iterator[str]:
    left = list(given)
    for wanted in expected:
        for index, value in enumerate(left):
            if next(_values(wanted, value, path, True), None) is None:
                del left[index]
                break
        else:
            yield f"{path}: missing {show(wanted)}"
    for value in left:
        yield f"{path}: unexpected {show(value)}"
