"""From a loaded call to its result: rights that cannot be forgotten, questions that leave nothing, what follows."""

import asyncio
import dataclasses
import logging
from typing import Any

import pytest

from jsonrpc_tm.core import fields
from jsonrpc_tm.core.context import Context
from jsonrpc_tm.core.errors import Conflict, Forbidden, InternalError, InvalidState, NotFound
from jsonrpc_tm.core.identity import Transformation
from jsonrpc_tm.core.model import TRANSFORMATIONS
from jsonrpc_tm.domain.rows import TRANSFORMATION_SQL, Rows
from jsonrpc_tm.domain.work import Held, Work
from jsonrpc_tm.rpc.chain import Afterwards, Outside
from jsonrpc_tm.rpc.method import Change, Method, Read, Write

from .books import MEMORY, NAME, add, make, opened

TRANS = {"transName": fields.Transformation(required=True)}


async def forget(work: Work, transformation: Held) -> int:
    """Change a transformation and ask for nothing."""
    return await work.tx.execute(
        "UPDATE Transformations SET Description = :text WHERE TransformationID = :id",
        {"text": "changed", "id": transformation.id},
    )


async def forget_more(work: Work, transformation: Held, also: str) -> int:
    """Change every transformation."""
    return await work.tx.execute("UPDATE Transformations SET Description = :also", {"also": also})


FORGETFUL = [
    Method("tests.forget", forget, TRANS, access=Change(), rule="all"),
    Method("tests.forgetMore", forget_more, {"also": fields.Text(), **TRANS}, access=Change(), rule="all"),
]


@pytest.mark.parametrize(("method", "more"), [("tests.forget", []), ("tests.forgetMore", ["changed"])])
async def test_a_method_cannot_forget_the_right(url: str, method: str, more: list[str]) -> None:
    async with opened(url, *FORGETFUL) as books:
        await books.call("tests.make", "t", who="alice")
        for who, target, error in [
            ("carol", "t", Forbidden),
            ("carol", 1, Forbidden),
            ("visitor", "t", Forbidden),
            ("nobody", "t", Forbidden),
            # names cannot be probed: only who may change everything learns that there is none
            ("alice", "nosuch", Forbidden),
            ("manager", "nosuch", NotFound),
            ("manager", 2, NotFound),
        ]:
            with pytest.raises(error):
                await books.call(method, *more, target, who=who)
        assert await books.fetch("SELECT Description FROM Transformations") == [None]
        for who in ("alice", "bob", "manager"):
            assert await books.call(method, *more, "t", who=who) == 1
        assert await books.fetch("SELECT Description FROM Transformations") == ["changed"]


async def test_the_reason_of_a_refusal_is_for_the_audit_only() -> None:
    async with opened(MEMORY, *FORGETFUL) as books:
        await books.call("tests.make", "t", who="alice")
        with pytest.raises(Forbidden) as there:
            await books.call("tests.forget", "t", who="carol")
        with pytest.raises(Forbidden) as missing:
            await books.call("tests.forget", "u", who="carol")
        assert (there.value.message, there.value.data) == (
            missing.value.message.replace("'u'", "'t'"),
            missing.value.data,
        )
        assert "alice" in books.records[-2].reason
        assert "does not exist" in books.records[-1].reason


async def test_a_method_that_reads_gets_what_the_caller_may_see(url: str) -> None:
    async def show(work: Work, transformation: Transformation) -> list[Any]:
        """Tell what a policy knows."""
        return [transformation.id, transformation.name, transformation.author, transformation.group]

    async def write(work: Work, transformation: Transformation) -> None:
        """Change what was announced as only read."""
        await work.tx.execute("UPDATE Transformations SET Description = :text", {"text": "changed"})

    methods = [
        Method("tests.show", show, TRANS, access=Read("transName"), rule="all"),
        Method("tests.write", write, TRANS, access=Read("transName"), rule="all"),
    ]
    async with opened(url, *methods) as books:
        await books.call("tests.make", "t", who="alice")
        assert await books.call("tests.show", "1", who="visitor") == [1, "t", "alice", "sharers"]
        with pytest.raises(NotFound):
            await books.call("tests.show", "T", who="visitor")
        with pytest.raises(InternalError):
            await books.call("tests.write", "t")
        assert await books.fetch("SELECT Description FROM Transformations") == [None]


