"""Whatever JSON comes as parameters: a result or a proper refusal, never a bug, and no harm to other calls."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.core.errors import InternalError, InvalidParams, TMError
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.core.records import ReplayStep
from jsonrpc_tm.rpc.method import Method
from jsonrpc_tm.tools.harness import Harness
from jsonrpc_tm.tools.replay.scenario import load
from jsonrpc_tm.tools.testing.configuration import configure
from jsonrpc_tm.tools.testing.local import LocalClient

MANAGER = Identity("manager", "prod", ("ProductionManagement",))
CATALOG = {
    "fields": {"a": "int", "b": "string"},
    "directories": {"/": {}, "/d": {"b": "x"}},
    "files": {"/d/f": {"a": 1}},
}
STEPS = [step for scenario in load([Path(__file__).parent / "conformance"]) for step in scenario.steps if step.params]
NOW = "2024-10-15T12:00:00Z"

# what is nearly right harms more than noise
LIKELY = (
    " t 1 2 -1 0 1e3 Unused Created Input TransformationID TransformationID:DESC LFN Status TaskID: FromDate"
    " date(LastUpdate) 2024-10-15 2024-10-15T12:00:00+02:00 /d /d/f a TransformationFiles TransformationTasks"
    " Transformations '_OR_1=1_-- \" \\ % ; \0 🙂"
)
WORDS = st.sampled_from(LIKELY.split(" "))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from([2**31, 2**63 - 1, -(2**63) + 1, 1.5, -0.0, 1e308]),
    WORDS,
    st.text(max_size=5),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)


@pytest.fixture(scope="module")
def service() -> Any:
    configured, plugins = configure({"storage.url": "sqlite://:memory:"})
    return Harness(configured, plugins=plugins, authenticators=())


async def fill(harness: Harness, client: LocalClient) -> None:
    await harness.reset(NOW, CATALOG)
    await client.call("addTransformation", "t", "d", "l", "MCSimulation", "P", "Manual", "")
    await client.call("createTransformationMetaQuery", "t", {"a": {">": 0}}, "Input")
    await client.call("setTransformationParameter", "t", "colour", [1, {"x": None}])
    await client.call("addFilesToTransformation", "t", ["/d/f", "/g"])
    await client.call("addTaskForTransformation", "t", ["/d/f"])
    await client.call("extendTransformation", "t", 1)


@settings(max_examples=90, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_parameters(service: Harness, data: st.DataObject) -> None:
    methods = [method for method in service.service.registry if method.name != "ping"]
    method: Method = data.draw(st.sampled_from(methods), label="method")
    if data.draw(st.booleans(), label="named"):
        params: Any = data.draw(st.fixed_dictionaries(dict.fromkeys(method.params, VALUES)), label="params")
    else:
        params = data.draw(st.lists(VALUES, max_size=len(method.params)), label="params")
    asyncio.run(one_call(service, method.name, params))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_right_parameters_with_something_else_in_one_place(service: Harness, data: st.DataObject) -> None:
    step: ReplayStep = data.draw(st.sampled_from(STEPS), label="step")
    places = list(_places(step.params))
    params = _replaced(step.params, data.draw(st.sampled_from(places), label="place"), data.draw(VALUES, label="value"))
    if isinstance(params, list) and isinstance(params[0], str) and data.draw(st.booleans(), label="t"):
        params = ["t", *params[1:]]  # the transformation that is there
    asyncio.run(one_call(service, step.method, params))


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value but its root."""
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


async def one_call(harness: Harness, name: str, params: Any) -> None:
    async with harness.service, LocalClient(harness.service, MANAGER) as client:
        await fill(harness, client)
        outcome: Any = None
        try:
            await (client.call(name, **params) if isinstance(params, dict) else client.call(name, *params))
        except TMError as error:
            outcome = error
        assert not isinstance(outcome, InternalError), (name, params)


def test_missing_and_unknown_parameters_are_named(service: Harness) -> None:
    for method in service.service.registry:
        required = [name for name, field in method.params.items() if field.required]
        with pytest.raises(InvalidParams) as caught:
            method.load({"nosuch": 1})
        assert caught.value.data["errors"].keys() == {"nosuch", *required}
        with pytest.raises(InvalidParams):
            method.load([None] * (len(method.params) + 1))
        if required:
            with pytest.raises(InvalidParams) as caught:
                method.load(None)
            assert caught.value.data["errors"].keys() == set(required)
