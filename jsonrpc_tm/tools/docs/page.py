"""The reference page of all methods, made from the server's own description; examples are steps of scenarios."""

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from ...app import Plugins
from ...core.records import ReplayStep
from ...rpc.method import Method
from ...rpc.service import Service
from ..replay.scenario import Scenario

EXAMPLE, LONGEST_EXAMPLE = 700, 2000
"""Characters of call and answer together: of an example, and of one where no step is shorter."""
_ENOUGH = 24
"""More different words and numbers do not make a call, or a result, more telling."""
_HEAD = """# Methods

<!-- made by `make docs`; do not edit -->

Parameters without a default are required; all can be given by position or by name. A method marked ✎ needs the right
on the transformation `transName`: `ProductionManagement`, or `ProductionSharing` in its group, or `ProductionUser` as
its author. `transName` is a transformation's id, its id as text, or its name. Beside the errors named here any call may
end with `InvalidParams`, `Unauthenticated`, `Forbidden`, `StorageUnavailable` or `InternalError`.

Examples are calls as they go over the wire, and the answers to them.
"""


def signature(entry: Mapping[str, Any]) -> str:
    """Return ``name(parameter, optional=default)`` for a method of an OpenRPC document.

    A parameter may be left out without having a value that means the same: ``expected=absent``.
    """
    words = []
    for param in entry["params"]:
        schema = param.get("schema", {})
        default = json.dumps(schema["default"], ensure_ascii=False) if "default" in schema else "absent"
        words.append(param["name"] if param.get("required") else f"{param['name']}={default}")
    return f"{entry['name']}({', '.join(words)})"


def kind(schema: Mapping[str, Any]) -> str:
    """Return a JSON Schema's type in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(part) for part in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(json.dumps(item) for item in schema["enum"])
    types = schema.get("type", "any value")
    names = [types] if isinstance(types, str) else types
    of = f" of {kind(schema['items'])}" if "array" in names and "items" in schema else ""
    return " or ".join(name + of if name == "array" else name for name in names)


def outcome(result: Mapping[str, Any]) -> str:
    """Return what a method gives, in words; a plugin may have said no more than the type."""
    return result.get("description") or kind(result.get("schema", {}))


def methods_page(service: Service, plugins: Plugins, scenarios: Iterable[Scenario] = ()) -> str:
    """Return the page, in Markdown.

    :param service: need not be open.
    :param plugins: those that it was made of; their docstrings say what a topic is called.
    :param scenarios: where examples are taken from.
    """
    entries = {entry["name"]: entry for entry in service.document["methods"]}
    examples = _examples(scenarios)
    lines = [_HEAD]
    for _, methods in groupby(service.registry, key=lambda method: service.registry.origins[method.name]):
        together = list(methods)
        lines.append(f"## {_topic(service, plugins, together[0])}\n")
        for method in together:
            lines += _method(entries[method.name], examples.get(method.name))
    return "\n".join(lines).rstrip() + "\n"


def _topic(service: Service, plugins: Plugins, method: Method) -> str:
    """Return the title in the docstring of the method's plugin: what stands before the first stop."""
    name, _, _ = service.registry.origins[method.name].partition(" ")
    doc = inspect.getdoc(plugins.manager.get_plugin(name)) or name
    return _code(re.split(r"[:;(]|\.(\s|$)", doc, maxsplit=1)[0].strip())


def _method(entry: Mapping[str, Any], example: tuple[str, str, str] | None) -> Iterator[str]:
    yield f"### `{signature(entry)}`{' ✎' if entry['x-right'] else ''}\n"
    text, errors = docstring(entry["description"])
    yield f"{text}\n"
    if entry["params"]:
        yield "| parameter | type | |\n| --- | --- | --- |"
        for param in entry["params"]:
            yield f"| `{param['name']}` | {_cell(kind(param['schema']))} | {_cell(param.get('description', ''))} |"
        yield ""
    yield f"Result: {_code(outcome(entry['result']))}.\n"
    effect = "It changes something" if entry["x-changes"] else "It only reads"
    yield f"Open to: {_rule(entry['x-rule'])}. {effect}.\n"
    if errors:
        yield "Errors:\n"
        yield from (f"- `{name}`: {what}" for name, what in errors)
        yield ""
    if example is not None:
        caller, call, answer = example
        yield f"Called by `{caller}`:\n\n```json\n{call}\n{answer}\n```\n"


def docstring(doc: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the prose of a docstring, and the errors it names with their reasons."""
    prose, *tagged = re.split(r"^:", doc, flags=re.MULTILINE)
    raised = (re.match(r"raises (\w+): (.*)", part, flags=re.DOTALL) for part in tagged)
    errors = [(found[1], _code(" ".join(found[2].split()))) for found in raised if found]
    # a single * is emphasis in both, so parameters in prose need no change
    return _code(prose.strip()), errors


def _code(text: str) -> str:
    return text.replace("``", "`")


def _cell(text: str) -> str:
    return _code(text).replace("|", "\\|").replace("\n", " ")


def _rule(rule: str | list[str]) -> str:
    if isinstance(rule, str):
        return {"all": "anyone", "authenticated": "every authenticated caller"}[rule]
    return "callers with " + " or ".join(f"`{name}`" for name in rule)


def _examples(scenarios: Iterable[Scenario]) -> dict[str, tuple[str, str, str]]:
    """Return for each method its most telling step that is not too long: the caller, the call, the answer."""
    best: dict[str, tuple[tuple[bool, bool, int, int, str], tuple[str, str, str]]] = {}
    for scenario in scenarios:
        for step in scenario.steps:
            if "result" not in step.expected or step.match == "present":
                continue
            call, answer = _wire(step)
            size = len(call) + len(answer)
            asked, given = (min(len(set(_said(what))), _ENOUGH) for what in (step.params, step.expected["result"]))
            by_name = 3 * isinstance(step.params, dict)  # names say what is meant
            rank = (size > EXAMPLE, not given, -asked - given - by_name, size, call)
            if size <= LONGEST_EXAMPLE and (step.method not in best or rank < best[step.method][0]):
                best[step.method] = rank, (step.caller, call, answer)
    return {name: example for name, (_, example) in best.items()}


def _said(value: Any) -> Iterator[str]:
    """Yield the names and values in a JSON value, but for those that say nothing; the first items stand for a list."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value[:3]:
            yield from _said(item)
    elif value not in (None, "", 0):
        yield str(value)


def _wire(step: ReplayStep) -> tuple[str, str]:
    head: dict[str, Any] = {"jsonrpc": "2.0", "id": 1}
    params = {} if step.params is None else {"params": step.params}
    call = {**head, "method": step.method, **params}
    return json.dumps(call, ensure_ascii=False), json.dumps({**head, **step.expected}, ensure_ascii=False)