def test_held_cannot_be_made_by_hand() -> None:
    facts = (1, "t", "alice", "sharers", "Processing", "New")
    for grant in ((), (None,), (object(),), (True,)):
        with pytest.raises(TypeError, match=r"Work\.hold\(\)"):
            Held(*facts, *grant)
    with pytest.raises(TypeError):
        Held(**dataclasses.asdict(Transformation(*facts)))


async def test_held_cannot_be_turned_into_another() -> None:
    async def swap(work: Work, transformation: Held) -> None:
        """Take another one's identifier."""
        dataclasses.replace(transformation, id=2)

    async with opened(MEMORY, Method("tests.swap", swap, TRANS, access=Change(), rule="all")) as books:
        await books.call("tests.make", "t")
        with pytest.raises(InternalError):
            await books.call("tests.swap", "t")
        with pytest.raises(AttributeError):
            Transformation(1, "t", "", "", "", "").id = 2  # type: ignore[misc]


async def test_what_is_asked_leaves_nothing_behind(url: str) -> None:
    async def prepare(outside: Outside, name: str) -> list[Any]:
        async def question(work: Work) -> list[Any]:
            made = await make(work, name)
            held = await work.hold(made)
            await add(work, f"/{name}")
            if name == "refused":
                raise Conflict("It is there")
            return [held.id, len(work.events)]

        return [await outside.ask(question), await outside.read(count)]

    async def count(work: Work) -> int:
        return int(await work.tx.fetch_value("SELECT COUNT(*) FROM Transformations"))

    async def answer(work: Work, prepared: list[Any], name: str) -> list[Any]:
        """Tell what was asked."""
        return [*prepared, await count(work)]

    async with opened(url, Method("tests.ask", answer, NAME, access=Write(), prepare=prepare, rule="all")) as books:
        assert await books.call("tests.ask", "t") == [[1, 2], 0, 0]
        with pytest.raises(Conflict):
            await books.call("tests.ask", "refused")
        assert await books.files() == []
        assert books.events == []


async def test_events_are_told_when_they_are_true(url: str) -> None:
    seen: list[list[str]] = []

    async def refuse(work: Work, name: str) -> None:
        """Change something, and think better of it."""
        await add(work, name)
        raise InvalidState("no")

    async def read(work: Work) -> None:
        """Say that something changed, and change nothing."""
        work.emit("tests.lie", None)

    methods = [
        Method("tests.refuse", refuse, NAME, access=Write(), rule="all"),
        Method("tests.lie", read, access=Read(), rule="all"),
    ]
    async with opened(url, *methods) as books:
        with pytest.raises(InvalidState):
            await books.call("tests.refuse", "/a")
        await books.call("tests.lie")
        assert books.events == []
        await books.call("tests.add", "/b")
        seen.append(await books.files())
        assert [event.data for event in books.events] == [{"name": "/b"}]
        assert (books.events[0].request_id, books.events[0].author) == ("r", "manager")
    assert seen == [["/b"]]


