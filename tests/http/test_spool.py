"""What is kept until an answer is whole: counted while it is in memory, then in a file."""

import errno
from collections.abc import Iterator

import pytest

from jsonrpc_tm.core.errors import Unavailable
from jsonrpc_tm.http import spool
from jsonrpc_tm.http.limits import Budget, Share


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> Budget:
    monkeypatch.setattr(spool, "MEMORY", 100)
    return Budget({"limits.memory": 150})


@pytest.fixture
def share(budget: Budget) -> Iterator[Share]:
    with Share(budget) as share:
        yield share
    for file in share.files:
        file.close()


def test_what_is_in_memory_is_counted(budget: Budget, share: Share) -> None:
    kept = spool.Spool(share)
    used = []
    for size in (60, 40, 1, 500):
        kept.write(b"x" * size)
        used.append(budget.used)
    assert used == [60, 100, 0, 0]
    kept.rewind()
    assert kept.read(5) + kept.read() == b"x" * 601


def test_what_is_on_the_disk_is_counted(budget: Budget) -> None:
    disk = Budget({"limits.disk": 300}, "limits.disk")
    with Share(budget, disk) as share, Share(budget, disk) as other:
        kept = spool.Spool(share)
        used = []
        for size in (100, 1, 50, 350):  # alone it gets whatever it wants
            kept.write(b"x" * size)
            used.append((budget.used, disk.used))
        assert used == [(100, 0), (0, 101), (0, 151), (0, 501)]
        with pytest.raises(Unavailable, match=r"too much in flight at the moment \(limits.disk\)"):
            spool.Spool(other).write(b"x" * 101)
        for file in share.files + other.files:
            file.close()
    assert (budget.used, disk.used) == (0, 0)


def test_strangers_have_half_of_the_disk(budget: Budget) -> None:
    disk = Budget({"limits.disk": 600}, "limits.disk")
    with Share(budget, disk) as share, Share(budget, disk) as other:
        share.stranger = other.stranger = True
        spool.Spool(share).write(b"x" * 200)
        with pytest.raises(Unavailable, match="too much in flight"):
            spool.Spool(other).write(b"x" * 101)
        for file in share.files + other.files:
            file.close()


def test_an_answer_of_too_many_is_refused(budget: Budget, share: Share) -> None:
    with Share(budget) as other:
        other.take(100)
        with pytest.raises(Unavailable, match="too much in flight"):
            spool.Spool(share).write(b"x" * 51)
    assert budget.used == 0


def test_a_full_disk_is_no_bug(share: Share, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = spool.Spool(share)
    monkeypatch.setattr(share.files[0], "write", full)
    with pytest.raises(Unavailable, match="no room"):
        kept.write(b"x")
    assert "No space left on device" in caplog.text


def test_short_bodies_are_bytes(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = spool.Spool(share), spool.Spool(share)
    first.write(b"ab")
    second.write(b"cd")
    assert spool.body_of([first, second]) == b"abcd"
    monkeypatch.setattr(spool, "PART", 3)
    body = spool.body_of([first, second])
    assert not isinstance(body, bytes)
    assert (body.size, body.decode()) == (4, "abcd")
