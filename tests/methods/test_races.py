"""What must never happen when several servers work on one database at the same time."""

import asyncio
import contextlib
import itertools

import pytest

from jsonrpc_tm.core.errors import Conflict, InvalidState, TMError
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.tools.harness import empty

from .driver import NEW, Driver

SERVERS = 3


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
async def servers(request, tmp_path):
    """Several servers of one database, as processes have them: each with connections of its own."""

    def open_sqlite():
        return SqliteStorage(tmp_path / "tm.db")

    def open_mysql():
        return MySQLProvider().open(request.getfixturevalue("one_mysql_url"), migrate=True, migrations=(), options={})

    opened = []
    for number in range(SERVERS):
        storage = open_sqlite() if request.param == "sqlite" else open_mysql()
        await storage.__aenter__()
        opened.append(storage)
        if number == 0:
            await empty(storage)
    yield [Driver(storage) for storage in opened]
    for storage in opened:
        await storage.__aexit__(None, None, None)


async def together(servers, *calls):
    """Make calls at the same time, one server after the other in turn; return results and errors."""
    tasks = [call(server) for server, call in zip(itertools.cycle(servers), calls, strict=False)]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, TMError):
            raise outcome
    return outcomes


async def test_of_two_tasks_for_one_file_exactly_one_wins(servers):
    one = servers[0]
    await one.add()
    await one("addFilesToTransformation", "t", [f"/{n}" for n in range(12)])
    # every task wants three files, each file is wanted by three tasks
    calls = [
        lambda tm, n=n: tm("addTaskForTransformation", "t", [f"/{(n + k) % 12}" for k in (0, 1, 2)]) for n in range(12)
    ]
    outcomes = await together(servers, *calls)
    assert all(isinstance(outcome, int | InvalidState) for outcome in outcomes)
    won = {n: outcome for n, outcome in enumerate(outcomes) if isinstance(outcome, int)}
    # numbers without gaps
    assert sorted(won.values()) == list(range(1, len(won) + 1))
    expected = {f"/{(n + k) % 12}": task for n, task in won.items() for k in (0, 1, 2)}
    assert len(expected) == 3 * len(won) > 0
    rows = await one("getTransformationFiles", columns=["LFN", "TaskID", "Status"])
    assert {row["LFN"]: row["TaskID"] for row in rows if row["TaskID"] is not None} == expected
    assert {row["LFN"] for row in rows if row["Status"] == "Assigned"} == expected.keys()
    assert len(await one.fetch("SELECT * FROM TransformationFileTasks")) == len(expected)


async def test_no_task_is_handed_out_twice(servers):
    await servers[0].add("t", transType="Simulation")
    await servers[0]("extendTransformation", "t", 40)
    outcomes = await together(servers, *[lambda tm: tm("getTasksToSubmit", "t", 7) for _ in range(9)])
    handed = [int(task) for outcome in outcomes for task in outcome["JobDictionary"]]
    assert sorted(handed) == list(range(1, 41))


async def test_each_task_is_done_once_however_many_claim_and_lose(servers):
    """Every third claimer goes away, every other third comes back too late, and all renew beside the others."""
    await servers[0].add()
    await servers[0]("addTasks", "t", 60 * [{}])
    claims, done = [], []

    async def work(tm, number):
        while (got := await tm("claimTasks", "t", 7, "", 10))["Lease"] is not None:
            lease, tasks = got["Lease"], [task["TaskID"] for task in got["Tasks"]]
            claims.extend((task, lease) for task in tasks)
            if number % 3 == 1:
                return
            if number % 3 == 2:
                for server in servers:
                    server.later(20)
            await tm("renewLease", "t", lease, 10)
            updates = [{"TaskID": task, "ExternalStatus": "Done", "Lease": lease} for task in tasks]
            try:
                await tm("updateTasks", "t", updates)
            except Conflict as conflict:
                left = [update for update in updates if update["TaskID"] not in conflict.data["tasks"]]
                with contextlib.suppress(Conflict):
                    await tm("updateTasks", "t", left)
                    done.extend(update["TaskID"] for update in left)
            else:
                done.extend(tasks)

    await together(servers, *[lambda tm, n=n: work(tm, n) for n in range(9)])
    for server in servers:
        server.later(20)
    await work(servers[0], 0)
    assert sorted(done) == list(range(1, 61))
    assert len(set(claims)) == len(claims)
    rows = await servers[0].fetch("SELECT TaskID, Lease FROM TransformationTasks WHERE ExternalStatus = 'Done'")
    assert {row["TaskID"]: row["Lease"] for row in rows} == {
        task: max(lease for one, lease in claims if one == task) for task in range(1, 61)
    }


