"""Nothing is forgotten: methods have schemas, rules, words, a page and scenarios; hooks and settings are documented."""

import inspect
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from jsonrpc_tm.app import build_service
from jsonrpc_tm.core.fields import Any_
from jsonrpc_tm.hookspecs import Hooks
from jsonrpc_tm.rpc.method import Method
from jsonrpc_tm.tools.docs.page import methods_page, signature
from jsonrpc_tm.tools.replay import targets
from jsonrpc_tm.tools.replay.scenario import load
from jsonrpc_tm.tools.testing.configuration import configure

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SCENARIOS = load([ROOT / "tests" / "conformance"])
# what ships but does nothing until it is enabled
ENABLED = {"audit_log.enabled": True}
settings, plugins = configure({"storage.url": "sqlite://:memory:", **ENABLED})
SERVICE = build_service(settings, plugins=plugins)
METHODS = list(SERVICE.registry)
SHIPPED = {name for name, origin in plugins.provenance.items() if origin.kind == "shipped"}
CATALOG = {f"catalog.{name}" for name in ("addFields", "addFiles", "setMetadata", "remove", "find", "get")}

every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


def plugin(method: Method) -> str:
    return SERVICE.registry.origins[method.name].partition(" ")[0]


def steps() -> dict[str, set[str]]:
    """The kinds of outcome that scenarios expect, by method."""
    outcomes: dict[str, set[str]] = defaultdict(set)
    for scenario in SCENARIOS:
        for step in scenario.steps:
            outcomes[step.method].add("result" if "result" in step.expected else step.expected["error"]["type"])
    return outcomes


def test_every_method_of_the_specification_is_there() -> None:
    described = [s.expected["result"] for c in SCENARIOS for s in c.steps if s.method == "rpc.discover"]
    specified = {entry["name"] for document in described for entry in document["methods"]}
    assert len(specified) == 48
    assert {method.name for method in METHODS} >= specified | CATALOG


@every_method
def test_a_method_has_a_schema_for_each_parameter(method: Method) -> None:
    for name, field in method.params.items():
        assert field.json_schema() or isinstance(field, Any_), name


@every_method
def test_a_method_has_a_rule(method: Method) -> None:
    rule = SERVICE.rules[method.name]
    assert rule in ("all", "authenticated") or (isinstance(rule, tuple) and rule)
    if rule == "all":
        assert not method.changes, "anybody could change something"


@every_method
def test_a_method_says_what_it_does_and_gives(method: Method) -> None:
    summary = method.doc.partition("\n")[0]
    assert summary.endswith("."), "the first line of the docstring is a sentence"
    assert method.result
    told = set(re.findall(r"^:raises (\w+):", method.doc, flags=re.MULTILINE))
    # what parameters may be is said by their schemas
    declared = {error.__name__ for error in method.raises}
    assert told | {"InvalidParams"} == declared | {"InvalidParams"}


def test_results_have_schemas_and_the_scenarios_results_fit_them() -> None:
    without = {method.name for method in METHODS if not set(method.result) - {"description"}}
    assert without == {"echo", "getTransformationParameters"}, "any JSON value may come"
    assert [(method.name, where) for method in METHODS for where in _vague(method.result)] == []
    validators = {method.name: jsonschema.Draft202012Validator(method.result) for method in METHODS}
    for scenario in SCENARIOS:
        for step in scenario.steps:
            # other ways to match show a part of the result
            if "result" in step.expected and step.match is None:
                errors = list(validators[step.method].iter_errors(step.expected["result"]))
                assert not errors, f"{scenario.name} step {step.number}: {errors[0].message}"


@every_method
def test_a_method_has_a_success_and_a_failure_scenario(method: Method) -> None:
    if plugin(method) in SHIPPED:
        text = (ROOT / "tests" / "plugins" / f"test_{plugin(method)}.py").read_text()
        assert f'"{method.name}"' in text
        return
    outcomes = steps()[method.name]
    assert "result" in outcomes
    # nothing but too many parameters is wrong with a method that takes none and is open to all
    assert outcomes - {"result"} or (SERVICE.rules[method.name] == "all" and not method.params)


