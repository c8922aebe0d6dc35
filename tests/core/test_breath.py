"""Long work gives way to others, more where there are any."""

import asyncio
import time
from typing import Any

import pytest

from jsonrpc_tm.core.breath import LONGEST, Breath, give_way


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


@pytest.mark.parametrize(("others", "slept"), [(0.0, [False]), (LONGEST, [False, True])])
def test_who_is_not_alone_leaves_some_time(clock: Clock, others: float, slept: list[bool]) -> None:
    breath, clock.others = Breath(), others
    asyncio.run(breath.taken())
    assert clock.slept == [], "it has not worked for long"
    clock.now += 2 * LONGEST
    asyncio.run(breath.taken())
    assert clock.slept == slept
    asyncio.run(breath.taken())
    assert clock.slept == slept, "what others took is no work of its own"


@pytest.mark.parametrize(("others", "slept"), [(0.0, [False]), (LONGEST, [False, True])])
def test_a_thread_does_so_after_each_step(clock: Clock, others: float, slept: list[bool]) -> None:
    clock.others = others
    give_way()
    assert clock.slept == slept
