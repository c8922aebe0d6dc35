"""Verbs, retries and limits of transactions on MariaDB."""

import asyncio

import pytest

from jsonrpc_tm.core.errors import InvalidParams, NotFound, StorageUnavailable
from jsonrpc_tm.storage.mysql import verbs
from jsonrpc_tm.storage.mysql.commit import prune
from jsonrpc_tm.storage.mysql.driver import driver
from jsonrpc_tm.storage.mysql.errors import classify
from jsonrpc_tm.storage.mysql.session import Session
from jsonrpc_tm.storage.mysql.statements import translate

pytestmark = pytest.mark.mariadb


@pytest.mark.parametrize(
    ("sql", "template", "names"),
    [
        ("SELECT :a, :b_1, :a", "SELECT %(a)s, %(b_1)s, %(a)s", ("a", "b_1")),
        ("SELECT 7 % 2, '%', :a", "SELECT 7 %% 2, '%%', %(a)s", ("a",)),
        ("SELECT 'a\":', 'b'", "SELECT 'a\":', 'b'", ()),
        ("SELECT 'it''s', `x`, \"y\"", "SELECT 'it''s', `x`, \"y\"", ()),
    ],
)
def test_translation(sql, template, names):
    assert translate(sql) == (template, names)


@pytest.mark.parametrize("sql", ["SELECT ':a'", "SELECT TIME_FORMAT(x, 'h:m')"])
def test_a_literal_that_looks_like_a_parameter_is_refused(sql):
    with pytest.raises(ValueError, match="bind"):
        translate(sql)


async def test_every_text_comes_back(storage):
    values = ["", "a'b\"c\\d`e", "%s %(x)s :y", "\n\r\t\x1a\x00", "😀 ä ß", "x" * 300_000, " trailing  "]

    async def echo(tx):
        return [await tx.fetch_value("SELECT :value", {"value": value}) for value in values]

    assert await storage.run("echo", echo, read=True) == values


async def test_numbers_and_dates_have_python_types(storage):
    async def look(tx):
        return await tx.fetch_one(
            "SELECT 1 AS i, 1.5 AS d, 1e0 AS f, SUM(v) AS s, NULL AS n, TIMESTAMP(:t) AS t, 9223372036854775807 AS big"
            " FROM (SELECT 1 AS v UNION ALL SELECT 2) AS x",
            {"t": "2024-10-15 12:00:00"},
        )

    row = await storage.run("look", look, read=True)
    assert row == {"i": 1, "d": 1.5, "f": 1.0, "s": 3, "n": None, "t": "2024-10-15 12:00:00", "big": 2**63 - 1}
    assert [type(v) for v in row.values()] == [int, float, float, int, type(None), str, int]


async def test_many_rows_go_in_few_statements(storage):
    async def inserts(tx):
        return int((await tx.fetch_one("SHOW SESSION STATUS LIKE 'Com_insert'"))["Value"])

    async def add(tx):
        before = await inserts(tx)
        sql = tx.dialect.insert_new_rows("DataFiles", ["LFN", "Status"], ["LFN"])
        rows = [{"LFN": f"/%s/{i}/'\\", "Status": "New"} for i in range(3000)]
        await tx.executemany(sql, rows)
        await tx.executemany(sql, rows[:10])
        assert await inserts(tx) - before == 2
        return await tx.fetch_one("SELECT COUNT(*) AS n, MIN(FileID) AS low, MAX(FileID) AS high FROM DataFiles")

    assert await storage.run("add", add) == {"n": 3000, "low": 1, "high": 3000}


async def test_a_text_that_another_has_brought_keeps_its_row(storage):
    first = asyncio.Event()

    def add(tx, *lfns):
        return tx.insert_texts("DataFiles", "LFN", lfns, {"Status": "New"}, "FileID")

    async def slow(tx):
        ids = await add(tx, "/a", "/b")
        first.set()
        await asyncio.sleep(0.1)
        return ids

    async def second(tx):
        await first.wait()
        return await add(tx, "/z", "/b", "/y")

    there, found = await asyncio.gather(storage.run("slow", slow), storage.run("second", second))
    assert found[1] == there[1]
    assert len({*there, *found}) == 4


@pytest.mark.parametrize("flavour", ["MariaDB", "MySQL"])
async def test_texts_get_identifiers_without_returning_and_in_small_packets(storage, monkeypatch, flavour):
    monkeypatch.setattr(verbs, "_SPARE", 2**24 - 4000)

    async def add(tx):
        with monkeypatch.context() as other:
            other.setattr(Session, "flavour", flavour)
            ids = await tx.insert_texts("DataFiles", "LFN", [f"/{i}" for i in range(100)], {"Status": "New"}, "FileID")
        return ids, await tx.fetch_column("SELECT FileID FROM DataFiles ORDER BY FileID")

    ids, there = await storage.run("add", add)
    assert ids == there == list(range(1, 101))


