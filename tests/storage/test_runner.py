"""Retries, statistics and what failures become, without an engine."""

import asyncio

import pytest

from jsonrpc_tm.core.errors import Conflict, StorageUnavailable
from jsonrpc_tm.storage.circuit import Failure
from jsonrpc_tm.storage.runner import RACES, Runner

KINDS = {"locked": Failure("busy", "It is busy"), "taken": Failure("race", "A race"), "lost": Failure("gone", "Gone")}


@pytest.fixture
def runner():
    return Runner(lambda error: KINDS.get(str(error)), timeout=0.3)


def failing(times, text):
    left = [OSError(text)] * times

    async def attempt():
        if left:
            raise left.pop()
        return "done"

    return attempt


async def test_busy_is_tried_again_until_it_works(runner):
    assert await runner.run("x", failing(4, "locked")) == "done"
    statistics = runner.statistics["x"]
    assert (statistics.runs, statistics.retries, statistics.failures) == (1, 4, 0)
    assert 0 < statistics.longest <= statistics.seconds


async def test_a_long_wait_is_told_when_it_begins_to_be_one(runner, caplog):
    runner.slow, runner.timeout = 0.05, 5
    with caplog.at_level("INFO"):
        assert await runner.run("connect", failing(12, "locked")) == "done"
    told = [record.getMessage() for record in caplog.records if record.levelname == "INFO"]
    assert told == ["transaction connect waits, and tries again until 5 s are over: locked"]


async def test_a_slow_one_says_why_it_was_tried_again(runner, caplog):
    runner.slow, runner.timeout = 1e-9, 5
    assert await runner.run("x", failing(2, "locked")) == "done"
    assert await runner.run("x", failing(0, "")) == "done"
    first, second = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert first.endswith("s in 3 attempt(s), the last failure being: locked")
    assert second.endswith("s in 1 attempt(s)")


async def test_busy_for_too_long_is_unavailable(runner):
    with pytest.raises(StorageUnavailable, match="It is busy") as caught:
        await runner.run("x", failing(10**6, "locked"))
    assert caught.value.data == {"retryable": True}
    assert isinstance(caught.value.__cause__, OSError)
    assert runner.statistics["x"].failures == 1
    assert runner.statistics["x"].retries > 2


async def test_gone_is_not_tried_again(runner):
    with pytest.raises(StorageUnavailable, match="Gone"):
        await runner.run("x", failing(1, "lost"))
    assert runner.statistics["x"].retries == 0


async def test_a_lost_race_is_run_again_a_few_times_only(runner):
    """The body then sees the winner's row and says Conflict; if it does not, that is a bug."""
    assert await runner.run("x", failing(RACES, "taken")) == "done"
    with pytest.raises(OSError, match="taken"):
        await runner.run("x", failing(RACES + 1, "taken"))


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), Conflict("no"), StorageUnavailable("unknown", outcome="unknown")]
)
async def test_other_errors_come_out_as_they_are(runner, error):
    async def attempt():
        raise error

    with pytest.raises(type(error)) as caught:
        await runner.run("x", attempt)
    assert caught.value is error


async def test_cancelling_ends_the_pauses(runner):
    runner.timeout = 1000
    task = asyncio.create_task(runner.run("x", failing(10**6, "locked")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert runner.statistics["x"].runs == 1
