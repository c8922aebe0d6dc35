"""Calls under a key whose requests, answers or transactions are lost (section 8.6 of the specification)."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.client import ConnectionFailed, base
from jsonrpc_tm.core import fields
from jsonrpc_tm.core.errors import (
    InvalidParams,
    StorageUnavailable,
    TMError,
    Unavailable,
)
from jsonrpc_tm.domain.work import Work
from jsonrpc_tm.rpc.dispatch import failure
from jsonrpc_tm.rpc.method import Method, Write
from jsonrpc_tm.tools.testing.cast import PEOPLE
from jsonrpc_tm.tools.testing.local import LocalClient

from .books import MEMORY, Books, call, opened


class Broken:
    """What goes wrong with a call: nothing, a rollback, or the answer to a commit that happened."""

    def __init__(self, books: Books) -> None:
        self.storage = books.storage._storage
        self.how = ""

    async def __aexit__(self, *exc: object) -> None:
        await self.storage.__aexit__(*exc)

    async def run(self, name: str, body: Any, *args: Any, **kwargs: Any) -> Any:
        how, self.how = self.how, ""

        async def failing(tx: Any, *given: Any) -> Any:
            result = await body(tx, *given)
            if how == "rollback":
                raise StorageUnavailable("lost before")
            return result

        result = await self.storage.run(name, failing, *args, **kwargs)
        if how == "answer":
            raise StorageUnavailable("lost after", outcome="unknown")
        return result


CALL = st.tuples(st.sampled_from("abc"), st.sampled_from(["", "", "rollback", "answer"]))


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
async def test_whatever_is_lost_each_effect_comes_once(engine: str, request: pytest.FixtureRequest) -> None:
    """Calls are retried in any order; what each of them did is there once, and its result is always the same."""
    url = MEMORY if engine == "sqlite" else str(request.getfixturevalue("mysql_url"))
    counted = Method("tests.count", _count, {"name": fields.Text(required=True)}, access=Write(), rule="all")
    async with opened(url, counted) as books:
        broken = Broken(books)
        books.storage._storage = broken
        loop = asyncio.get_running_loop()
        turn = 0

        async def play(calls: list[tuple[str, str]]) -> None:
            nonlocal turn
            turn += 1
            told: dict[str, int] = {}
            done: set[str] = set()
            for name, how in calls:
                broken.how = how
                with contextlib.suppress(TMError):
                    result, replayed = await call(books, f"{turn}-{name}", "tests.count", f"/{turn}/{name}")
                    assert replayed == (name in done)
                    assert told.setdefault(name, result) == result
                if how != "rollback":
                    done.add(name)
            found = await books.fetch(f"SELECT LFN FROM DataFiles WHERE LFN LIKE '/{turn}/%' ORDER BY LFN")
            assert found == [f"/{turn}/{name}" for name in sorted(done)]

        @settings(max_examples=25, suppress_health_check=list(HealthCheck))
        @given(calls=st.lists(CALL, max_size=10))
        def examples(calls: list[tuple[str, str]]) -> None:
            asyncio.run_coroutine_threadsafe(play(calls), loop).result()

        await asyncio.to_thread(examples)


class Lossy(LocalClient):
    """Loses what *losing* says of each request: the request, the answer, or nothing."""

    def __init__(self, books: Books, losing: list[str]) -> None:
        super().__init__(books.service, PEOPLE["manager"])
        self.losing = losing
        self.keys: list[str] = []

    async def _send(self, body: bytes, headers: Mapping[str, str] = {}) -> tuple[int, bytes]:
        self.keys.append(headers.get("Idempotency-Key", ""))
        lost = self.losing.pop(0) if self.losing else ""
        if lost == "request":
            raise ConnectionFailed("lost", sent=False)
        if lost == "busy":
            return 503, failure(Unavailable("too much"), "r")
        answer = await super()._send(body, headers)
        if lost == "answer":
            raise ConnectionFailed("lost", sent=True)
        return answer


async def test_the_client_goes_on_until_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PAUSES", (0.0, 0.0))
    async with opened(MEMORY) as books:
        client = Lossy(books, ["request", "answer", "busy", "answer"])
        assert await client.once("tests.add", ["/a"]) == "/a"
        assert await books.files() == ["/a"]
        assert len(client.keys) == 5
        assert len(set(client.keys)) == 1
        assert await client.once("tests.add", {"name": "/b"}) == "/b"
        assert len(set(client.keys)) == 2
        # a key of one's own outlives the client
        for _ in range(2):
            assert await Lossy(books, ["answer"]).once("tests.add", ["/c"], key='mine "\\') == "/c"
        calls = [("tests.add", ["/d"]), ("tests.add", {"name": "/e"})]
        for _ in range(2):
            assert await client.batch(calls, key="k") == ["/d", "/e"]
        assert await books.files() == ["/a", "/b", "/c", "/d", "/e"]
        for key in ("", "é", "a\nb", "x" * 256):
            with pytest.raises(ValueError, match="nothing was sent"):
                await client.once("tests.add", ["/f"], key=key)
        with pytest.raises(InvalidParams):
            await client.once("tests.add", [1])
        client.losing[:] = ["request"] * 9
        with pytest.raises(ConnectionFailed):
            await client.once("tests.add", ["/f"], patience=-1)
        assert await books.files() == ["/a", "/b", "/c", "/d", "/e"]


async def _count(work: Work, name: str) -> int:
    """Register a file and return its number."""
    return await work.tx.insert("INSERT INTO DataFiles (LFN) VALUES (:name)", {"name": name})