async def _referred(tx):
    """Make some files, the first of which a transformation has; return its id and theirs."""
    ids = await tx.insert_texts("DataFiles", "LFN", [f"/{n}" for n in range(100)], {"Status": "New"}, "FileID")
    columns = "TransformationName, Description, LongDescription, Author, AuthorGroup"
    trans = await tx.insert(f"INSERT INTO Transformations ({columns}) VALUES ('t', '', '', 'a', 'g')")
    await _refer(tx, trans, ids[0])
    return trans, ids


async def _refer(tx, trans, file):
    row = {"trans": trans, "file": file}
    await tx.execute("INSERT INTO TransformationFiles (TransformationID, FileID) VALUES (:trans, :file)", row)


async def test_a_row_that_others_refer_to_is_not_deleted(storage):
    trans, ids = await storage.run("add", _referred)
    attempts = []

    async def forget(tx):
        attempts.append(1)
        sql = "SELECT d.FileID FROM DataFiles d LEFT JOIN TransformationFiles f ON f.FileID = d.FileID"
        free = await tx.fetch_column(f"{sql} WHERE f.FileID IS NULL")
        await storage.run("refer", _refer, trans, ids[7])  # who begins to meanwhile
        return await tx.execute(tx.dialect.delete_unreferred("DataFiles", "ids"), {"ids": tx.dialect.pack(free)})

    assert await storage.run("forget", forget) == 98
    assert len(attempts) == 1
    assert await storage.run("left", _lfns, read=True) == ["/0", "/7"]


async def test_a_deadlock_at_the_look_for_references_is_one(storage):
    """The server must not go on outside of the transaction that it has rolled back."""
    _, (referred, other, *more) = await storage.run("add", _referred)
    attempts = []
    taken, wanted = asyncio.Event(), asyncio.Event()

    async def heavy(tx):
        await tx.execute("UPDATE DataFiles SET Status = 'heavy' WHERE FileID >= :id", {"id": more[0]})
        await tx.execute("DELETE FROM TransformationFiles WHERE FileID = :id", {"id": referred})
        taken.set()
        await wanted.wait()
        await tx.execute("UPDATE DataFiles SET Status = 'heavy' WHERE FileID = :id", {"id": other})

    async def light(tx):
        attempts.append(1)
        await tx.execute("UPDATE DataFiles SET Status = 'light' WHERE FileID = :id", {"id": other})
        await taken.wait()
        asyncio.get_running_loop().call_later(0.3, wanted.set)  # when this waits for the other
        return await tx.execute(tx.dialect.delete_unreferred("DataFiles", "ids"), {"ids": tx.dialect.pack([referred])})

    _, gone = await asyncio.gather(storage.run("heavy", heavy), storage.run("light", light))
    assert (gone, len(attempts)) == (1, 2)
    status = "SELECT Status FROM DataFiles WHERE FileID = :id"
    assert await storage.run("look", lambda tx: tx.fetch_value(status, {"id": other}), read=True) == "light"


async def test_what_the_server_would_not_take_is_refused_before_it_is_sent(storage):
    async def big(tx):
        await tx.execute("UPDATE Transformations SET Body = :body", {"body": "x" * 17 * 2**20})

    with pytest.raises(InvalidParams, match="max_allowed_packet"):
        await storage.run("big", big)


async def test_a_small_packet_is_said_at_start(open_mysql, caplog):
    async with open_mysql():
        assert "max_allowed_packet" in caplog.text


async def test_rows_of_16_megabytes_and_more_are_read(mariadb, open_mysql):
    mariadb.sql("SET GLOBAL max_allowed_packet = 64 * 1024 * 1024")
    try:
        async with open_mysql() as storage:

            async def big(tx):
                return await tx.fetch_value("SELECT :body", {"body": "ä" * 9 * 2**20})

            assert await storage.run("big", big) == "ä" * 9 * 2**20
    finally:
        mariadb.sql("SET GLOBAL max_allowed_packet = DEFAULT")


async def _add(tx, lfn):
    return await tx.insert("INSERT INTO DataFiles (LFN) VALUES (:lfn)", {"lfn": lfn})


async def _lfns(tx):
    return [row["LFN"] for row in await tx.fetch_all("SELECT LFN FROM DataFiles ORDER BY FileID")]


