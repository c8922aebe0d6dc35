"""The garbage collector stays away while somebody needs it to."""

import gc

from jsonrpc_tm.core.garbage import without_collections


def test_it_comes_back_when_the_last_has_gone() -> None:
    first, second = without_collections(), without_collections()
    assert gc.isenabled()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_it_stays_away_where_it_was_not() -> None:
    gc.disable()
    try:
        with without_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
