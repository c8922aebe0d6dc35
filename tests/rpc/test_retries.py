"""Calls that are sent again under their key happen once (section 8.6 of the specification)."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from jsonrpc_tm.api import hookimpl
from jsonrpc_tm.core import fields
from jsonrpc_tm.core.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    InvalidState,
    NotFound,
)
from jsonrpc_tm.core.identity import ANONYMOUS
from jsonrpc_tm.core.records import CallRecord
from jsonrpc_tm.domain.work import Held, Work
from jsonrpc_tm.rpc import old_keys
from jsonrpc_tm.rpc.chain import Afterwards, Outside
from jsonrpc_tm.rpc.dispatch import Dispatcher
from jsonrpc_tm.rpc.method import Change, Method, Write
from jsonrpc_tm.rpc.retries import LONGEST, key_of
from jsonrpc_tm.storage.keys import find
from jsonrpc_tm.tools.testing.cast import PEOPLE
from jsonrpc_tm.tools.testing.key_contract import once

from .books import MEMORY, call, context, opened


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"a b"', "a b"),
        (r'"a\"b\\"', 'a"b\\'),
        ("!*/:;,~\\", "!*/:;,~\\"),
        ("x" * LONGEST, "x" * LONGEST),
        (f'"{"x" * LONGEST}"', "x" * LONGEST),
        ('"' + r"\"" * LONGEST + '"', '"' * LONGEST),
    ],
)
async def test_a_key_may_be_a_token_or_a_string(header: str, text: str) -> None:
    async with opened(MEMORY) as books:
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        found = {key_of(context(books, one), "m", None, 60).name for one in (header, quoted)}
        assert len(found) == 1
        assert found != {key_of(context(books, "other"), "m", None, 60).name}


@pytest.mark.parametrize(
    "header",
    [
        *("", " ", '"', '""', "a b", 'a"b', '"a"b"', '"a', r'"\a"', '"a", "b"', "é", '"é"', "a\tb"),
        *("x" * (LONGEST + 1), f'"{"x" * (LONGEST + 1)}"'),
    ],
)
async def test_what_is_no_key_is_refused(header: str) -> None:
    async with opened(MEMORY) as books:
        with pytest.raises(InvalidRequest, match="Idempotency-Key must be 1 to 255"):
            await call(books, header, "tests.add", "/a")
        assert await books.files() == []
        # who reads, or is nobody, needs none
        assert await call(books, header, "echo", "x") == ("x", False)
        await call(books, header, "tests.add", "/a", who=ANONYMOUS)
        assert await books.files() == ["/a"]


async def test_the_first_result_comes_again(url: str) -> None:
    async with opened(url) as books:
        assert await call(books, "k", "tests.add", "/a") == ("/a", False)
        for _ in range(2):
            assert await call(books, '"k"', "tests.add", "/a") == ("/a", True)
        assert await books.files() == ["/a"]
        assert [event.data for event in books.events] == [{"name": "/a"}]
        assert [record.outcome for record in books.records] == ["ok"] * 3
        for other in (["/b"], {"name": "/a"}):
            with pytest.raises(Conflict) as raised:
                await books.service.call(context(books, "k"), "tests.add", other)
            assert raised.value.data == {"reason": "key reused"}
        # others have keys of their own, and so has the same caller in another group
        assert await call(books, "k", "tests.make", "t", who="alice") == (1, False)
        other = replace(PEOPLE["alice"], group="others")
        assert await call(books, "k", "tests.make", "u", who=other) == (2, False)


async def test_an_error_frees_the_key(url: str) -> None:
    refusing = ["state", "state"]

    async def fickle(work: Work, name: str) -> str:
        """Register a file, and find out that it should not have been."""
        await work.tx.execute("INSERT INTO DataFiles (LFN) VALUES (:name)", {"name": name})
        if refusing:
            raise InvalidState(refusing.pop())
        return name

    method = Method("tests.fickle", fickle, {"name": fields.Text(required=True)}, access=Write(), rule="all")
    async with opened(url, method) as books:
        for name in ("/a", "/b"):
            with pytest.raises(InvalidState):
                await call(books, "k", "tests.fickle", name)
        assert await call(books, "k", "tests.fickle", "/c") == ("/c", False)
        assert await call(books, "k", "tests.fickle", "/c") == ("/c", True)
        assert await books.files() == ["/c"]


@pytest.mark.parametrize("keep", [1e18, 4e10, 3600, 1, 0])
async def test_a_key_may_be_kept_for_any_time(keep: float) -> None:
    async with opened(MEMORY) as books:
        key = key_of(context(books, "k"), "tests.add", ["/a"], keep)
        assert (key.oldest < key.now) and key.oldest[:2] in ("", "10", key.now[:2])
        asked = replace(context(books, "k"), now=books.service.clock() + timedelta(seconds=2))
        await books.storage.run("first", lambda tx: once(tx, key, "/a"))
        kept = await books.storage.run("find", find, key_of(asked, "tests.add", ["/a"], keep), read=True)
        assert kept == (None if keep == 1 else '"/a"')


async def test_members_compare_in_any_order_and_values_as_sent() -> None:
    async with opened(MEMORY) as books:
        asked = context(books, "k")

        def digest(params: Any) -> str:
            return key_of(asked, "m", params, 60).digest

        assert digest({"a": 1, "b": {"c": 2, "d": [3]}}) == digest({"b": {"d": [3], "c": 2}, "a": 1})
        different = [None, [], {}, [1], [1.0], ["1"], [True], [None], [[1]], [1, 2], [2, 1], {"a": 1}, {"a": None}]
        assert len({digest(params) for params in different}) == len(different)
        assert digest([1]) != key_of(asked, "n", [1], 60).digest


async def test_it_comes_before_existence_right_and_state(url: str) -> None:
    """What the first call did may be what would now refuse it."""

    async def remove(work: Work, transformation: Held) -> str:
        """Take a transformation away."""
        await work.tx.execute("DELETE FROM TransformationLog WHERE TransformationID = :id", {"id": transformation.id})
        await work.tx.execute("DELETE FROM TaskCounters WHERE TransformationID = :id", {"id": transformation.id})
        await work.tx.execute("DELETE FROM Transformations WHERE TransformationID = :id", {"id": transformation.id})
        return transformation.name

    async def refuse(outside: Outside, name: str) -> None:
        """Refuse a name that is taken."""

        async def taken(work: Work) -> Any:
            sql = "SELECT 1 FROM DataFiles WHERE LFN = :name"
            return await work.tx.fetch_value(sql, {"name": name})

        if await outside.read(taken):
            raise Conflict("taken")

    async def register(work: Work, prepared: None, name: str) -> str:
        """Register a file."""
        await work.tx.execute("INSERT INTO DataFiles (LFN) VALUES (:name)", {"name": name})
        return name

    followed: list[str] = []

    async def follow(outside: Afterwards, result: str, prepared: None) -> None:
        """Write down what followed."""
        followed.append(result)

    trans = {"transName": fields.Transformation(required=True)}
    methods = [
        Method("tests.remove", remove, trans, access=Change(), rule="all"),
        Method(
            "tests.register",
            register,
            {"name": fields.Text(required=True)},
            access=Write(),
            prepare=refuse,
            after=follow,
            rule="all",
        ),
    ]
    async with opened(url, *methods) as books:
        await books.call("tests.make", "t", who="alice")
        assert await call(books, "k", "tests.remove", "t", who="alice") == ("t", False)
        assert await call(books, "k", "tests.remove", "t", who="alice") == ("t", True)
        with pytest.raises(Forbidden):
            await call(books, "j", "tests.remove", "t", who="alice")
        with pytest.raises(NotFound):
            await call(books, "k", "tests.remove", "t")
        assert await call(books, "k", "tests.register", "/a") == ("/a", False)
        assert await call(books, "k", "tests.register", "/a") == ("/a", True)
        # and what follows is the first one's
        assert followed == ["/a"]
        with pytest.raises(Conflict, match="taken"):
            await call(books, "j", "tests.register", "/a")
        with pytest.raises(Conflict, match="another call"):
            await call(books, "k", "tests.remove", "/a")


async def test_a_call_that_still_runs_is_waited_for_a_moment(mysql_url: str) -> None:
    """Here the first is on another server; its transaction holds the key."""
    async with opened(mysql_url) as books:
        held, go = asyncio.Event(), asyncio.Event()

        async def first(tx: Any) -> None:
            assert await tx.claim(key_of(context(books, "k"), "tests.add", ["/a"], 60)) is None
            held.set()
            await go.wait()

        running = asyncio.create_task(books.storage._storage.run("first", first))
        # or a failure here would wait for it
        asyncio.get_running_loop().call_later(5, go.set)
        await held.wait()
        with pytest.raises(Conflict) as raised:
            await call(books, "k", "tests.add", "/a")
        assert raised.value.data == {"reason": "key in use", "retryable": True}
        second = asyncio.create_task(call(books, "k", "tests.add", "/a"))
        await asyncio.sleep(0.1)
        go.set()
        await running
        assert await second == ("/a", False)


async def test_change_writers_write_once() -> None:
    written: list[str] = []

    async def write(work: Work, record: CallRecord) -> None:
        written.append(record.method)

    class Writing:
        @hookimpl
        def register_change_writer(self) -> Any:
            return [write]

    async with opened(MEMORY, plugins=[Writing()]) as books:
        for _ in range(3):
            await call(books, "k", "tests.add", "/a")
    assert written == ["tests.add"]


async def test_batches_have_a_key_for_each_entry() -> None:
    async with opened(MEMORY) as books:
        dispatcher = Dispatcher(books.service)

        async def send(*entries: tuple[str, list[Any]], key: str = '"k"') -> tuple[list[Any], bool]:
            asked = context(books, key)
            requests = [
                {"jsonrpc": "2.0", "method": name, "params": params, "id": index}
                for index, (name, params) in enumerate(entries)
            ]
            answer = await dispatcher.handle(orjson.dumps(requests), asked)
            assert answer is not None
            return [one.get("result", one.get("error")) for one in orjson.loads(answer)], asked.replayed

        both = ("tests.add", ["/a"]), ("echo", ["x"]), ("tests.add", ["/b"])
        assert await send(*both[:2]) == (["/a", "x"], False)
        # the first entry was there, the third was not
        assert await send(*both) == (["/a", "x", "/b"], False)
        assert await send(*both) == (["/a", "x", "/b"], True)
        assert await send(both[1]) == (["x"], False)
        # an entry that fails is none that was replayed, whatever it fails for
        found, replayed = await send(*both, ("tests.add", []))
        assert (found[:3], found[3]["data"]["type"], replayed) == (["/a", "x", "/b"], "InvalidParams", False)
        # alone, an entry's key may be named
        assert await call(books, "k/2", "tests.add", "/b") == ("/b", True)
        found, _ = await send(*both, key="")
        assert [found[0]["data"]["type"], found[1]] == ["InvalidRequest", "x"]
        assert await books.files() == ["/a", "/b"]


async def test_a_result_with_ids_as_keys_comes_again_as_it_was() -> None:
    async def numbers(work: Work) -> Any:
        """Return what is no JSON as it stands."""
        return {1: [{"2": 3.0}], "ü": None}

    async with opened(MEMORY, Method("tests.numbers", numbers, access=Write(), rule="all")) as books:
        found = [await call(books, "k", "tests.numbers") for _ in range(2)]
        assert [orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS) for result, _ in found] == [
            '{"1":[{"2":3.0}],"ü":null}'.encode()
        ] * 2
        assert [replayed for _, replayed in found] == [False, True]


async def test_old_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the present stay, and a server that has nothing to forget writes nothing."""
    monkeypatch.setattr(old_keys, "SECONDS", 0.001)
    async with opened(MEMORY) as books:
        await call(books, "old", "tests.add", "/a")
        await books.storage.run("age", _age)
        await call(books, "new", "tests.add", "/b")
        for _ in range(1000):
            if await books.fetch("SELECT COUNT(*) FROM CallKeys") == [1]:
                break
            await asyncio.sleep(0.01)
        assert await books.fetch("SELECT COUNT(*) FROM CallKeys") == [1]
        assert await call(books, "new", "tests.add", "/b") == ("/b", True)


async def _age(tx: Any) -> None:
    await tx.execute("UPDATE CallKeys SET CreatedAt = :then", {"then": "2000-01-01 00:00:00"})
