"""JSON-RPC 2.0 as its specification has it, and what section 2 of ours adds."""

import gc
import json
from typing import Any

import pytest

from jsonrpc_tm.core import errors
from jsonrpc_tm.core.context import Context
from jsonrpc_tm.core.identity import ANONYMOUS
from jsonrpc_tm.rpc.dispatch import Dispatcher
from tests.http.fakes import FakeService


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def send(service: FakeService):
    dispatcher = Dispatcher(service)  # type: ignore[arg-type]

    async def _send(body: Any) -> Any:
        raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        answer = await dispatcher.handle(raw, Context(ANONYMOUS, "r1", service.now, "127.0.0.1"))
        return None if answer is None else json.loads(answer)

    return _send


def request(method: str, *params: Any, id: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": list(params), "id": id}


def is_error(answer: Any, code: int, kind: str, id: Any = None) -> bool:
    assert set(answer) == {"jsonrpc", "error", "id"}
    assert answer["jsonrpc"] == "2.0"
    error = answer["error"]
    assert isinstance(error["message"], str)
    assert error["data"]["request_id"] == "r1"
    assert (error["code"], error["data"]["type"], answer["id"]) == (code, kind, id)
    return True


# The examples of section 7 of the JSON-RPC 2.0 specification, in its order: what is sent, what comes back
# (an int stands for an error object of this code).
EXAMPLES: list[tuple[str, Any]] = [
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        {"jsonrpc": "2.0", "result": 19, "id": 1},
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        {"jsonrpc": "2.0", "result": -19, "id": 2},
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        {"jsonrpc": "2.0", "result": 19, "id": 3},
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        {"jsonrpc": "2.0", "result": 19, "id": 4},
    ),
    ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', (-32601, "1")),
    ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', (-32700, None)),
    ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', (-32600, None)),
    (
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]',
        (-32700, None),
    ),
    ("[]", (-32600, None)),
    ("[1]", [(-32600, None)]),
    ("[1,2,3]", [(-32600, None), (-32600, None), (-32600, None)]),
    (
        """[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]""",
        [
            {"jsonrpc": "2.0", "result": 7, "id": "1"},
            {"jsonrpc": "2.0", "result": 19, "id": "2"},
            (-32600, None),
            (-32601, "5"),
            {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"},
        ],
    ),
    (
        """[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
        ]""",
        None,
    ),
]


def brief(answer: Any) -> Any:
    if isinstance(answer, list):
        return [brief(one) for one in answer]
    if answer is not None and "error" in answer:
        return answer["error"]["code"], answer["id"]
    return answer


@pytest.mark.parametrize(("sent", "expected"), EXAMPLES)
async def test_examples_of_the_specification(send, sent: str, expected: Any) -> None:
    assert brief(await send(sent)) == expected


@pytest.mark.parametrize("id", [0, -1, 2**63 - 1, -(2**63 - 1), 1.5, "", "a", "\u0000", "😀", None])
async def test_every_kind_of_id_comes_back(send, id: Any) -> None:
    assert await send(request("sum", 1, 2, id=id)) == {"jsonrpc": "2.0", "result": 3, "id": id}


