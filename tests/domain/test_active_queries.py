"""Queries are compiled once in each process, and are those of the database all the same."""

import asyncio
import re
import time
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from jsonrpc_tm.catalog.builtin import BuiltinCatalog
from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.domain import active_queries, queries
from jsonrpc_tm.domain.work import DomainParts, Work
from jsonrpc_tm.matching.query import Query, matches
from jsonrpc_tm.methods import bulk
from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.tools.testing.cast import PEOPLE
from tests.methods.announced import CONTENT, want
from tests.methods.driver import Driver
from tests.methods.test_bulk import Registry

PAGE = Path(__file__).parents[2] / "docs" / "storage.md"
NUMBERS = DictCatalog({"fields": {"n": "int"}, "files": {f"/f{n}": {"n": n, "word": "ab"[n % 2]} for n in range(12)}})


async def turn(tm):
    return await tm.storage.storage.run("test", active_queries.read_turn, read=True)


CHANGES = [
    ("addTransformation", *"udlptam", "General", 1, 0, "", 0, 0, True, {"particle": "gamma"}),
    ("createTransformationMetaQuery", "without", {"particle": "gamma"}, "Input"),
    ("deleteTransformationMetaQuery", "t", "Input"),
    ("setTransformationParameter", "t", "Status", "Idle"),
    ("setTransformationParameter", "idle", "Status", "Flush"),
    ("completeTransformation", "t"),
    ("startTransformation", "idle"),
    ("cleanTransformation", "t"),
    ("deleteTransformation", "t"),
]
OTHERS = [
    ("addTransformation", *"udlptam"),
    ("createTransformationMetaQuery", "t", {"particle": "gamma"}, "Output"),
    ("setTransformationParameter", "t", "Status", "Stopped"),
    ("setTransformationParameter", "idle", "Status", "Cleaned"),
    ("setTransformationParameter", "t", "Body", "b"),
    ("addFile", ["/vo/g/1"]),
    ("cleanTransformation", "without"),
    ("deleteTransformation", "without"),
]


@pytest.mark.parametrize(("call", "changes"), [(c, True) for c in CHANGES] + [(c, False) for c in OTHERS])
async def test_what_changes_the_queries_that_count_changes_the_turn(small, call, changes):
    await want(small, "t", {"particle": "gamma"})
    await want(small, "idle", {"particle": "gamma"})
    await small("setTransformationParameter", "idle", "Status", "Idle")
    await small.add("without")
    before = await turn(small)
    await small(*call)
    assert (await turn(small) != before) == changes


async def test_bulk_operations_and_what_undoes_them_change_the_turn(small):
    small.service.users = Registry()
    await want(small, "t", {"particle": "gamma"})
    operation = await small("startBulk", "transformations", {"Status": "New"}, "setStatus", {"status": "Idle"}, False)
    wanted = []
    for step in range(2):
        while await bulk.step(small.service):
            pass
        wanted.append((await small("addFile", "/vo/g/1"))["Successful"]["/vo/g/1"])
        if step == 0:
            await small("undoBulk", operation)
    assert wanted == [False, True]


async def test_a_refused_change_changes_nothing(small):
    await want(small, "t", {"particle": "gamma"})
    before = await turn(small)
    await small.refused("Conflict", "createTransformationMetaQuery", "t", {"particle": "e"}, "Input")
    assert await turn(small) == before


async def test_every_process_matches_as_the_database_says(small, monkeypatch):
    """Random changes by one process and announcements by another, beside one query and one file at a time."""
    monkeypatch.setattr(active_queries, "FEW", 4)
    random = Random(11)
    other = Driver(small.storage.storage, NUMBERS)
    asked = {}

    async def change(trans):
        if trans not in asked:
            query = random.choice([{"n": random.randrange(12)}, {"word": "a", "n": {">": random.randrange(12)}}])
            await small("createTransformationMetaQuery", trans, query, "Input")
            asked[trans] = query
        elif random.random() < 0.5:
            await small("deleteTransformationMetaQuery", trans, "Input")
            del asked[trans]
        else:
            await small("cleanTransformation", trans)
            del asked[trans]

    async with other.service:
        statuses = dict.fromkeys([await small.add(f"t{n}") for n in range(6)], "New")
        for _ in range(60):
            trans = random.choice(list(statuses))
            if random.random() < 0.3:
                statuses[trans] = random.choice(["Active", "Idle", "Stopped", "Archived"])
                await small("setTransformationParameter", trans, "Status", statuses[trans])
            else:
                await change(trans)
            lfn = f"/f{random.randrange(12)}"
            await other("addFile", lfn)
            (event,) = other.events
            other.events.clear()
            metadata = (await NUMBERS.files([lfn]))[lfn]
            assert set(event.data["transformations"]) == {
                trans
                for trans, query in asked.items()
                if statuses[trans] not in ("Idle", "Archived") and matches(Query(query), metadata, {"n": "int"})
            }


