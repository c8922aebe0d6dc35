"""Work beside the calls: it begins and ends with the server, and its failures are its own."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from jsonrpc_tm.core import lifetimes
from jsonrpc_tm.core.containment import contained
from jsonrpc_tm.core.lifetimes import background, told


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_it_gets_the_service_and_is_cancelled_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    begun = asyncio.Event()

    async def work(service: str) -> None:
        seen.append(service)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("tidied")

    async with background(work)("the service"):
        await begun.wait()
    assert seen == ["the service", "tidied"]
    assert warnings(caplog) == []


async def test_one_that_cannot_begin_or_takes_long_says_whose_it_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def broken(service: None) -> AsyncIterator[None]:
        raise OSError("no broker")
        yield

    @asynccontextmanager
    async def slow(service: None) -> AsyncIterator[None]:
        while not caplog.records:  # noqa: ASYNC110
            await asyncio.sleep(0)
        yield

    with pytest.raises(RuntimeError, match=r"the lifetime of plugin mine cannot begin: OSError: no broker"):
        await told(broken, "mine")(None).__aenter__()
    assert warnings(caplog) == []
    monkeypatch.setattr(lifetimes, "LONG", 0.0)
    async with told(slow, "mine")(None):
        assert warnings(caplog) == ["the start waits for the lifetime of plugin mine"]


async def test_it_may_end_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def work(service: None) -> None:
        ended.set()

    async with background(work)(None):
        await ended.wait()
    assert warnings(caplog) == []


@pytest.mark.parametrize("failure", [ValueError("broken"), SystemExit(3), asyncio.CancelledError(), BaseException()])
async def test_its_failure_is_logged_and_nothing_else_ends(
    failure: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    failed = asyncio.Event()

    async def work(service: None) -> None:
        failed.set()
        raise failure

    async with background(work)(None):
        await failed.wait()
        await asyncio.sleep(0)
        [line] = warnings(caplog)
        assert "work failed; the server goes on without it" in line
        assert caplog.records[-1].exc_info is not None
    assert len(warnings(caplog)) == 1


async def test_what_does_not_end_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lifetimes, "GRACE", 0.01)
    begun, leave = asyncio.Event(), asyncio.Event()

    async def work(service: None) -> None:
        begun.set()
        while not leave.is_set():
            with suppress(asyncio.CancelledError):
                await leave.wait()

    async with background(work)(None):
        await begun.wait()
    [line] = warnings(caplog)
    assert "did not end within 0.01 s of being cancelled" in line
    leave.set()


async def test_the_server_ends_as_it_would_when_it_fails_itself() -> None:
    begun = asyncio.Event()
    ended: list[bool] = []

    async def work(service: None) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def serve() -> None:
        async with background(work)(None):
            await begun.wait()
            raise ValueError("the server's own")

    with pytest.raises(ValueError, match="the server's own"):
        await serve()
    assert ended == [True]


@pytest.mark.parametrize("error", [SystemExit(0), BaseException("x"), asyncio.CancelledError()])
async def test_what_would_end_more_than_the_work_becomes_an_exception(error: BaseException) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(RuntimeError, match=f"{type(error).__name__} was raised") as caught:
        await contained(work())
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), GeneratorExit()])
async def test_everything_else_is_raised_as_it_is(error: BaseException) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(type(error)):
        await contained(work())


async def test_who_is_cancelled_is_cancelled() -> None:
    task = asyncio.create_task(contained(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_work_of_the_servers_own_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    begun: list[str] = []
    third = asyncio.Event()

    async def work(service: str) -> None:
        begun.append(service)
        if len(begun) < 3:
            raise ValueError("once more")
        third.set()

    async with background(work, again=0.01)("server"), asyncio.timeout(20):
        await third.wait()
    assert caplog.text.count("it begins anew in 0.01 s") == 2
