"""The same random calls on two storages."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

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


# what is found names the call; making the sequence shorter would take minutes
AS_FOUND = [phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)]
_TRANS, _NUMBER = st.sampled_from([1, 1, 1, 2, 3]), st.integers(1, 4)
_LFNS = st.lists(st.sampled_from([f"/a/f{number}" for number in range(5)]), min_size=1, max_size=3)
_WORDS = st.sampled_from(["Unused", "Processed", "Problematic", "MaxReset", "Deleted"])
_NEW = ("d", "l", "MCSimulation", "P", "Manual", "", "General", 1)
CHANGES = st.one_of(
    *(
        st.tuples(st.just(method), st.tuples(*params))
        for method, *params in (
            ("addFilesToTransformation", _TRANS, _LFNS),
            ("addFile", _LFNS),
            ("removeFile", _LFNS),
            ("addTaskForTransformation", _TRANS, _LFNS),
            ("addTasks", _TRANS, st.lists(st.fixed_dictionaries({"lfns": _LFNS}), min_size=1, max_size=2)),
            ("extendTransformation", _TRANS, _NUMBER),
            ("getTasksToSubmit", _TRANS, _NUMBER),
            ("claimTasks", _TRANS, _NUMBER),
            ("releaseLease", _TRANS, _NUMBER),
            ("setTaskStatus", _TRANS, _NUMBER, st.sampled_from(["Created", "Done", "Failed"])),
            ("updateTasks", _TRANS, _NUMBER.map(lambda task: [{"TaskID": task, "ExternalStatus": "Running"}])),
            ("deleteTasks", _TRANS, st.just(1), _NUMBER),
            ("setFileStatusForTransformation", _TRANS, st.dictionaries(_NUMBER.map(str), _WORDS, min_size=1)),
            ("setFileStatus", _TRANS, st.dictionaries(_LFNS.map(min), _WORDS, min_size=1), st.booleans()),
            ("resetErrorCount", _TRANS, _LFNS),
            ("cleanTransformation", _TRANS),
            ("deleteTransformation", st.just(3)),
        )
    ),
    st.integers().map(lambda number: ("addTransformation", (f"child {number}", *_NEW, 1))),
).map(lambda call: Operation("manager", *call))


def changes() -> st.SearchStrategy[list[Operation]]:
    """Return a strategy for calls that change files and tasks, most of which succeed."""
    added = [
        Operation("manager", "addTransformation", (name, *_NEW, 0, "", 0, 0, True, {"run": {">": 1}})) for name in "ab"
    ]
    first = [*added, Operation("manager", "addFilesToTransformation", (1, [f"/a/f{number}" for number in range(5)]))]
    return st.lists(CHANGES, min_size=8, max_size=25).map(lambda rest: [*first, *rest])


@settings(max_examples=10, deadline=None, suppress_health_check=SUPPRESSED, phases=AS_FOUND)
@given(sequence=changes())
def test_counters_never_drift(sequence: list[Operation]) -> None:
    assert asyncio.run(drift("sqlite://:memory:", sequence)) == []


@pytest.mark.mariadb
@settings(max_examples=4, deadline=None, suppress_health_check=SUPPRESSED, phases=AS_FOUND)
@given(sequence=changes())
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