@pytest.fixture
def compiled(monkeypatch):
    """How many queries each engine that is made has."""
    sizes = []
    engine = active_queries.Engine
    monkeypatch.setattr(
        active_queries, "Engine", lambda asked, declared: sizes.append(len(asked)) or engine(asked, declared)
    )
    return sizes


async def test_what_many_ask_for_at_once_is_compiled_once(small, compiled):
    await want(small, "t", {"particle": "gamma"})
    await want(small, "u", {"particle": "gamma"})
    await asyncio.gather(*(small("addFile", "/vo/g/1") for _ in range(5)))
    await small("addFile", "/vo/g/1")
    assert compiled == [2]


async def test_few_changes_do_not_compile_everything_again(small, compiled, monkeypatch):
    monkeypatch.setattr(active_queries, "FEW", 4)
    for number in range(5):
        await want(small, f"t{number}", {"particle": "gamma"})
    await small("addFile", "/vo/g/1")
    await small("deleteTransformationMetaQuery", 2, "Input")
    await want(small, "new", {"particle": "gamma"})
    await small("addFile", "/vo/g/2")
    assert set(small.events[-1].data["transformations"]) == {1, 3, 4, 5, 6}
    assert compiled == [5, 1]
    for number in (1, 3, 4):
        await small("setTransformationParameter", number, "Status", "Idle")
    await small("addFile", "/vo/g/2")
    assert compiled == [5, 1, 2]


async def test_only_those_in_the_bucket_of_a_changed_query_are_read_again(small):
    ids = [await want(small, f"t{number}", {"particle": "gamma"}) for number in range(3 * active_queries.BUCKETS)]
    await small("addFile", "/vo/g/1")
    before = small.service._ground.domain.queries._newest
    await small("deleteTransformationMetaQuery", 5, "Input")
    small.events.clear()
    await small("addFile", "/vo/g/2")
    after = small.service._ground.domain.queries._newest
    assert set(small.events[-1].data["transformations"]) == set(ids) - {5}
    same = {trans_id for trans_id in ids if before.asked[trans_id] is after.asked.get(trans_id)}
    assert set(ids) - same == {5, 21, 37}


async def test_a_field_that_is_declared_later_counts(sqlite_tm):
    tm = sqlite_tm
    tm.catalog.current = DictCatalog({"files": {"/f": {"n": "5"}}})
    await want(tm, "t", {"n": 5})
    assert (await tm("addFile", "/f"))["Successful"] == {"/f": False}
    tm.catalog.current = DictCatalog({"fields": {"n": "int"}, "files": {"/f": {"n": "5"}}})
    assert (await tm("addFile", "/f"))["Successful"] == {"/f": True}


async def test_a_reset_of_the_harness_is_a_change(small):
    await want(small, "t", {"particle": "gamma"})
    await small("addFile", "/vo/g/1")
    await small.harness.reset("2024-10-15T12:00:00Z", CONTENT)
    await small.add("t")
    assert (await small("addFile", ["/vo/g/1"]))["Successful"] == {"/vo/g/1": False}


async def test_what_is_announced_as_it_is_fed_finds_queries_of_the_last_moment(sqlite_tm):
    tm = sqlite_tm
    tm.catalog.current = BuiltinCatalog(tm.service.storage)
    run = tm.storage.run

    async def overtaken(name, body, *args, read=False, **kwargs):
        if name == "catalog.addFiles" and not read:
            tm.storage.run = run
            await tm("catalog.addFields", {"n": "int"})
            await want(tm, "t", {"n": 1})
        return await run(name, body, *args, read=read, **kwargs)

    tm.storage.run = overtaken
    await tm("catalog.addFiles", {"/f": {"n": "1"}}, True)
    assert list((await tm("getFileSummary", ["/f"]))["Successful"]["/f"]) == ["1"]