async def test_numbers_are_dense_when_many_extend(servers):
    await servers[0].add("t", transType="Simulation")
    calls = [lambda tm, n=n: tm("extendTransformation", "t", n) for n in range(1, 9)]
    calls += [lambda tm: tm("addTaskForTransformation", "t") for _ in range(4)]
    outcomes = await together(servers, *calls)
    ids = [number for outcome in outcomes for number in (outcome if isinstance(outcome, list) else [outcome])]
    assert sorted(ids) == list(range(1, 36 + 4 + 1))


async def test_a_name_is_given_once(servers):
    outcomes = await together(servers, *[lambda tm: tm("addTransformation", "t", *NEW) for _ in range(8)])
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 7
    for name in "abcd":
        await servers[0].add(name)
    calls = [lambda tm, n=n: tm("setTransformationParameter", n, "TransformationName", "x") for n in "abcd"]
    outcomes = await together(servers, *calls)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 3


async def test_compare_and_set_counts_exactly(servers):
    await servers[0].add()
    await servers[0]("setTransformationParameter", "t", "N", 0)

    async def increment(tm):
        while True:
            present = await tm("getTransformationParameters", "t", "N")
            try:
                return await tm("setTransformationParameter", "t", "N", present + 1, present)
            except Conflict:
                continue

    await together(servers, *[increment] * 9)
    assert await servers[0]("getTransformationParameters", "t", "N") == 9


async def test_the_same_new_files_for_several_transformations(servers):
    for name in "abc":
        await servers[0].add(name)
    names = [f"/{n}" for n in range(50)]
    calls = [
        lambda tm, n=n: tm("addFilesToTransformation", "abc"[n % 3], names if n % 2 else names[::-1]) for n in range(6)
    ]
    outcomes = await together(servers, *calls)
    for trans in range(3):
        words = [outcomes[n]["Successful"] for n in (trans, trans + 3)]
        assert all({words[0][name], words[1][name]} == {"Added", "Present"} for name in names)
    assert len(await servers[0].fetch("SELECT * FROM DataFiles")) == 50
    assert len(await servers[0].fetch("SELECT * FROM TransformationFiles")) == 150


async def test_files_added_elsewhere_survive_cleaning(servers):
    one = servers[0]
    await one.add("t")
    await one.add("u")
    names = [f"/{n}" for n in range(30)]
    await one("addFilesToTransformation", "t", names)
    calls = [lambda tm: tm("cleanTransformation", "t")]
    calls += [lambda tm, n=n: tm("addFilesToTransformation", "u", names[n::5]) for n in range(5)]
    outcomes = await together(servers, *calls)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert await one("getTransformationStats", "u") == {"Unused": 30, "Total": 30}
    assert sorted(row["LFN"] for row in await one("getTransformationFiles")) == sorted(names)


async def test_statuses_and_error_counts_add_up(servers):
    await servers[0].add()
    await servers[0]("addFilesToTransformation", "t", ["/a", "/b"])
    change = {"1": ["Problematic", True], "2": ["Unused", True]}
    await together(servers, *[lambda tm: tm("setFileStatusForTransformation", "t", change)] * 12)
    assert [row["ErrorCount"] for row in await servers[0]("getTransformationFiles")] == [12, 12]
