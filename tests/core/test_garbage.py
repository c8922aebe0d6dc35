"""The garbage collector stays away while somebody needs it to."""

import gc

import pytest

from jsonrpc_tm.core import garbage
from jsonrpc_tm.core.garbage import without_collections

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
