"""Bulk operations: what a chunk is, and who works at it."""

import asyncio

import pytest

from jsonrpc_tm.core.errors import StorageUnavailable
from jsonrpc_tm.domain.bulk import chunks, operations
from jsonrpc_tm.methods import bulk

from .test_bulk import LFNS, _nobody_else_works, finish, started, statuses, t

__all__ = ["_nobody_else_works", "t"]


async def test_a_chunk_takes_as_many_statements_whatever_its_size(t):
    async def counted(condition):
        await started(t, "files", condition, "setStatus", {"status": "Problematic"})
        t.storage.statements.clear()
        await finish(t)
        return len(t.storage.statements)

    few = await counted({"TransformationID": 1, "LFN": LFNS[0]})
    assert await counted({"TransformationID": 1}) <= few + 1
    assert few <= 25


@pytest.mark.parametrize(
    ("condition", "number"),
    [
        ({"LFN": LFNS[:2] + [f"/{n}" for n in range(600)]}, 4),
        ({"LFN": {"nin": LFNS[:2] + [f"/{n}" for n in range(600)]}, "Status": "Assigned"}, 4),
        ({"TaskID": [None, *range(2, 600)]}, 4),
        ({"TaskID": {"nin": [None, *range(2, 600)]}}, 8),
        (
            {
                "TaskID": {"nin": list(range(2, 600))},
                "LastUpdate": [f"2024-10-15 12:{n // 60:02}:{n % 60:02}" for n in range(600)],
            },
            12,
        ),
    ],
)
async def test_what_is_in_a_long_list_matches_when_its_chunk_comes_too(t, condition, number):
    bulk_id = await started(t, "files", condition, "setStatus", {"status": "Own"})
    await finish(t)
    told = await t("getBulk", bulk_id)
    assert (told["Total"], told["Done"], told["Skipped"]) == (number, number, 0)
    bulk_id = await started(t, "files", condition | {"Status": "Own"}, "setStatus", {"status": "Unused"})
    await t("setFileStatus", "a", dict.fromkeys(LFNS, "Problematic"))
    await finish(t)
    told = await t("getBulk", bulk_id)
    assert told["Done"] == told["Skipped"] == number // 2 == told["Total"] // 2


async def test_a_chunk_is_about_few_transformations(t, monkeypatch):
    monkeypatch.setattr(chunks, "_TRANSFORMATIONS_AT_ONCE", 1)
    for what, action, arguments in [("files", "setStatus", {"status": "Problematic"}), ("transformations", "stop", {})]:
        number = await started(t, what, {}, action, arguments)
        assert await bulk.step(t.service)
        before = await t("getBulk", number)
        assert (before["State"], before["Done"]) == ("Running", before["Total"] // 2)
        await finish(t)
        told = await t("getBulk", number)
        assert (told["State"], told["Done"]) == ("Done", told["Total"])
    assert await statuses(t) == await statuses(t, "b")


async def test_long_states_are_noted_by_several_statements(t, monkeypatch):
    """The bodies of a chunk's transformations may be more than MariaDB takes in one packet."""
    monkeypatch.setattr(chunks, "_STATES", 3000)
    for name in "cdef":
        await t.add(name, body=name * 1000)
    number = await started(t, "transformations", {"Body": {"!=": ""}}, "setParameter", {"name": "Body", "value": "y"})
    t.storage.statements.clear()
    await finish(t)
    assert sum(sql.startswith("UPDATE") and "BulkItems" in sql for sql in t.storage.statements) == 2
    assert (await t("getBulk", number))["Done"] == 4
    await t("undoBulk", number)
    await finish(t)
    assert [await t("getTransformationParameters", name, "Body") for name in "cf"] == ["c" * 1000, "f" * 1000]


async def test_an_operation_that_waits_for_the_database_keeps_no_other_waiting(t, monkeypatch):
    numbers = [await started(t, "files", {"TransformationID": trans}, "resetErrors", {}) for trans in (1, 2)]
    real = chunks.chunk

    async def chunk(work, bulk_id, allowed):
        if bulk_id == numbers[0]:
            raise StorageUnavailable("The database took too long")
        return await real(work, bulk_id, allowed)

    monkeypatch.setattr(chunks, "chunk", chunk)
    await bulk.step(t.service)
    assert [(await t("getBulk", number))["State"] for number in numbers] == ["Running", "Done"]


async def test_two_processes_work_at_one_operation(t):
    """Each chunk is one transaction that locks the operation: whoever comes second does the next one."""
    number = await started(t, "files", {"TransformationID": 1, "Status": "Assigned"}, "setStatus", {"status": "Unused"})
    await asyncio.gather(*(bulk.step(t.service) for _ in range(4)))
    told = await t("getBulk", number)
    assert (told["State"], told["Done"]) == ("Done", 4)
    assert [errors for _, errors, _ in await statuses(t)] == [1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("storage", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
async def test_nobody_waits_for_an_operation_that_another_process_works_at(t):
    numbers = [await started(t, "files", {"TransformationID": trans}, "resetErrors", {}) for trans in (1, 2)]

    async def work_beside(tx):
        await tx.fetch_one(f"SELECT BulkID FROM BulkOperations WHERE BulkID = {numbers[0]:d} FOR UPDATE")
        async with asyncio.timeout(20):
            await bulk.step(t.service)

    await t.storage.run("another process", work_beside)
    assert [(await t("getBulk", number))["Done"] for number in numbers] == [0, 6]


async def test_all_that_ended_long_ago_is_forgotten(t, monkeypatch):
    monkeypatch.setattr(operations.prune, "__defaults__", (2,))
    for _ in range(3):
        await started(t, "files", {}, "setStatus", {"status": "Own"})
        await finish(t)
        t.later()
    t.later(90 * 86400 - 1)
    await bulk._forget(t.service)
    assert [one["BulkID"] for one in await t("listBulk")] == [3]
    assert await t.fetch("SELECT BulkID, COUNT(*) AS n FROM BulkItems GROUP BY BulkID") == [{"BulkID": 3, "n": 12}]
