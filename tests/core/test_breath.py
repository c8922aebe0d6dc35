"""Long work gives way to others, more where there are any."""

import asyncio
import time
from typing import Any

import pytest

from jsonrpc_tm.core.breath import CALLS, LONGEST, Breath, give_way
from jsonrpc_tm.core.garbage import without_collections
from jsonrpc_tm.http.running import Running
from jsonrpc_tm.http.sending import in_parts


class Clock:
    """Time that passes where it is told to, and is slept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.slept: list[bool] = []
        self.others = 0.0
        """Seconds that others take at each turn."""
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(asyncio, "sleep", self._wait)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds > 0)
        self.now += self.others

    async def _wait(self, seconds: float) -> None:
        self._sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patched:
        yield Clock(patched)


async def test_a_call_alone_just_goes_on(clock: Clock) -> None:
    clock.others = LONGEST
    breath = Breath()
    clock.now += 2 * LONGEST
    await breath.taken()
    give_way()
    assert clock.slept == [False]


@pytest.mark.parametrize(("others", "slept"), [(0.0, [False]), (LONGEST, [False, True])])
async def test_beside_others_it_leaves_some_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, others: float, slept: list[bool]
) -> None:
    monkeypatch.setattr(CALLS, "number", 1)
    breath, clock.others = Breath(), others
    await breath.taken()
    assert clock.slept == [], "it has not worked for long"
    clock.now += 2 * LONGEST
    await breath.taken()
    assert clock.slept == slept
    await breath.taken()
    assert clock.slept == slept, "what others took is no work of its own"
    give_way()
    assert clock.slept == 2 * slept


async def test_nobody_makes_way_for_what_is_long() -> None:
    running, before, seen = Running(), CALLS.number, []

    async def write(_: memoryview) -> None:
        seen.append(CALLS.number)

    with running, running:
        assert CALLS.number == before + 2
        with running.telling(lambda: None), without_collections(), without_collections():
            assert CALLS.number == before + 1
        await in_parts(write, b"x")
    assert seen == [before + 1]
    assert CALLS.number == before


def test_what_is_long_is_counted_off_once() -> None:
    before = CALLS.number
    with CALLS.without_one(), CALLS.without_one():
        assert CALLS.number == before - 1
    assert CALLS.number == before
    with CALLS.without_one():
        assert CALLS.number == before - 1
