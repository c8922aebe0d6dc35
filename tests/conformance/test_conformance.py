"""The scenarios, on every storage: what the server must answer, step by step."""

import json
from pathlib import Path

import pytest

from jsonrpc_tm.replay import report, targets
from jsonrpc_tm.replay.run import Open, run
from jsonrpc_tm.replay.scenario import Scenario, load

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "conformance"
SCENARIOS = load([HERE])


async def check(scenario: Scenario, open_target: Open) -> None:
    [outcome] = [outcome async for outcome in run([scenario], open_target)]
    assert len(outcome.steps) == len(scenario.steps) > 0
    assert not outcome.failed, "\n".join(report.failures(outcome))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_in_memory(scenario: Scenario) -> None:
    await check(scenario, targets.in_process)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_in_a_file(scenario: Scenario, tmp_path: Path) -> None:
    await check(scenario, lambda world: targets.in_process(world, f"sqlite:///{tmp_path}/tm.db"))
    assert list(tmp_path.iterdir()) == []


def test_the_index_counts_every_scenario() -> None:
    index = json.loads((HERE / "index.json").read_text())
    steps = {s.name: len(s.steps) for s in SCENARIOS if s.path.parent.name == "scenarios"}
    assert steps == {name: entry["steps"] for name, entry in index.items()}


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/conformance to compare with")
def test_the_shared_scenarios_are_not_newer() -> None:
    shared = {path.relative_to(SHARED): path.read_bytes() for path in SHARED.rglob("*") if path.is_file()}
    other = [str(name) for name, content in shared.items() if not same(HERE / name, content)]
    assert not other, f"{SHARED} is newer; copy what differs into {HERE}: {', '.join(sorted(other))}"


def same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
