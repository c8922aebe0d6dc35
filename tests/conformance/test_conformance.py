"""The scenarios, on every storage: what the server must answer, step by step."""

import asyncio
import json
from pathlib import Path

import pytest

from jsonrpc_tm.app import load_plugins
from jsonrpc_tm.tools.replay import report, sockets, targets
from jsonrpc_tm.tools.replay.run import OpenTarget, ScenarioOutcome, run
from jsonrpc_tm.tools.replay.scenario import Scenario, load
from jsonrpc_tm.tools.testing.mariadb import MariaDB

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "conformance"
SCENARIOS = load([HERE])
RECORDED = [scenario for scenario in SCENARIOS if scenario.path.parent.name == "scenarios"]


def replay(open_target: OpenTarget, scenarios: list[Scenario] = SCENARIOS) -> dict[str, ScenarioOutcome]:
    """Run scenarios on one server: starting one takes longer than a scenario."""

    async def outcomes() -> dict[str, ScenarioOutcome]:
        return {outcome.scenario.name: outcome async for outcome in run(scenarios, open_target)}

    return asyncio.run(outcomes())


def check(outcome: ScenarioOutcome) -> None:
    assert len(outcome.steps) == len(outcome.scenario.steps) > 0
    assert not outcome.failed, "\n".join(report.failures(outcome))


every_scenario = pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])


@pytest.fixture(scope="module")
def in_memory() -> dict[str, ScenarioOutcome]:
    return replay(targets.in_process)


@pytest.mark.xdist_group("conformance in_memory")
@every_scenario
def test_in_memory(in_memory: dict[str, ScenarioOutcome], name: str) -> None:
    check(in_memory[name])


@pytest.fixture(scope="module")
def in_a_file(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ScenarioOutcome]:
    folder = tmp_path_factory.mktemp("sqlite")
    outcomes = replay(lambda world: targets.in_process(world, f"sqlite:///{folder}/tm.db"))
    assert list(folder.iterdir()) == []
    return outcomes


@pytest.mark.xdist_group("conformance in_a_file")
@every_scenario
def test_in_a_file(in_a_file: dict[str, ScenarioOutcome], name: str) -> None:
    check(in_a_file[name])


@pytest.fixture(scope="module")
def over_http() -> dict[str, ScenarioOutcome]:
    return replay(sockets.over_http)


@pytest.mark.xdist_group("conformance over_http")
@every_scenario
def test_over_http(over_http: dict[str, ScenarioOutcome], name: str) -> None:
    check(over_http[name])


@pytest.fixture(scope="module")
def on_mariadb(mariadb: MariaDB) -> dict[str, ScenarioOutcome]:
    name = mariadb.create_database()
    before = mariadb.sql("SHOW DATABASES")
    outcomes = replay(lambda world: targets.in_process(world, mariadb.url(name)))
    assert mariadb.sql("SHOW DATABASES") == before
    assert mariadb.sql("SHOW TABLES", name) == ""
    return outcomes


@pytest.mark.mariadb
@pytest.mark.xdist_group("conformance on_mariadb")
@every_scenario
def test_on_mariadb(on_mariadb: dict[str, ScenarioOutcome], name: str) -> None:
    check(on_mariadb[name])


@pytest.fixture(scope="module")
def in_diracs_wire() -> dict[str, ScenarioOutcome]:
    [wire] = [wire for wire, _ in load_plugins(entry_points=False).collect("register_replay_wire")]
    return replay(lambda world: sockets.over_http(world, wire=wire), RECORDED)


# our own scenarios are about arguments that the wire's page lets pass
@pytest.mark.xdist_group("conformance in_diracs_wire")
@pytest.mark.parametrize("name", [scenario.name for scenario in RECORDED])
def test_in_diracs_wire(in_diracs_wire: dict[str, ScenarioOutcome], name: str) -> None:
    check(in_diracs_wire[name])


def test_the_index_counts_every_scenario() -> None:
    index = json.loads((HERE / "index.json").read_text())
    steps = {scenario.name: len(scenario.steps) for scenario in RECORDED}
    assert steps == {name: entry["steps"] for name, entry in index.items()}


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/conformance to compare with")
def test_the_shared_scenarios_are_not_newer() -> None:
    shared = {path.relative_to(SHARED): path.read_bytes() for path in SHARED.rglob("*") if path.is_file()}
    other = [str(name) for name, content in shared.items() if not same(HERE / name, content)]
    assert not other, f"{SHARED} is newer; copy what differs into {HERE}: {', '.join(sorted(other))}"


def same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
