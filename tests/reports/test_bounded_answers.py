"""What is small to ask is not large to answer, nor long to wait for: A6 and attack 9."""

import asyncio
import time
from typing import Any

import orjson
import pytest

from jsonrpc_tm.core import errors
from jsonrpc_tm.core.context import Context
from jsonrpc_tm.core.cutting import MOST, SHOWN
from jsonrpc_tm.core.identity import ANONYMOUS
from jsonrpc_tm.rpc import openrpc
from jsonrpc_tm.rpc.dispatch import Dispatcher
from jsonrpc_tm.rpc.service import Service
from jsonrpc_tm.tools.testing.local import LocalClient

from ..http.fakes import FakeService

ENTRY = {"jsonrpc": "2.0", "method": "rpc.discover"}


async def _answers(service: Any, entries: list[Any]) -> list[dict[str, Any]]:
    context = Context(ANONYMOUS, "r1", service.clock())
    body = await Dispatcher(service).handle(orjson.dumps(entries), context)
    assert body is not None
    found: list[dict[str, Any]] = orjson.loads(body)
    return found


class TestDiscover:
    @pytest.fixture
    def tm_settings(self) -> dict[str, Any]:
        return {"server.max_answer": "300 kB", "limits.anonymous_batch": 0}

    async def test_a6_a_batch_of_large_answers_ends_early(self, tm_service: Service) -> None:
        size = len(tm_service.document.text)
        whole = 300_000 // size + 1
        entries = [{**ENTRY, "id": number} for number in range(1000)]
        answers = await _answers(tm_service, entries)
        assert [answer["id"] for answer in answers] == list(range(1000))
        assert ["result" in answer for answer in answers] == [True] * whole + [False] * (1000 - whole)
        assert {answer["error"]["code"] for answer in answers[whole:]} == {-32600}
        assert {answer["error"]["data"]["reason"] for answer in answers[whole:]} == {"answer too large"}
        assert answers[whole]["error"]["data"]["index"] == whole

    async def test_a6_a_single_answer_may_be_as_large_as_it_is(self, tm_service: Service) -> None:
        text = "x" * 500_000
        assert await LocalClient(tm_service).call("echo", text) == text

    async def test_attack_9_the_document_is_made_once(
        self, tm_service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = []
        real = openrpc.document
        monkeypatch.setattr(openrpc, "document", lambda *given: made.append(1) or real(*given))
        monkeypatch.setattr(openrpc.Document, "__getitem__", lambda *_: pytest.fail("it is read again"))
        first, second = await _answers(tm_service, [{**ENTRY, "id": 1}, {**ENTRY, "id": 2}])
        assert first["result"] == second["result"]
        assert first["result"]["methods"]
        assert made == [1]


async def test_a6_what_does_not_run_has_no_effect_and_no_answer() -> None:
    service = FakeService(**{"server.max_answer": 100})
    echo = {"jsonrpc": "2.0", "method": "echo", "params": ["x" * 60]}
    answers = await _answers(service, [{**echo, "id": 1}, {**echo, "id": "b"}, echo, {**echo, "id": 4}, 5])
    assert [answer["id"] for answer in answers] == [1, "b", 4, None]
    assert len(service.calls) == 2
    assert [answer.get("error", {}).get("data", {}).get("reason") for answer in answers] == [
        *(None, None, "answer too large"),
        None,  # no request at all
    ]
    lifted = FakeService(**{"server.max_answer": 0})
    assert len(await _answers(lifted, [{**echo, "id": 1}] * 10)) == len(lifted.calls) == 10


async def test_a6_others_have_their_turn_between_the_entries_of_a_batch() -> None:
    class Busy(FakeService):
        async def call(self, context: Context, name: str, params: Any, outlet: Any = None) -> Any:
            time.sleep(0.006)  # noqa: ASYNC251 (work, as the loop sees it)
            return turns

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turns = 0
    task = asyncio.create_task(other())
    answers = await _answers(Busy(), [{"jsonrpc": "2.0", "method": "work", "id": number} for number in range(5)])
    task.cancel()
    assert [answer["result"] for answer in answers] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("number", [MOST, MOST + 1, 3000])
async def test_attack_9_an_error_tells_a_thousand_values_and_their_count(number: int) -> None:
    names = [f"/f{n}" for n in range(number)]
    for data in ({"missing": names}, {"errors": {"condDict": {name: ["Not a column."] for name in names}}}):
        error = errors.InvalidParams("no", **data, what="file")
        found = orjson.loads(orjson.dumps(error.data))
        member = next(iter(data))
        kept = found[member] if member == "missing" else found[member]["condDict"]
        assert list(kept) == names[:MOST]
        assert found["what"] == "file"
        assert found.get("counts") == (None if number == MOST else {member: number})


async def test_attack_9_values_that_are_told_are_whole() -> None:
    error = errors.NotFound("no", missing=["/" + "x" * 5000], nested={"a": [{}, [], {"b": 1}]})
    assert error.data == {"missing": ["/" + "x" * 5000], "nested": {"a": [{}, [], {"b": 1}]}}


@pytest.mark.parametrize("length", [SHOWN, SHOWN + 1, 5000])
async def test_attack_9_messages_are_cut_in_their_middle(length: int) -> None:
    sentence = f"{'x' * (length - 15)} does not exist"
    message = errors.NotFound(sentence).message
    assert len(message) == SHOWN
    assert message.endswith(" does not exist")
    assert (message == sentence) == (length == SHOWN)


class TestWrongNames:
    async def test_attack_9_wrong_keys_of_conditions_come_back_bounded(self, tm_client: Any) -> None:
        with pytest.raises(errors.InvalidParams) as refused:
            await tm_client("alice").call("getTransformations", {f"k{n}": 1 for n in range(5000)})
        assert len(refused.value.data["errors"]["condDict"]) == MOST
        assert refused.value.data["counts"] == {"errors": 5000}
