"""Revisions are dense and in the order of the commits, whoever numbers them and whenever."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta

import pytest

from jsonrpc_tm.core.clock import stored
from jsonrpc_tm.core.events import Event
from jsonrpc_tm.domain import event_log, event_reading
from jsonrpc_tm.rpc.event_tail import Tail
from jsonrpc_tm.storage.base import CHUNK
from jsonrpc_tm.storage.mysql import MySQLProvider

NOW = datetime(2024, 10, 15, 12, tzinfo=UTC)


async def commit(storage, *words, now=NOW, middle=None):
    """Commit events, which are written before the middle."""

    async def body(tx):
        for word in words:
            await tx.execute(
                "INSERT INTO Events (Time, Type, Data, Author, RequestID) VALUES (:now, :type, '{}', 'a', '')",
                {"now": stored(now), "type": word},
            )
        if middle is not None:
            await middle()

    await storage.run("change", body)


async def read(storage, after=0):
    return await storage.run("read", event_reading.after, after, 10**6, read=True)


async def types(storage, after=0):
    await event_log.number(storage)
    events = await read(storage, after)
    assert [event.revision for event in events] == list(range(after + 1, after + 1 + len(events)))
    return [event.document["type"] for event in events]


async def head(storage):
    return await storage.run("head", event_log.position, read=True)


@contextlib.asynccontextmanager
async def second(storage, request):
    """Another process on the same MariaDB."""
    url = request.getfixturevalue("one_mysql_url")
    async with MySQLProvider().open(url, migrate=False, migrations=(), options={}) as other:
        yield other


mariadb = pytest.mark.parametrize("storage", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)


async def begun(storage):
    """Return a transaction that has written its event and commits when the event that is returned is set."""
    written, go = asyncio.Event(), asyncio.Event()

    async def slowly():
        written.set()
        await go.wait()

    slow = asyncio.create_task(commit(storage, "slow", middle=slowly))
    await written.wait()
    return slow, go


@mariadb
async def test_who_commits_late_is_not_missed(storage, request):
    slow, go = await begun(storage)
    async with second(storage, request) as other, asyncio.timeout(20):
        # the slow one has the lower serial, and holds nobody up
        await commit(other, "fast")
        assert await types(other) == ["fast"]
        go.set()
        await slow
        assert await types(storage, after=1) == ["slow"]
        assert [row.document["type"] for row in await read(other)] == ["fast", "slow"]


@mariadb
async def test_numbering_does_not_make_writers_wait(storage, request):
    await commit(storage, "one")
    locked, go = asyncio.Event(), asyncio.Event()

    async def hold(tx):
        await event_log._number(tx)
        locked.set()
        await go.wait()

    numbering = asyncio.create_task(storage.run("number", hold))
    await locked.wait()
    async with second(storage, request) as other:
        async with asyncio.timeout(20):
            await commit(other, "two")
        go.set()
        await numbering
        assert await types(other) == ["one", "two"]


@mariadb
async def test_forgetting_waits_for_no_writer(storage, request):
    await commit(storage, "one", "two")
    await event_log.number(storage)
    slow, go = await begun(storage)
    async with second(storage, request) as other, asyncio.timeout(20):
        await event_log.forget(other, stored(NOW + timedelta(days=1)))
        go.set()
        await slow
        assert await types(other, after=2) == ["slow"]


@mariadb
async def test_what_a_killed_process_left_is_numbered_by_another(storage, request):
    await commit(storage, "one", "two")
    assert await head(storage) == 0
    async with second(storage, request) as other:
        assert await types(other) == ["one", "two"]
        assert await head(storage) == 2


async def test_what_is_rolled_back_is_never_there(storage):
    async def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await commit(storage, "no", middle=fail)
    await commit(storage, "yes")
    assert await types(storage) == ["yes"]


async def test_whoever_writes_reads_and_numbers_at_once_sees_every_event_once(storage, request):
    dice = random.Random(7)
    own = "mariadb" in request.node.name
    async with second(storage, request) if own else contextlib.nullcontext(storage) as other:
        done = asyncio.Event()

        async def write(name, where):
            for number in range(15):
                middle = lambda: asyncio.sleep(dice.uniform(0, 0.004))  # noqa: E731
                await commit(where, f"{name}.{number}", f"{name}.{number}+", middle=middle if own else None)

        async def follow(where):
            seen = []
            while True:
                last = done.is_set()
                await event_log.number(where)
                seen += await read(where, seen[-1].revision if seen else 0)
                if last:
                    return [(event.revision, event.document["type"]) for event in seen]
                await asyncio.sleep(dice.uniform(0, 0.01))

        readers = [asyncio.create_task(follow(where)) for where in (storage, other, storage)]
        await asyncio.gather(*(write(name, where) for name, where in zip("abcd", [storage, other] * 2, strict=True)))
        done.set()
        one, *others = await asyncio.gather(*readers)
        assert others == [one, one]
        assert [revision for revision, _ in one] == list(range(1, 121))
        for name in "abcd":
            mine = [word for _, word in one if word.startswith(name)]
            assert mine == [f"{name}.{number}{end}" for number in range(15) for end in ("", "+")]


async def test_many_are_numbered_in_few_statements(tm):
    event = Event("x.y", None, {}, "a", "", NOW)
    await tm.storage.storage.run("write", event_log.write, [event] * (CHUNK + 1))
    tm.storage.statements.clear()
    await event_log.number(tm.storage)
    # twice: finding out, head, rows, update, head; the head is made once, and at last nothing is found
    assert len(tm.storage.statements) == (0 if tm.storage.storage.url.startswith("sqlite") else 2 * 5 + 2 + 1)
    assert await head(tm.storage.storage) == CHUNK + 1


async def test_old_ones_go_from_the_front_without_gaps(storage):
    for days in (9, 8, 5, 8, 1):
        await commit(storage, f"before.{days}", now=NOW - timedelta(days=days))
    await event_log.number(storage)
    assert not await event_log.forget(storage, stored(NOW - timedelta(days=7)))
    assert [event.revision for event in await read(storage)] == [3, 4, 5]
    assert await storage.run("bounds", event_reading.bounds, read=True) == (5, 3)
    assert not await event_log.forget(storage, stored(NOW + timedelta(days=1)))
    assert await storage.run("bounds", event_reading.bounds, read=True) == (5, 6)
    await commit(storage, "next")
    assert await types(storage, after=5) == ["next"]


async def test_forgetting_does_so_much_at_a_time(storage, monkeypatch):
    monkeypatch.setattr(event_log, "CHUNK", 2)
    await commit(storage, "a", "b", "c")
    await event_log.number(storage)
    assert await event_log.forget(storage, stored(NOW + timedelta(days=1)))
    assert not await event_log.forget(storage, stored(NOW + timedelta(days=1)))
    assert await read(storage) == []


async def test_the_tail_reads_once_for_all(sqlite_tm, monkeypatch):
    storage = sqlite_tm.storage
    tail = Tail(storage, sqlite_tm.service.settings, lambda: NOW)
    woken = [asyncio.Event() for _ in range(50)]
    for event in woken:
        assert await tail.join(event.set) == (0, 1)
    await commit(storage.storage, "one", "two")
    storage.statements.clear()
    await tail._look()
    # the numbers: none on SQLite; the events, and that there are no more
    assert len(storage.statements) == 2
    for event in woken:
        assert event.is_set()
        assert [found.revision for found in await tail.after(0)] == [1, 2]
        assert [found.revision for found in await tail.after(1)] == [2]
        assert await tail.after(2) == []
        tail.leave(event.set)
    assert len(storage.statements) == 2
    await tail._look()
    assert len(storage.statements) == 2


def test_what_is_seen_of_several_transformations():
    document = {"revision": 1, "type": "files.removed", "transformation": None}
    event = event_reading.Logged.of({**document, "data": {"count": 3, "ids": [1], "transformations": {"1": 2, "2": 5}}})
    assert event.seen_by({3}) is None
    assert event.seen_by({1, 2}).document["data"] == {"count": 7, "transformations": {"1": 2, "2": 5}}
    assert event.seen_by({2}).document["data"] == {"count": 5, "transformations": {"2": 5}}
