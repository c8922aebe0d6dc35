"""Telling people what a replay gave."""

from collections.abc import Iterable, Iterator

from .compare import show
from .run import ScenarioOutcome


def failures(outcome: ScenarioOutcome) -> Iterator[str]:
    """Yield the lines about the steps of a scenario that failed; none when all is right."""
    for failed in outcome.failed:
        step = failed.step
        call = f"{step.method}{_arguments(step.params)} as {step.caller}"
        yield f"FAILED {outcome.scenario.name} step {step.number}: {call}"
        yield from (f"    {difference}" for difference in failed.differences)


def left_out(outcome: ScenarioOutcome) -> Iterator[str]:
    """Yield a line for each step that the wire could not carry."""
    for done in outcome.steps:
        if not done.expressed:
            yield f"not expressible: {outcome.scenario.name} step {done.step.number}: {done.step.method}"


def left_out_count(outcomes: Iterable[ScenarioOutcome]) -> Iterator[str]:
    """Yield a line with the number of steps that the wire could not carry, if there are any."""
    count = sum(not done.expressed for outcome in outcomes for done in outcome.steps)
    if count:
        yield f"{count} steps not expressible in this wire"


def summary(outcomes: Iterable[ScenarioOutcome]) -> str:
    """Return the last line: how many scenarios and steps there were, and how many steps failed."""
    outcomes = list(outcomes)
    steps = sum(done.expressed for outcome in outcomes for done in outcome.steps)
    failed = sum(len(outcome.failed) for outcome in outcomes)
    return f"{len(outcomes)} scenarios, {steps} steps, {failed} failed"


def _arguments(params: object) -> str:
    text = show(params)
    return f"({text[1:-1]})" if isinstance(params, list) else text if params is not None else "()"
