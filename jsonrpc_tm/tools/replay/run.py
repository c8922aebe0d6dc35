"""Going through scenarios, step by step, and keeping what each gave."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

from ...core.records import ReplayStep
from .scenario import Scenario, World


class ReplayTarget(Protocol):
    """A server that scenarios run against."""

    async def reset(self, now: str) -> None:
        """Empty the storage, put the catalog back and set the clock."""

    async def call(self, step: ReplayStep) -> Mapping[str, Any] | None:
        """Set the clock, make the step's call as its caller and return the response object.

        :returns: None when this target's wire cannot express the step.
        """

    def judge(self, step: ReplayStep, answer: Mapping[str, Any]) -> list[str]:
        """Return in which points the answer is wrong."""


OpenTarget = Callable[[World], AbstractAsyncContextManager[ReplayTarget]]


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step gave.

    :param differences: empty when the answer is right.
    :param seconds: how long the call took.
    :param expressed: false when the wire could not carry it; such a step is not counted.
    """

    step: ReplayStep
    differences: Sequence[str]
    seconds: float
    expressed: bool = True


@dataclass(slots=True)
class ScenarioOutcome:
    """What the steps of one scenario gave, in order."""

    scenario: Scenario
    steps: list[StepOutcome] = field(default_factory=list)

    @property
    def failed(self) -> list[StepOutcome]:
        """The steps with a wrong answer."""
        return [outcome for outcome in self.steps if outcome.differences]


async def run(scenarios: Iterable[Scenario], open_target: OpenTarget) -> AsyncIterator[ScenarioOutcome]:
    """Yield the outcome of each scenario, in the order given.

    Scenarios of one world follow one another on one target, each on empty storage.
    """
    for _, group in groupby(scenarios, key=lambda scenario: id(scenario.world)):
        together = list(group)
        async with open_target(together[0].world) as target:
            for scenario in together:
                yield await _scenario(scenario, target)


async def _scenario(scenario: Scenario, target: ReplayTarget) -> ScenarioOutcome:
    outcome = ScenarioOutcome(scenario)
    if scenario.steps:
        await target.reset(scenario.steps[0].now)
    for step in scenario.steps:
        begin = time.perf_counter()
        answer = await target.call(step)
        seconds = time.perf_counter() - begin
        found = [] if answer is None else target.judge(step, answer)
        outcome.steps.append(StepOutcome(step, found, seconds, answer is not None))
    return outcome
