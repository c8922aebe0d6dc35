"""The same random calls on two storages."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from jsonrpc_tm.domain.folding import fold
from jsonrpc_tm.domain.recount import recount
from jsonrpc_tm.tools.harness import Harness
from jsonrpc_tm.tools.testing.configuration import configure
from jsonrpc_tm.tools.testing.operations import Operation, differences, operations, outcomes

# a busy machine is no reason to fail
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def harness(url: str) -> Harness:
    configured, plugins = configure({"storage.url": url, "storage.migrate": True})
    return Harness(configured, plugins=plugins, authenticators=())


async def compare(first: str, second: str, sequence: Sequence[Operation]) -> list[str]:
    one, other = harness(first), harness(second)
    async with one.service, other.service:
        found = await differences(one, other, sequence)
        await one.reset("2024-10-15", None)  # the next sequence finds the file empty
        await other.reset("2024-10-15", None)
    return found


@settings(max_examples=20, deadline=None, suppress_health_check=SUPPRESSED)
@given(sequence=operations())
def test_a_file_and_memory_agree(sequence: list[Operation], tmp_path: Path) -> None:
    assert asyncio.run(compare("sqlite://:memory:", f"sqlite:///{tmp_path}/tm.db", sequence)) == []


@pytest.mark.mariadb
@settings(max_examples=15, deadline=None, suppress_health_check=SUPPRESSED)
@given(sequence=operations())
def test_sqlite_and_mariadb_agree(sequence: list[Operation], mysql_url: str) -> None:
    assert asyncio.run(compare("sqlite://:memory:", mysql_url, sequence)) == []


async def drift(url: str, sequence: Sequence[Operation]) -> list[Any]:
    """Return where the counters were wrong after some call, which goes before it in the list."""
    one, found, calls = harness(url), list[Any](), iter(sequence)
    storage = one.service.storage

    async def look() -> None:
        call = next(calls)
        for _ in range(2):
            found.extend([(call, row) async for row in recount(storage)])
            # what another process would do in an hour
            await fold(storage, one.clock.now + timedelta(hours=1))

    async with one.service:
        await outcomes(one, sequence, look)
        await one.reset("2024-10-15", None)
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=SUPPRESSED)
@given(sequence=operations())
def test_counters_never_drift(sequence: list[Operation]) -> None:
    assert asyncio.run(drift("sqlite://:memory:", sequence)) == []


@pytest.mark.mariadb
@settings(max_examples=5, deadline=None, suppress_health_check=SUPPRESSED)
@given(sequence=operations())
def test_counters_never_drift_on_mariadb(sequence: list[Operation], mysql_url: str) -> None:
    assert asyncio.run(drift(mysql_url, sequence)) == []


async def test_a_difference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = [Operation("manager", "addTransformation", (name, "d", "l", "T", "P", "Manual", "")) for name in "ab"]
    one, other = harness("sqlite://:memory:"), harness("sqlite://:memory:")
    run = other.service.storage.run

    async def forgetful(name: str, *args: Any, **kwargs: Any) -> Any:
        answer = await run(name, *args, **kwargs)
        match name, answer:
            case "addTransformation", (2, events):
                await run("forget", lambda tx: tx.execute("DELETE FROM TransformationLog WHERE TransformationID = 2"))
                return 3, events
        return answer

    monkeypatch.setattr(other.service.storage, "run", forgetful)
    async with one.service, other.service:
        answer, *tables = await differences(one, other, sequence)
    assert answer.endswith('{"result": 2} or {"result": 3}')
    assert [table for table in tables if table.startswith("the table TransformationLog ends as")]


def test_many_calls_succeed() -> None:
    """A sequence of refusals would compare nothing."""
    counts = {"result": 0, "error": 0}

    # the same examples each time: the share of refusals in random ones varies
    @settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=SUPPRESSED)
    @given(sequence=operations())
    def count(sequence: list[Operation]) -> None:
        async def run() -> None:
            one = harness("sqlite://:memory:")
            async with one.service:
                for outcome in await outcomes(one, sequence):
                    assert outcome.get("error") not in ("InternalError", "InvalidRequest", "MethodNotFound")
                    counts[next(iter(outcome))] += 1

        asyncio.run(run())

    count()
    assert counts["result"] > counts["error"] / 2, counts