async def test_queries_that_another_program_changed_count_once_it_says_so(small):
    """As docs/storage.md has it."""
    await want(small, "t", {"particle": "gamma"})
    await small("addFile", "/vo/g/1")
    await small.execute("UPDATE TransformationMetaQueries SET MetaDataValue = '\"proton\"'")
    (said,) = re.findall("```sql\n(REPLACE .*)\n```", PAGE.read_text())
    await small.execute(said)
    assert (await small("addFile", ["/vo/g/1", "/vo/p/5"]))["Successful"] == {"/vo/g/1": False, "/vo/p/5": True}


@pytest.mark.parametrize("storage", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
async def test_who_changes_queries_does_not_wait_for_another_who_does(tm):
    """Though both change the same row of Versions: it is written at the end."""
    first, *_, second = [await tm.add(f"t{number}") for number in range(active_queries.BUCKETS + 1)]
    parts = DomainParts(tm.service.settings, tm.policy)
    stored, done = asyncio.Event(), asyncio.Event()

    async def body(tx):
        work = Work(tx, tm.service.context(PEOPLE["manager"]), parts, "tests")
        await queries.store(work, await work.hold(first), {"n": 1}, "Input")
        stored.set()
        async with asyncio.timeout(30):
            await done.wait()
        await work.settle()

    before = await turn(tm)
    one = asyncio.create_task(tm.storage.storage.run("one", body))
    await stored.wait()
    async with asyncio.timeout(20):
        await tm("createTransformationMetaQuery", second, {"n": 2}, "Input")
    after = await turn(tm)
    done.set()
    await one
    assert before != after != await turn(tm)


@pytest.mark.slow
@pytest.mark.parametrize("storage", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
async def test_announcements_beside_changes_see_those_that_were_committed_before(storage):
    """Where no change overlapped an announcement in time, its outcome is what the last change before it says."""
    lfns = {f"/f{number}": {"n": number % 7} for number in range(600)}
    announced, changed = [], []

    async def timed(notes, what, call):
        begin = time.monotonic()
        await call
        notes.append((begin, time.monotonic(), *what))

    async with AsyncExitStack() as stack:
        processes = [Driver(storage, DictCatalog({"files": lfns})) for _ in range(3)]
        for one in processes:
            await stack.enter_async_context(one.service)
        wanted = {await want(processes[0], f"t{number}", {"n": number % 7}): number % 7 for number in range(21)}

        async def announcer(number):
            for lfn in list(lfns)[number::6]:
                await timed(announced, (lfn,), processes[number % 3]("addFile", lfn))

        async def changer(number):
            random = Random(number)
            for _ in range(25):
                trans, status = random.choice(list(wanted)[number::3]), random.choice(["Idle", "Active"])
                call = processes[number]("setTransformationParameter", trans, "Status", status)
                await timed(changed, (trans, status), call)

        await asyncio.gather(*map(announcer, range(6)), *map(changer, range(3)))
        having = {(row["TransformationID"], row["LFN"]) for row in await processes[0]("getTransformationFiles")}
    checked = 0
    for trans, n in wanted.items():
        changes = sorted(change for change in changed if change[2] == trans)
        for begin, end, lfn in announced:
            if all(change[1] < begin or change[0] > end for change in changes):
                status = next((change[3] for change in reversed(changes) if change[1] < begin), "New")
                assert ((trans, lfn) in having) == (lfns[lfn]["n"] == n and status != "Idle")
                checked += 1
    assert checked > 1000


async def statements(transformations, files):
    """Return how many statements an announcement takes, of new files and of the same again."""
    lfns = [f"/f{number}" for number in range(files)]
    async with SqliteStorage(None) as storage:
        tm = Driver(storage, DictCatalog({"files": {lfn: {"n": number % 3} for number, lfn in enumerate(lfns)}}))
        async with tm.service:
            for number in range(transformations):
                await want(tm, f"t{number}", {"n": number % 3})
            await tm("addFile", "/unknown")
            return await tm.statements("addFile", lfns), await tm.statements("addFile", lfns)


async def test_neither_files_nor_transformations_cost_statements():
    assert await statements(3, 3) == await statements(60, 200) == (11, 7)


async def test_changes_of_many_transformations_are_one_statement(small):
    before = await turn(small)
    small.storage.statements.clear()
    await small.storage.run("test", active_queries.write, range(1, 100_000))
    assert len(small.storage.statements) == 1
    assert len(await turn(small)) == active_queries.BUCKETS
    assert await turn(small) != before
