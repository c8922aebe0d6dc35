"""Going through steps, and telling what came of it. A replay that cannot fail proves nothing."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jsonrpc_tm.core.records import ReplayStep
from jsonrpc_tm.tools.replay import compare, junit, report
from jsonrpc_tm.tools.replay.run import ScenarioOutcome, run
from jsonrpc_tm.tools.replay.scenario import World, load

from .samples import line, write


class Echo:
    """A server that has one method."""

    def __init__(self) -> None:
        self.log: list[str] = []

    @asynccontextmanager
    async def open(self, world: World) -> AsyncIterator["Echo"]:
        self.log.append("open")
        yield self
        self.log.append("close")

    async def reset(self, now: str) -> None:
        self.log.append("reset")

    async def call(self, step: ReplayStep) -> Mapping[str, Any] | None:
        self.log.append(f"{step.method} {step.params}")
        if step.method == "untold":
            return None
        if step.method != "echo":
            return {"error": {"message": "\x00 no such method", "data": {"type": "MethodNotFound"}}}
        assert isinstance(step.params, list)
        return {"result": step.params[0]}

    def judge(self, step: ReplayStep, answer: Mapping[str, Any]) -> list[str]:
        return compare.differences(step, answer)


async def replay(folder: Path, server: Echo) -> list[ScenarioOutcome]:
    return [outcome async for outcome in run(load([folder]), server.open)]


async def test_each_scenario_begins_empty_and_runs_in_order(tmp_path: Path) -> None:
    server = Echo()
    await replay(write(tmp_path, a=[line(1), line(2)], b=[line(1)], empty=[]), server)
    assert server.log == ["open", "reset", "echo [1]", "echo [2]", "reset", "echo [1]", "close"]


async def test_every_mutated_expectation_is_seen(tmp_path: Path) -> None:
    right = {"a": [1, {"b": None}], "c": "x"}
    wrong: list[Any] = [{**right, "c": "y"}, {"a": right["a"]}, {**right, "d": 1}, {"a": [1, {}], "c": "x"}, None]
    lines = [line(n, params=[right], result=value) for n, value in enumerate([right, *wrong], 1)]
    lines.append(line(7, params=[right], error={"type": "NotFound"}))
    lines.append(line(8, method="nosuch", result=1))
    lines.append(line(9, method="nosuch", error={"type": "MethodNotFound"}))
    [outcome] = await replay(write(tmp_path, a=lines), Echo())
    assert [failed.step.number for failed in outcome.failed] == [2, 3, 4, 5, 6, 7, 8]
    assert report.summary([outcome]) == "1 scenarios, 9 steps, 7 failed"


async def test_the_report_names_step_call_caller_and_difference(tmp_path: Path) -> None:
    lines = [line(1), line(2, params=["x"], result="y")]
    [outcome] = await replay(write(tmp_path, a=lines), Echo())
    assert list(report.failures(outcome)) == [
        'FAILED a step 2: echo("x") as alice',
        '    result: expected "y", got "x"',
    ]


async def test_what_a_wire_cannot_express_is_listed_and_not_counted(tmp_path: Path) -> None:
    lines = [line(1), line(2, method="untold", params={"a": 1}, result=1)]
    outcomes = await replay(write(tmp_path, a=lines), Echo())
    assert report.summary(outcomes) == "1 scenarios, 1 steps, 0 failed"
    assert list(report.left_out(outcomes[0])) == ["not expressible: a step 2: untold"]
    assert list(report.left_out_count(outcomes)) == ["1 steps not expressible in this wire"]
    assert list(report.left_out_count([])) == []


async def test_junit(tmp_path: Path) -> None:
    lines = [line(1), line(2, result=3), line(3, method="nosuch", result=1), line(4, method="untold", result=1)]
    outcomes = await replay(write(tmp_path, a=lines, b=[line(1)]), Echo())
    junit.write(tmp_path / "report.xml", outcomes)
    suites = list(ElementTree.parse(tmp_path / "report.xml").getroot())
    assert [suite.attrib["name"] for suite in suites] == ["a", "b"]
    counts = [(suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) for suite in suites]
    assert counts == [("4", "2", "1"), ("1", "0", "0")]
    failures = [case.find("failure") for case in suites[0]]
    assert [failure is not None for failure in failures] == [False, True, True, False]
    assert json.dumps(failures[1].attrib) == '{"message": "result: expected 3, got 2"}'  # type: ignore[union-attr]
