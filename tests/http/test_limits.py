"""Limits of calls and bad credentials: off by default, 429 with Retry-After."""

from typing import Any

import pytest

from jsonrpc_tm.core.errors import BadCredentials
from jsonrpc_tm.core.identity import Credentials, Identity
from jsonrpc_tm.core.records import CallRecord
from jsonrpc_tm.http import limits as ratelimit
from jsonrpc_tm.http.limits import Buckets, TooMany
from jsonrpc_tm.rpc.service import Service
from tests.http.fakes import make_service, serving


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _wait(buckets: Buckets, key: object) -> int:
    with pytest.raises(TooMany) as excess:
        buckets.check(key)
    return excess.value.seconds


def test_bucket() -> None:
    clock = Clock()
    buckets = Buckets(60, "too many", clock)
    for _ in range(60):
        buckets.check("alice")
        buckets.take("alice")
    assert _wait(buckets, "alice") == 1
    buckets.check("bob")
    clock.now += 1
    buckets.check("alice")
    buckets.take("alice", 30)
    assert _wait(buckets, "alice") == 30
    clock.now += 1000
    buckets.take("alice", 59)  # no more than a minute's worth is saved up
    buckets.check("alice")
    buckets.take("alice")
    assert _wait(buckets, "alice") == 1


def test_no_limit() -> None:
    buckets = Buckets(0, "too many")
    buckets.take("alice", 10**9)
    buckets.check("alice")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "MOST", 100)
    clock = Clock()
    buckets = Buckets(1, "too many", clock)
    for number in range(1000):
        buckets.take(number)
        assert len(buckets.left) <= 100
    clock.now += 60
    buckets.take("last")
    assert _wait(buckets, "last") == 60


class ByName:
    """Believes a header, for tests."""

    name = "by name"

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        name = credentials.headers.get("Name")
        if name == "bad":
            raise BadCredentials("That is not your name")
        return None if name is None else Identity(name, "prod")


CALL = {"jsonrpc": "2.0", "method": "echo", "params": [1], "id": 1}


def _service(**settings: Any) -> tuple[Service, list[CallRecord]]:
    records: list[CallRecord] = []
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return make_service(authenticators=[ByName()], observers=[records.append], **named), records


async def test_calls_of_a_caller() -> None:
    service, records = _service(limits__calls_per_minute=3)
    async with serving(service) as wire:
        statuses = [(await wire.post(CALL, Name="alice")).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        assert (await wire.post(CALL, Name="bob")).status == 200
        assert (await wire.post(CALL)).status == 200
        refused = await wire.post(CALL, Name="alice")
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        answer = await refused.json()
        assert (answer["id"], answer["error"]["code"]) == (None, -32600)
        assert answer["error"]["data"]["type"] == "InvalidRequest"
    # the second refusal is no news
    (record,) = [record for record in records if record.outcome == "InvalidRequest"]
    assert (record.method, record.identity.username, record.outcome) == ("", "alice", "InvalidRequest")
    assert record.reason == "Invalid request: too many calls: more than 3 a minute"


async def test_batches_count_every_call() -> None:
    async with serving(_service(limits__calls_per_minute=5)[0]) as wire:
        assert (await wire.post([CALL] * 4, Name="alice")).status == 200
        assert (await wire.post(CALL, Name="alice")).status == 200
        assert (await wire.post(CALL, Name="alice")).status == 429
        # one call is left
        assert (await wire.post([CALL] * 4, Name="bob")).status == 200
        assert (await wire.post([CALL] * 4, Name="bob")).status == 429


async def test_bad_credentials_of_an_address() -> None:
    service, records = _service(limits__failures_per_minute=3)
    async with serving(service) as wire:
        statuses = [(await wire.post(CALL, Name="bad")).status for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        # guessing right does not help until then
        assert (await wire.post(CALL, Name="alice")).status == 429
    assert [record.outcome for record in records] == ["Unauthenticated"] * 3 + ["InvalidRequest"]
    assert records[0].reason == "That is not your name"


async def test_off_by_default() -> None:
    async with serving(_service()[0]) as wire:
        for _ in range(50):
            assert (await wire.post(CALL, Name="bad")).status == 401
            assert (await wire.post(CALL, Name="alice")).status == 200
