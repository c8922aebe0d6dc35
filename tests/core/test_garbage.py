"""The garbage collector stays away while somebody needs it to, and long values go piece by piece."""

import asyncio
import gc
import itertools

import pytest

from jsonrpc_tm.core import breath, garbage
from jsonrpc_tm.core.garbage import Long, let_go, without_collections

from ..waiting import until


class Cycle:
    """Refers to itself, and tells when it goes."""

    def __init__(self, gone: list[bool]) -> None:
        self.itself = self
        self.gone = gone

    def __del__(self) -> None:
        self.gone.append(True)


async def test_it_comes_back_when_the_last_has_gone() -> None:
    first, second = without_collections(), without_collections()
    assert gc.isenabled()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


async def test_it_stays_away_where_it_was_not() -> None:
    gc.disable()
    try:
        with without_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


async def test_cycles_do_not_wait_for_the_last_of_many_or_for_one_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[bool] = []
    cycle = Cycle(gone)
    with without_collections():
        with without_collections():
            del cycle
        assert not gone
    gc.collect()
    monkeypatch.setattr(garbage, "LONGEST", 0.01)
    with without_collections():
        for number in (2, 3):
            Cycle(gone)
            await until(lambda number=number: len(gone) == number)  # type: ignore[no-untyped-call]
        assert not gc.isenabled()
    assert gc.isenabled()


class Member:
    """Counts those of its kind that are there."""

    there = 0

    def __init__(self) -> None:
        Member.there += 1

    def __del__(self) -> None:
        Member.there -= 1


async def test_long_values_go_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breath, "LONGEST", 0)
    inner: list[Member] = [Member() for _ in range(100)]
    outer: dict[str, object] = {str(number): Member() for number in range(50)} | {"inner": inner}
    values, seen = [Long(outer, 5), Long(inner, 10)], []
    del inner, outer

    async def look() -> None:
        while True:
            seen.append(Member.there)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await let_go(values)
    looking.cancel()
    assert Member.there == 0
    steps = [before - after for before, after in itertools.pairwise(seen)]
    assert max(steps) <= 11
    assert not values


async def test_what_somebody_else_holds_stays() -> None:
    inner = [1, 2, 3]
    outer = {"inner": inner, "other": [4]}
    await let_go([Long(outer), Long(inner)])
    assert outer == {"inner": [1, 2, 3], "other": [4]}
    values = [Long(outer), Long(inner)]
    del outer
    await let_go(values)
    assert inner == [1, 2, 3]
