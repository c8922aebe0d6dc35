"""What a transaction locks, and what it leaves to others."""

import asyncio

import pytest

from jsonrpc_tm.domain import counters, names, offers
from jsonrpc_tm.domain.transitions import claims, files, tasks, transformations
from jsonrpc_tm.domain.work import DomainParts, Work
from jsonrpc_tm.tools.testing.cast import PEOPLE


@pytest.mark.parametrize("storage", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
@pytest.mark.parametrize("what", ["transformations", "files"])
async def test_only_what_is_named_is_locked_in_a_small_table_too(tm, what):
    """A small table is scanned where nothing forbids it, and MariaDB locks what it reads."""
    for name in "abc":
        await tm.add(name)
    await tm("addFilesToTransformation", "a", ["/1", "/2", "/3"])
    parts = DomainParts(tm.service.settings, tm.policy)
    locked, done = asyncio.Event(), asyncio.Event()

    async def holding(tx):
        work = Work(tx, tm.service.context(PEOPLE["manager"]), parts, "tests")
        if what == "transformations":
            assert [held.id for held in await work.hold_wanting([2])] == [2]
        else:
            assert await names.lock(work, [2]) == {2: "New"}
        locked.set()
        async with asyncio.timeout(30):
            await done.wait()

    async def another(tx):
        table, key = ("Transformations", "TransformationID") if what == "transformations" else ("DataFiles", "FileID")
        for number in (1, 3):
            await tx.execute(f"UPDATE {table} SET Status = 'X' WHERE {key} = :number", {"number": number})

    held = asyncio.create_task(tm.storage.storage.run("holding", holding))
    await locked.wait()
    async with asyncio.timeout(20):
        await tm.storage.storage.run("another", another)
    done.set()
    await held


@pytest.mark.parametrize("storage", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
async def test_what_two_share_that_are_cleaned_at_once_is_forgotten(tm, monkeypatch):
    """Each sees that the other still has the shared file."""
    for name, lfns in {"a": ["/a", "/both"], "b": ["/b", "/both"], "c": ["/c", "/all"]}.items():
        await tm.add(name)
        await tm("addFilesToTransformation", name, [*lfns, "/all"])
    real, looked, seen = transformations._only_here, [], asyncio.Event()

    async def only_here(work, trans):
        found = await real(work, trans)
        looked.append(trans.id)
        if len(looked) >= 2:
            seen.set()
        await seen.wait()
        return found

    monkeypatch.setattr(transformations, "_only_here", only_here)
    async with asyncio.timeout(20):
        await asyncio.gather(tm("cleanTransformation", "a"), tm("cleanTransformation", "b"))
    assert set(looked[:2]) == {1, 2}
    assert await tm.fetch("SELECT LFN FROM DataFiles ORDER BY LFN") == [{"LFN": "/all"}, {"LFN": "/c"}]


@pytest.mark.parametrize("storage", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
async def test_who_claims_or_reports_waits_for_no_other_claimer(tm):
    await tm.add()
    await tm("addTasks", 1, 20 * [{}])
    old = (await tm("claimTasks", 1, 4, "", 1))["Lease"]
    mine = (await tm("claimTasks", 1, 4))["Lease"]
    tm.later(5)
    parts = DomainParts(tm.service.settings, tm.policy)
    locked, done = asyncio.Event(), asyncio.Event()

    async def holding(tx):
        work = Work(tx, tm.service.context(PEOPLE["manager"]), parts, "tests")
        trans = await work.hold(1, shared=True)
        _, tasks = await claims.claim(work, trans, 6, 60, None)
        assert [task["TaskID"] for task in tasks] == [1, 2, 3, 4, 9, 10]
        locked.set()
        async with asyncio.timeout(30):
            await done.wait()

    held = asyncio.create_task(tm.storage.storage.run("holding", holding))
    await locked.wait()
    # who holds the lease that is past waits: are its tasks still its own?
    late = asyncio.create_task(tm("renewLease", 1, old))
    async with asyncio.timeout(20):
        got = await tm("claimTasks", 1, 2)
        # the first claim looked at as many Created ones as it may need
        assert [task["TaskID"] for task in got["Tasks"]] == [15, 16]
        assert await tm("updateTasks", 1, [{"TaskID": 5, "ExternalStatus": "Done", "Lease": mine}]) == 1
        assert (await tm("renewLease", 1, mine))["Tasks"] == 3
        assert await tm("releaseLease", 1, mine) == 3
    done.set()
    await held
    renewed = await late
    assert (renewed["Tasks"], renewed["Stop"]) == (0, True)


@pytest.mark.parametrize("storage", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
async def test_who_gets_a_file_while_it_is_removed_is_held_too(tm, monkeypatch):
    """Its cleaning counts what it has, and takes that away: nobody may move its files in between."""
    for name in "ab":
        await tm.add(name)
    await tm("addFilesToTransformation", "a", ["/f"])
    real_having, real_totals, looked, counted = offers._having, counters.totals, asyncio.Event(), asyncio.Event()

    async def having(work, file_ids):
        found = await real_having(work, file_ids)
        looked.set()
        await counted.wait()
        return found

    async def totals(*args):
        found = await real_totals(*args)
        counted.set()
        await asyncio.sleep(0.2)  # so long it would take the other to move what is not held
        return found

    monkeypatch.setattr(offers, "_having", having)
    monkeypatch.setattr(counters, "totals", totals)
    removing = asyncio.create_task(tm("removeFile", ["/f"]))
    async with asyncio.timeout(5):
        await looked.wait()
        await tm("addFilesToTransformation", "b", ["/f"])
        await tm("cleanTransformation", "b")
        await removing
    monkeypatch.undo()
    assert await tm("getTransformationStats", "b") == {"Total": 0}
    assert await tm("getTransformationStats", "a") == {"Deleted": 1, "Total": 1}


async def test_what_nobody_holds_is_not_changed(sqlite_tm):
    """The right on it was not asked."""
    await sqlite_tm.add()
    await sqlite_tm("addFilesToTransformation", 1, ["/a"])
    parts = DomainParts(sqlite_tm.service.settings, sqlite_tm.policy)

    async def body(tx, change, *args):
        work = Work(tx, sqlite_tm.service.context(PEOPLE["manager"]), parts, "tests")
        await change(work, await work.seen(1), *args)

    for change, *args in (
        (files.add_named, ["/b"]),
        (files.report, {1: ("X", 0)}),
        (tasks.add, ["SE"]),
        (tasks.add_with_files, [tasks.NewTask()]),
        (tasks.report, [1], {"ExternalStatus": "X"}),
        (tasks.reserve, 1),
        (tasks.drop, 1, 1),
        (transformations.move, "X"),
    ):
        with pytest.raises(TypeError, match=rf"{change.__name__} takes what work\.hold\(\) gives"):
            await sqlite_tm.storage.storage.run("body", body, change, *args)
    assert await sqlite_tm("getTransformationStats", 1) == {"Unused": 1, "Total": 1}