@every_method
def test_a_method_has_a_heading_with_its_exact_signature(method: Method) -> None:
    entries = {entry["name"]: entry for entry in SERVICE.document["methods"]}
    heading = f"### `{signature(entries[method.name])}`{' ✎' if method.right else ''}\n"
    assert heading in (DOCS / "methods.md").read_text(encoding="utf-8")


def test_the_page_of_methods_is_current() -> None:
    page = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert page == methods_page(SERVICE, plugins, SCENARIOS), "run `make docs`"


def test_the_examples_of_the_page_are_steps_of_scenarios() -> None:
    page = (DOCS / "methods.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```json\n(.*)\n(.*)\n```$", page, flags=re.MULTILINE)
    shown = {json.loads(call)["method"] for call, _ in examples}
    unshown = {method.name for method in METHODS if plugin(method) not in SHIPPED} - shown - {"rpc.discover"}
    assert not unshown
    known = {(s.method, json.dumps(s.params), json.dumps(s.expected)) for c in SCENARIOS for s in c.steps}
    for call, answer in examples:
        asked, given = json.loads(call), json.loads(answer)
        assert (asked["method"], json.dumps(asked["params"]), json.dumps({"result": given["result"]})) in known


@pytest.mark.parametrize("hook", [name for name in vars(Hooks) if not name.startswith("_")])
def test_a_hook_is_documented(hook: str) -> None:
    assert inspect.getdoc(getattr(Hooks, hook))
    assert f"`{hook}" in (DOCS / "plugins.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", settings.table)
def test_a_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "settings.md").read_text(encoding="utf-8")


BACKGROUND = {"harness.reset"}
"""Transactions that are no method's."""
SILENT = {
    # its chunks tell
    *("startBulk", "cancelBulk", "undoBulk"),
    # the built-in catalog's own entries; what they announce is told
    *("catalog.addFields", "catalog.setMetadata", "catalog.remove"),
    # nobody else need know
    "renewLease",
}
"""Methods that change something and leave no event, by design."""


async def test_only_methods_that_say_so_change_something() -> None:
    """The scenarios: a method that only reads has no transaction that can write; one that changes leaves events."""
    writers: set[str] = set()
    telling: set[str] = set()
    async with targets.in_process(SCENARIOS[0].world) as target:
        storage = target.harness.service.storage
        run = storage.run

        async def watched(name: str, *args: Any, read: bool = False, **kwargs: Any) -> Any:
            if not read:
                writers.add(name)
            return await run(name, *args, read=read, **kwargs)

        storage.run = watched  # type: ignore[method-assign]
        told: list[Any] = []
        target.harness.service.listeners = (told.append,)
        for scenario in SCENARIOS:
            await target.harness.reset(scenario.steps[0].now, scenario.world.catalog)
            for step in scenario.steps:
                told.clear()
                await target.call(step)
                if told:
                    telling.add(step.method)
    changing = {method.name for method in METHODS if method.changes}
    assert writers - BACKGROUND == changing
    assert changing - telling == SILENT


def _vague(schema: Any, where: str = "result") -> Iterator[str]:
    """Yield the places of a schema that say array without items, or object without members."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from _vague(part, f"{where}[{index}]")
    if not isinstance(schema, Mapping):
        return
    kinds = schema.get("type", ())
    if "array" in kinds and "items" not in schema and "prefixItems" not in schema:
        yield where
    if "object" in kinds and not schema.keys() & {"properties", "additionalProperties", "required"}:
        yield where
    for name, part in schema.items():
        if name not in ("enum", "const", "required"):
            yield from _vague(part, f"{where}.{name}")