async def test_a_failing_body_changes_nothing_and_the_connection_goes_on(open_mysql):
    async with open_mysql(pool_size=1) as storage:

        async def refuse(tx):
            await _add(tx, "/x")
            raise NotFound("no")

        with pytest.raises(NotFound):
            await storage.run("refuse", refuse)
        assert await storage.run("lfns", _lfns, read=True) == []


async def test_a_reading_transaction_sees_one_moment_and_cannot_write(storage):
    async def look(tx):
        before = await _lfns(tx)
        await asyncio.shield(storage.run("add", _add, "/new"))
        return before, await _lfns(tx)

    assert await storage.run("look", look, read=True) == ([], [])

    with pytest.raises(driver.Error, match="READ ONLY"):
        await storage.run("write", _add, "/y", read=True)


@pytest.mark.parametrize("verb", ["execute", "last"])
async def test_deadlocks_are_retried(storage, verb):
    for lfn in ("/a", "/b", "/c"):
        await storage.run("add", _add, lfn)
    tries = []

    async def cross(tx, first, second):
        tries.append(first)
        sql = "UPDATE DataFiles SET Status = CONCAT(Status, '+') WHERE LFN = :lfn"
        await tx.execute(sql, {"lfn": first})
        await asyncio.sleep(0.2 if len(tries) <= 2 else 0)
        await getattr(tx, verb)(sql, {"lfn": second})

    await asyncio.gather(storage.run("one", cross, "/a", "/b"), storage.run("two", cross, "/b", "/a"))
    assert len(tries) > 2
    statuses = await storage.run("statuses", lambda tx: tx.fetch_column("SELECT Status FROM DataFiles"), read=True)
    assert sorted(statuses) == ["New", "New++", "New++"]


async def test_a_lock_that_is_never_granted_ends_the_call(open_mysql):
    async with open_mysql(timeout=1) as storage:
        storage.runner.timeout = 1.5
        await storage.run("add", _add, "/a")
        held, done = asyncio.Event(), asyncio.Event()

        async def hold(tx):
            await tx.execute("UPDATE DataFiles SET Status = 'x'")
            held.set()
            await done.wait()

        holder = asyncio.create_task(storage.run("hold", hold))
        await held.wait()

        async def want(tx):
            await tx.execute("UPDATE DataFiles SET Status = 'y'")

        with pytest.raises(StorageUnavailable) as raised:
            await storage.run("want", want)
        assert "outcome" not in raised.value.data
        done.set()
        await holder


async def test_a_statement_that_takes_too_long_ends_the_call(open_mysql):
    async with open_mysql(statement_timeout=0.2) as storage:

        async def slow(tx):
            await tx.fetch_value("SELECT SLEEP(5)")
            # MariaDB ends SLEEP early without an error; a scan gets one
            await tx.fetch_value("SELECT COUNT(*) FROM seq_1_to_100000000 AS a JOIN seq_1_to_100 AS b")

        with pytest.raises(StorageUnavailable, match="too long"):
            await storage.run("slow", slow)
        await storage.ready()


async def test_a_killed_connection_is_replaced(storage, mariadb):
    async def victim(tx):
        number = await tx.fetch_value("SELECT CONNECTION_ID()")
        if not killed:
            killed.append(number)
            mariadb.sql(f"KILL {number}")
        return await _add(tx, "/x")

    killed = []
    await storage.run("victim", victim)
    assert await storage.run("lfns", _lfns, read=True) == ["/x"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        *((driver.OperationalError(number, ""), "busy") for number in (1213, 1205, 1020, 2006, 2013, 1047, 1290)),
        (driver.InterfaceError("(0, 'Not connected')"), "busy"),
        (driver.InternalError("Packet sequence number wrong"), "busy"),
        (ConnectionResetError(), "busy"),
        (driver.IntegrityError(1062, ""), "race"),
        (driver.OperationalError(1969, ""), "gone"),
        (driver.OperationalError(1045, ""), "gone"),
        (driver.ProgrammingError(1064, ""), None),
        (ValueError(), None),
    ],
)
def test_what_errors_mean(error, kind):
    failure = classify(error)
    assert (failure and failure.kind) == kind


async def test_old_markers_are_pruned(storage):
    async def age(tx):
        await tx.execute("UPDATE CommitMarkers SET CreatedAt = CreatedAt - INTERVAL 1 HOUR")

    async def count(tx):
        return await tx.fetch_value("SELECT COUNT(*) FROM CommitMarkers")

    for i in range(5):
        await storage.run("add", _add, f"/{i}")
    assert await storage.run("count", count, read=True) == 5
    await storage.run("age", age)
    assert await storage.run("prune", prune) == 5
    assert await storage.run("count", count, read=True) == 2