@pytest.mark.parametrize(
    ("bad", "id"),
    [
        (one, None)
        for one in (
            {"jsonrpc": "2.0", "method": "echo", "params": [1], "id": True},
            {"jsonrpc": "2.0", "method": "echo", "params": [1], "id": {}},
            {"jsonrpc": "2.0", "method": "echo", "params": [1], "id": [1]},
            {"jsonrpc": "2.0", "method": "echo", "params": [1], "id": 2**63},
            {"jsonrpc": "2.0", "method": "echo", "params": [1], "id": -(2**63)},
            {},
            1,
            '"echo"',
            None,
            True,
        )
    ]
    + [
        (one, 1)
        for one in (
            {"jsonrpc": "2.0", "method": "echo", "params": "x", "id": 1},
            {"jsonrpc": "2.0", "method": "echo", "params": 1, "id": 1},
            {"jsonrpc": "2.0", "method": "echo", "params": None, "id": 1},
            {"jsonrpc": "2.0", "method": None, "id": 1},
            {"jsonrpc": "2.0", "method": ["echo"], "id": 1},
            {"jsonrpc": "2.0", "id": 1},
            {"jsonrpc": 2.0, "method": "echo", "id": 1},
            {"jsonrpc": "1.0", "method": "echo", "id": 1},
            {"method": "echo", "params": [1], "id": 1},
            {"JSONRPC": "2.0", "Method": "echo", "id": 1},
            {"jsonrpc": "2.0", "result": 1, "id": 1},
            {"id": 1},
        )
    ]
    + [
        ({"id": "x"}, "x"),
        ({"id": ""}, ""),
        ({"id": -1.5}, -1.5),
        ({"id": 1e30}, 1e30),
        ({"id": 2**63 - 1}, 2**63 - 1),
        ({"jsonrpc": "1.0", "method": 1, "params": 2, "id": 0}, 0),
        ({"jsonrpc": "2.0", "method": "echo", "params": [2**64], "id": 7}, 7),
        ({"jsonrpc": "2.0", "method": "echo", "params": [10**400], "id": 1e30}, 1e30),
        ({"jsonrpc": "2.0", "method": "echo", "params": [-(2**63)], "id": -(10**30)}, None),
        ({"jsonrpc": "2.0", "method": "echo", "params": {"a": 2**63}}, None),
    ],
)
async def test_what_is_no_request_object_is_invalid_and_does_not_run(
    send, service: FakeService, bad: Any, id: Any
) -> None:
    assert is_error(await send(bad), -32600, "InvalidRequest", id)
    assert service.calls == []
    good = request("sum", 1, 1)
    first, second, third = await send([good, bad, good])
    assert first == third == {"jsonrpc": "2.0", "result": 2, "id": 1}
    assert is_error(second, -32600, "InvalidRequest", id)
    assert second["error"]["data"]["index"] == 1


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (nested(16), "nested deeper than 16 levels"),
        (nested(300), "nested deeper than 16 levels"),
        (nested(5000), "nested deeper than 16 levels"),
        ('["' + "x" * (2**20 + 1) + '"]', "a text is longer than 1048576 characters"),
        ("[1, -9223372036854775808]", "an integer is beyond 64 bits"),
        ('{"a": ' + "1" * 5000 + "}", "an integer is beyond 64 bits"),
    ],
)
async def test_what_exceeds_a_limit_is_answered_with_its_id(send, service: FakeService, params: str, says: str) -> None:
    before = f'{{"id": "a", "jsonrpc": "2.0", "method": "echo", "params": {params}}}'
    after = f'{{"jsonrpc": "2.0", "method": "echo", "params": {params}, "id": "a"}}'
    for body in (before, after):
        answer = await send(body)
        assert is_error(answer, -32600, "InvalidRequest", "a")
        assert answer["error"]["message"] == f"Invalid request: {says}"
    assert service.calls == []
    if params != nested(5000):  # too deep for the parser itself: there are no entries then
        good = json.dumps(request("echo", "99999999999999999999", [[1e30], nested(40)], 2**63 - 1, id=2))
        first, second, third = await send(f"[{good}, {before}, {good}]")
        assert first == third == {"jsonrpc": "2.0", "result": "99999999999999999999", "id": 2}
        assert is_error(second, -32600, "InvalidRequest", "a")
        assert second["error"]["data"]["index"] == 1
        assert service.calls == [("echo", ["99999999999999999999", [[1e30], nested(40)], 2**63 - 1])] * 2


async def test_a_batch_too_deep_for_the_parser_is_refused_as_a_whole(send, service: FakeService) -> None:
    assert is_error(await send(f'[{{"id": 1}}, {{"id": 2, "params": {nested(5000)}}}]'), -32600, "InvalidRequest")


async def test_entries_may_be_as_deep_as_single_requests(send) -> None:
    answers = await send(f'[{{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {nested(15)}}}, 1]')
    assert answers[0]["result"] == json.loads(nested(14))


async def test_further_members_are_ignored(send) -> None:
    assert await send({**request("sum", 1), "trace": {"a": [1]}, "result": 1}) == {
        "jsonrpc": "2.0",
        "result": 1,
        "id": 1,
    }


async def test_params_reach_the_service_whole(send, service: FakeService) -> None:
    named = {"self": 1, "context": 2, "params": 3, "name": 4}
    await send({"jsonrpc": "2.0", "method": "echo", "params": named, "id": 1})
    await send({"jsonrpc": "2.0", "method": "echo", "params": [[]], "id": 1})
    await send({"jsonrpc": "2.0", "method": "get_data", "id": 1})
    assert service.calls == [("echo", named), ("echo", [[]]), ("get_data", None)]


