"""Attack 8: what all callers together may have in flight is bounded, and one of them alone always passes."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from jsonrpc_tm.api import Method, Read, Write, hookimpl
from jsonrpc_tm.core.errors import Unavailable
from jsonrpc_tm.http.limits import Budget, Share
from jsonrpc_tm.rpc.dispatch import Dispatcher
from jsonrpc_tm.rpc.service import Service

from ..http.fakes import ECHO, HEAD, Wire, is_refused, make_service, serving

KB = 1000


@contextlib.asynccontextmanager
async def _sending(wire: Wire, size: int, sent: int) -> AsyncIterator[Any]:
    """Send a part of a request, and give what sends the rest and returns the answer."""
    body = json.dumps({**ECHO, "params": ["x" * size]}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:sent])

    async def rest() -> bytes:
        writer.write(body[sent:])
        return await reader.read()

    yield rest
    writer.close()


async def _taken(wire: Wire) -> Any:
    """Return the answer to a small call, once others have so much in flight that it is refused."""
    async with asyncio.timeout(20):
        while (response := await wire.post(ECHO)).status == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return response


async def test_attack_8_above_the_budget_calls_are_refused_and_one_alone_passes() -> None:
    async with serving(make_service(**{"limits.memory": 150 * KB})) as wire:
        async with _sending(wire, 400 * KB, 150 * KB) as rest:
            response = await _taken(wire)
            assert await is_refused(response, 503, -32051, "Unavailable")
            assert (await response.json())["error"]["data"]["retryable"] is True
            assert int(response.headers["Retry-After"]) > 0
            assert b'"result":"xxx' in await rest()
        assert (await wire.post(ECHO)).status == 200


async def test_attack_8_what_is_decompressed_counts() -> None:
    async with serving(make_service(**{"limits.memory": 500 * KB})) as wire:
        bomb = gzip.compress(json.dumps({**ECHO, "params": ["x" * 900 * KB]}).encode())
        assert (await wire.post(bomb, Content_Encoding="gzip")).status == 200
        async with _sending(wire, 100 * KB, 50 * KB) as rest:
            await asyncio.sleep(0.1)
            assert await is_refused(await wire.post(bomb, Content_Encoding="gzip"), 503, -32051, "Unavailable")
            assert b'"result":"xxx' in await rest()
        assert (await wire.post(bomb, Content_Encoding="gzip")).status == 200


async def test_attack_8_answers_that_are_not_read_count() -> None:
    async def text(outside: Any) -> str:
        """Return a long text."""
        return "x" * 2**23

    settings = {"limits.memory": 100 * KB, "server.write_timeout": 0.3}
    async with serving(make_service(Method("text", text, rule="all"), **settings)) as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port, limit=1000)
        body = json.dumps({"jsonrpc": "2.0", "method": "text", "id": 1}).encode()
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert await reader.readexactly(4) == b"HTTP"
        assert await is_refused(await _taken(wire), 503, -32051, "Unavailable")
        # who does not read is given up, and the others go on
        async with asyncio.timeout(20):
            while (await wire.post(ECHO)).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        writer.close()


async def test_attack_8_0_lifts_the_budget() -> None:
    async with serving(make_service(**{"limits.memory": 0})) as wire, _sending(wire, 400 * KB, 150 * KB) as rest:
        await asyncio.sleep(0.05)
        assert (await wire.post(ECHO)).status == 200
        assert b'"result":"xxx' in await rest()


class TestAnswers:
    """A read whose answer has no room is refused; what was changed is told in any case."""

    @pytest.fixture
    def tm_plugins(self) -> list[Any]:
        async def long(work: Any) -> str:
            """Return a long text."""
            return "x" * 1000

        @hookimpl
        def register_methods() -> Any:
            yield Method("long.read", long, access=Read(), rule="all")
            yield Method("long.write", long, access=Write(), rule="all")

        return [SimpleNamespace(register_methods=register_methods, __name__="long", JSONRPC_TM_API=1)]

    async def test_attack_8_reads_are_refused_and_changes_are_told(self, tm_service: Service) -> None:
        budget = Budget({"limits.memory": 2000})
        dispatcher = Dispatcher(tm_service)
        entries = [{"jsonrpc": "2.0", "method": f"long.{kind}", "id": kind} for kind in ("read", "write")]

        async def asked(request: Any) -> Any:
            with Share(budget) as share:
                answer = await dispatcher.handle(orjson.dumps(request), tm_service.context(), None, share.answer)
            return orjson.loads(answer or b"")

        assert [answer["id"] for answer in await asked(entries)] == ["read", "write"]
        other = Share(budget)
        with other:
            other.take(1500)
            read, write = await asked(entries)
            assert (read["error"]["code"], read["error"]["data"]["type"]) == (-32051, "Unavailable")
            assert write["result"] == "x" * 1000
            with pytest.raises(Unavailable):
                await asked(entries[0])
            assert (await asked(entries[1]))["result"] == "x" * 1000

    async def test_attack_8_the_answers_of_a_batch_count_while_it_runs(self, tm_service: Service) -> None:
        budget = Budget({"limits.memory": 5000})
        dispatcher = Dispatcher(tm_service)
        entries = [{"jsonrpc": "2.0", "method": "long.read", "id": number} for number in range(4)]

        async def asked(share: Share) -> tuple[int, int]:
            answer = await dispatcher.handle(orjson.dumps(entries), tm_service.context(), None, share.answer)
            share.send(len(answer or b""))
            return sum("result" in one for one in orjson.loads(answer or b"")), len(answer or b"")

        first, second = Share(budget), Share(budget)
        with first, second:
            assert (await asked(first))[0] == 4
            taken = budget.used
            given, size = await asked(second)
            assert given == 0
            assert budget.used == taken + size
        assert budget.used == 0


def test_attack_8_callers_without_credentials_leave_half_to_the_others() -> None:
    budget = Budget({"limits.memory": 100})
    one, other, known = Share(budget), Share(budget), Share(budget)
    one.stranger = other.stranger = True
    with one, other:
        one.take(40)
        other.take(10)
        with pytest.raises(Unavailable):
            other.take(1)
        with known:
            known.take(50)
    with one:
        one.take(1000)  # alone
    assert (budget.used, budget.strangers) == (0, 0)


async def test_attack_8_who_shows_no_credentials_is_such_a_caller() -> None:
    service = make_service(**{"limits.memory": 200 * KB, "limits.anonymous_body": 0})
    async with (
        serving(service) as wire,
        _sending(wire, 400 * KB, 60 * KB) as rest,
        _sending(wire, 400 * KB, 60 * KB) as more,
    ):
        answers = await asyncio.gather(rest(), more())
    assert sorted(b" 503 " in answer for answer in answers) == [False, True]


def test_attack_8_everything_is_given_back() -> None:
    budget = Budget({"limits.memory": 100})
    first, second = Share(budget), Share(budget)
    with first, second:
        first.take(60)
        second.take(40)
        with pytest.raises(Unavailable):
            second.take(1)
        second.answer(50, needed=True)
        assert budget.used == 150
    assert budget.used == 0
    first.take(1000)  # alone