@pytest.mark.parametrize("failure", [ValueError("secret"), Conflict("no"), SystemExit(3), asyncio.CancelledError()])
async def test_what_follows_may_fail_and_the_call_is_done_all_the_same(
    failure: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def after(outside: Afterwards, result: str, prepared: None, name: str) -> None:
        """Add another one."""
        await outside.write(add, f"{name}/after")
        raise failure

    async with opened(MEMORY, Method("tests.more", add, NAME, access=Write(), after=after, rule="all")) as books:
        assert await books.call("tests.more", "/a") == "/a"
        assert await books.files() == ["/a", "/a/after"]
        assert [event.data["name"] for event in books.events] == ["/a", "/a/after"]
        assert await books.call("tests.add", "/b") == "/b"
    assert [record.outcome for record in books.records] == ["ok", "ok"]
    [logged] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert logged.getMessage() == "tests.more was done, but not what follows: Add another one."
    assert (vars(logged)["request_id"], logged.exc_info is not None) == ("r", True)


async def test_prepare_and_after_get_the_parameters_that_they_name() -> None:
    seen: list[Any] = []

    async def prepare(outside: Outside, b: int) -> int:
        return b * 10

    async def handler(work: Work, prepared: int, a: int, b: int) -> int:
        """Add up."""
        return a + b + prepared

    async def after(outside: Afterwards, result: int, prepared: int, a: int) -> None:
        seen.append([result, prepared, a, outside.context.request_id])

    numbers = {"a": fields.Integer(), "b": fields.Integer()}
    method = Method("tests.sum", handler, numbers, access=Write(), prepare=prepare, after=after, rule="all")
    async with opened(MEMORY, method) as books:
        assert await books.call("tests.sum", 1, 2) == 23
    assert seen == [[23, 20, 1, "r"]]


def raising(error: BaseException, access: Any) -> Method:
    async def handler(work: Any) -> None:
        """Raise something."""
        raise error

    async def changing(work: Work, transformation: Held) -> None:
        """Raise something."""
        raise error

    function, params = (changing, TRANS) if isinstance(access, Change) else (handler, {})
    return Method("tests.raise", function, params, access=access, rule="all")


@pytest.mark.parametrize(
    "error", [SystemExit(0), BaseException("secret"), asyncio.CancelledError(), ValueError("secret")]
)
@pytest.mark.parametrize("access", [None, Read(), Write(), Change()])
async def test_whatever_a_method_raises_is_an_internal_error(
    url: str, access: Any, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(url, raising(error, access)) as books:
        await books.call("tests.make", "t")
        for _ in range(3):
            with pytest.raises(InternalError, match=r"\AInternal error\Z"):
                await books.call("tests.raise", *(["t"] if isinstance(access, Change) else []))
        # connections and threads are as they were
        assert await asyncio.gather(*(books.call("tests.add", f"/{number}") for number in range(20)))
        assert len(await books.files()) == 20
    assert [record.outcome for record in books.records] == ["ok", *["InternalError"] * 3, *["ok"] * 20]
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["tests.raise failed"] * 3


async def test_what_is_raised_while_preparing_is_an_internal_error() -> None:
    async def prepare(outside: Outside) -> None:
        raise SystemExit

    async with opened(MEMORY, Method("tests.slow", add, NAME, access=Write(), prepare=prepare, rule="all")) as books:
        with pytest.raises(InternalError):
            await books.call("tests.slow", "/a")
        assert await books.files() == []


async def test_a_listener_or_observer_that_raises_systemexit_ends_nothing() -> None:
    def listen(event: Any) -> None:
        raise SystemExit

    async with opened(MEMORY, listener=listen) as books:
        assert await books.call("tests.add", "/a") == "/a"
        assert [record.outcome for record in books.records] == ["ok"]


async def test_a_handler_knows_its_call() -> None:
    async def handler(outside: Outside) -> list[Any]:
        """Tell what is known."""
        context: Context = outside.context
        return [context.author, context.request_id, context.peer, context.timestamp, str(outside.started)]

    async with opened(MEMORY, Method("tests.tell", handler, rule="all")) as books:
        author, request_id, peer, timestamp, started = await books.call("tests.tell", who="nobody")
        assert (author, request_id, peer) == ("Unknown", "r", "192.0.2.1")
        assert started[:10] == timestamp[:10]


async def test_a_plugin_may_describe_rows_too() -> None:
    async def numbers(work: Work) -> Rows:
        """List transformations."""
        columns = {"TransformationID": TRANSFORMATION_SQL["TransformationID"]}
        return Rows(columns, "Transformations t", work.where(TRANSFORMATIONS, "t."))

    async with opened(MEMORY, Method("tests.numbers", numbers, access=Read(), rule="all", streams=10)) as books:
        await books.call("tests.make", "t", who="alice")
        assert await books.call("tests.numbers") == [{"TransformationID": 1}]