async def test_notifications_run_and_are_silent_whatever_happens(send, service: FakeService) -> None:
    for method in ("update", "refuse", "bug", "broken", "unserialisable", "nothing", "rpc.nothing"):
        assert await send({"jsonrpc": "2.0", "method": method}) is None
    assert len(service.calls) == 7
    assert await send([{"jsonrpc": "2.0", "method": "bug"}, {"jsonrpc": "2.0", "method": "update"}]) is None


async def test_a_batch_runs_in_order(send, service: FakeService) -> None:
    answers = await send([request("echo", n, id=n) for n in range(10)])
    assert [answer["result"] for answer in answers] == list(range(10))
    assert [params[0] for _, params in service.calls] == list(range(10))


async def test_each_entry_of_a_batch_has_a_context_with_its_own_time(send, service: FakeService) -> None:
    begin = service.now
    await send(request("echo", 1))
    await send([request("echo", n, id=n) for n in range(3)])
    assert [int((context.now - begin).total_seconds()) for context in service.contexts] == [0, 1, 2, 3]
    assert {(context.request_id, context.peer) for context in service.contexts} == {("r1", "127.0.0.1")}


async def test_a_batch_over_the_limit_is_one_error_and_runs_nothing(send, service: FakeService) -> None:
    assert is_error(await send([request("sum", 1)] * 21), -32600, "InvalidRequest")
    assert service.calls == []
    assert len(await send([request("sum", 1)] * 20)) == 20


@pytest.mark.parametrize("name", ["rpc.", "rpc.nothing", "", "ECHO", "echo ", "é", "x" * 10_000])
async def test_unknown_methods(send, name: str) -> None:
    assert is_error(await send(request(name)), -32601, "MethodNotFound", 1)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.InvalidParams, -32602),
        (errors.InternalError, -32603),
        (errors.Unauthenticated, -32001),
        (errors.Forbidden, -32003),
        (errors.NotFound, -32004),
        (errors.Conflict, -32009),
        (errors.InvalidState, -32010),
        (errors.StorageUnavailable, -32050),
        (errors.CatalogError, -32060),
    ],
)
async def test_the_error_table(send, service: FakeService, kind: type[errors.TMError], code: int) -> None:
    service.errors["fails"] = kind("a sentence", needs=["x"])
    answer = await send(request("fails", id=7))
    assert is_error(answer, code, kind.__name__, 7)
    assert answer["error"]["message"] == "a sentence"
    assert answer["error"]["data"]["needs"] == ["x"]


async def test_results_become_what_the_wire_has(send) -> None:
    assert (await send(request("typed")))["result"] == {
        "1": "2026-11-23T12:00:00Z",
        "null": [1, 2],
        "naive": "2026-01-02T00:00:00Z",
    }


async def test_error_data_is_kept(send) -> None:
    assert (await send(request("refuse")))["error"]["data"]["errors"] == {"x": ["Unknown field."]}
    data = (await send(request("lost")))["error"]["data"]
    assert (data["retryable"], data["outcome"]) == (True, "unknown")


@pytest.mark.parametrize("method", ["bug", "unserialisable"])
async def test_a_bug_leaks_nothing_and_is_logged(send, caplog: pytest.LogCaptureFixture, method: str) -> None:
    answer = await send(request(method, id="x"))
    assert is_error(answer, -32603, "InternalError", "x")
    assert answer["error"]["message"] == "Internal error"
    assert set(answer["error"]["data"]) == {"type", "request_id"}
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.request_id == "r1"
    # the other entries of its batch are unharmed
    assert brief(await send([request("sum", 1), request(method)])) == [
        {"jsonrpc": "2.0", "result": 1, "id": 1},
        (-32603, 1),
    ]


async def test_the_garbage_collector_stays_away_from_long_calls(
    service: FakeService, send: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def call(context: Context, name: str, params: Any, outlet: Any = None) -> bool:
        return gc.isenabled()

    monkeypatch.setattr(service, "call", call)
    assert (await send(request("echo", 1)))["result"]
    assert not (await send(request("echo", *range(100_000))))["result"]
    assert gc.isenabled()
