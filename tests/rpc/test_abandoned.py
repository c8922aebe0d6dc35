"""Callers that go away: what they asked for is done or not done, told and recorded once, and waited for at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jsonrpc_tm.core import lifetimes
from jsonrpc_tm.core.errors import Conflict
from jsonrpc_tm.domain.work import Work
from jsonrpc_tm.rpc.chain import Afterwards, Outside
from jsonrpc_tm.rpc.method import Method, Write
from jsonrpc_tm.rpc.service import Service

from .books import MEMORY, NAME, add, opened


async def abandon(calling: "asyncio.Task[Any]") -> None:
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_what_a_cancelled_caller_changed_is_told_and_recorded_once(url: str) -> None:
    async with opened(url) as books:
        books.storage.finish.clear()
        calling = asyncio.create_task(books.call("tests.add", "/a"))
        await books.storage.committed.wait()
        await abandon(calling)
        # nobody knows yet
        assert (books.events, books.records) == ([], [])
        books.storage.finish.set()
    [event], [record] = books.events, books.records
    assert (event.type, event.data, event.author) == ("tests.added", {"name": "/a"}, "manager")
    assert (record.method, record.outcome, record.reason, record.changes) == ("tests.add", "ok", "", True)
    assert (record.request_id, record.address, record.identity.username) == ("r", "192.0.2.1", "manager")


async def test_a_transaction_that_has_not_begun_goes_on_too(url: str) -> None:
    async with opened(url) as books:
        books.storage.begin.clear()
        calling = asyncio.create_task(books.call("tests.add", "/a"))
        await books.storage.asked.wait()
        await abandon(calling)
        assert await books.files() == []
        books.storage.begin.set()
        await books.recorded(1)
        assert await books.files() == ["/a"]
    assert [record.outcome for record in books.records] == ["ok"]
    assert len(books.events) == 1


async def test_a_refusal_that_nobody_hears_is_recorded_and_changes_nothing() -> None:
    async def refuse(work: Work, name: str) -> None:
        """Change something, and think better of it."""
        await add(work, name)
        raise Conflict("It is there")

    async def fail(work: Work, name: str) -> None:
        """Change something, and fail."""
        await add(work, name)
        raise ValueError("secret")

    methods = [
        Method("tests.refuse", refuse, NAME, access=Write(), rule="all"),
        Method("tests.fail", fail, NAME, access=Write(), rule="all"),
    ]
    async with opened(MEMORY, *methods) as books:
        for name in ("tests.refuse", "tests.fail"):
            books.storage.begin.clear()
            books.storage.asked.clear()
            calling = asyncio.create_task(books.call(name, "/a"))
            await books.storage.asked.wait()
            await abandon(calling)
            books.storage.begin.set()
        await books.recorded(2)
        assert await books.files() == []
    assert books.events == []
    assert [(record.outcome, record.reason) for record in books.records] == [
        ("Conflict", "It is there"),
        ("InternalError", "ValueError"),
    ]


@pytest.mark.parametrize("hops", range(6))
async def test_a_caller_that_goes_when_all_is_done_is_recorded_truly(hops: int) -> None:
    calling: asyncio.Task[Any]

    def cancel(left: int) -> None:
        if left:
            asyncio.get_running_loop().call_soon(cancel, left - 1)
        else:
            calling.cancel()

    async with opened(MEMORY, listener=lambda event: cancel(hops)) as books:
        calling = asyncio.create_task(books.call("tests.add", "/a"))
        with contextlib.suppress(asyncio.CancelledError):
            await calling
        assert await books.files() == ["/a"]
    assert [record.outcome for record in books.records] == ["ok"]
    assert len(books.events) == 1


async def test_what_is_prepared_ends_with_its_caller() -> None:
    preparing, never = asyncio.Event(), asyncio.Event()

    async def prepare(outside: Outside) -> None:
        preparing.set()
        await never.wait()

    method = Method("tests.slow", add, NAME, access=Write(), prepare=prepare, rule="all")
    async with opened(MEMORY, method) as books:
        calling = asyncio.create_task(books.call("tests.slow", "/a"))
        await preparing.wait()
        await abandon(calling)
        assert await books.files() == []
    assert [(record.outcome, record.reason) for record in books.records] == [("Cancelled", "the call was cancelled")]


async def test_what_follows_the_commit_is_done_once_for_a_caller_that_has_gone() -> None:
    followed: list[str] = []

    async def after(outside: Afterwards, result: str, prepared: None) -> None:
        await outside.write(add, "/after")
        followed.append(result)

    method = Method("tests.more", add, NAME, access=Write(), after=after, rule="all")
    async with opened(MEMORY, method) as books:
        books.storage.finish.clear()
        calling = asyncio.create_task(books.call("tests.more", "/a"))
        await books.storage.committed.wait()
        await abandon(calling)
        books.storage.finish.set()
        await books.recorded(1)
        assert await books.files() == ["/a", "/after"]
    assert followed == ["/a"]
    assert [event.data["name"] for event in books.events] == ["/a", "/after"]


async def test_the_service_does_not_wait_for_ever_for_what_follows_a_commit(caplog: pytest.LogCaptureFixture) -> None:
    async def after(outside: Afterwards, result: str, prepared: None) -> None:
        following.set()
        await asyncio.Event().wait()

    following = asyncio.Event()
    method = Method("tests.more", add, NAME, access=Write(), after=after, rule="all")
    async with asyncio.timeout(10):
        async with opened(MEMORY, method, grace=0.05) as books:
            calling = asyncio.create_task(books.call("tests.more", "/a"))
            await following.wait()
            await abandon(calling)
    assert "1 call(s) whose callers have gone still run after 0.05 s" in caplog.text
    assert [event.data["name"] for event in books.events] == ["/a"]


async def test_a_timeout_around_a_call_is_a_timeout() -> None:
    async with opened(MEMORY) as books:
        books.storage.begin.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await books.call("tests.add", "/a")
        books.storage.begin.set()


async def test_the_service_ends_when_such_transactions_have_ended_while_lifetimes_still_hear_of_them() -> None:
    heard: list[int] = []

    @contextlib.asynccontextmanager
    async def lifetime(service: Service) -> AsyncIterator[None]:
        yield
        heard.append(len(books.records))

    async with opened(MEMORY, lifetimes=[lifetime]) as books:
        books.storage.begin.clear()
        calling = asyncio.create_task(books.call("tests.add", "/a"))
        await books.storage.asked.wait()
        await abandon(calling)
        asyncio.get_running_loop().call_later(0.05, books.storage.begin.set)
        assert books.records == []
    assert heard == [1]
    assert [record.outcome for record in books.records] == ["ok"]


async def test_background_work_ends_with_the_service_and_what_it_changes_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifetimes, "GRACE", 0.01)
    begun = asyncio.Event()

    async def work(service: Service) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            books.storage.begin.clear()
            asyncio.get_running_loop().call_later(0.05, books.storage.begin.set)
            await service.call(service.context(), "tests.add", ["/last"])

    async with opened(MEMORY, lifetimes=[lifetimes.background(work)]) as books:
        await begun.wait()
    await books.recorded(1)
    assert [event.data["name"] for event in books.events] == ["/last"]
    assert [record.outcome for record in books.records] == ["ok"]
