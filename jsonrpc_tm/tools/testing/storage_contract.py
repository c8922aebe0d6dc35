"""What every storage must do.

A storage plugin's tests subclass ``StorageContract`` and provide the fixture ``storage``: an open, blank storage.
"""

import asyncio
import threading
from typing import Any

import pytest

from ...core import model
from ...core.errors import NotFound, StorageUnavailable
from ...storage.base import Storage, Transaction, chunks
from ...storage.dialect import MYSQL, SQLITE, PackedKind
from ...storage.inserts import insert
from ...storage.migrate import CORE
from .dialect_contract import NOW, DialectContract, add_files, add_transformation
from .key_contract import KeyContract
from .stream_contract import StreamContract


async def file_ids(tx: Transaction) -> dict[str, int]:
    """Return the ids by LFN, in the order of ids."""
    rows = await tx.fetch_all("SELECT LFN, FileID FROM DataFiles ORDER BY FileID")
    return {row["LFN"]: row["FileID"] for row in rows}


async def count(tx: Transaction, table: str) -> Any:
    """Return the number of rows of a table."""
    return await tx.fetch_value(f"SELECT COUNT(*) FROM {table}")


def _refuse(word: str) -> None:
    raise NotFound(word)


class StorageContract(DialectContract, StreamContract, KeyContract):
    """The contract, one test a promise."""

    async def test_verbs(self, storage: Storage) -> None:
        """Rows are dicts in the order of the select list; dates are text; no row is None."""

        async def body(tx: Transaction) -> list[Any]:
            await add_transformation(tx)
            sql = "SELECT CreationDate, TransformationID, LastUpdate, GroupSize FROM Transformations"
            return [
                await tx.fetch_all(sql),
                await tx.fetch_one(sql + " WHERE TransformationID = :id", {"id": 1}),
                await tx.fetch_one(sql + " WHERE TransformationID = :id", {"id": 2}),
                await tx.fetch_value(sql),
                await tx.fetch_value(sql + " WHERE TransformationID = :id", {"id": 2}),
                await tx.fetch_all(sql + " WHERE TransformationID = :id", {"id": 2}),
                await tx.fetch_rows(sql),
                await tx.fetch_column(sql),
                await tx.fetch_column(sql + " WHERE TransformationID = :id", {"id": 2}),
            ]

        row = {"CreationDate": NOW, "TransformationID": 1, "LastUpdate": None, "GroupSize": 1.0}
        result = await storage.run("verbs", body)
        assert result == [[row], row, None, NOW, None, [], [tuple(row.values())], [NOW], []]
        assert list(result[0][0]) == list(row)

    async def test_counts_are_of_rows_matched_not_changed(self, storage: Storage) -> None:
        """An UPDATE to the same value counts."""

        async def body(tx: Transaction) -> list[int]:
            await add_files(tx, ["/a", "/b", "/c"])
            same = "UPDATE DataFiles SET Status = 'New' WHERE LFN = :lfn"
            return [
                await tx.execute("UPDATE DataFiles SET Status = 'New'"),
                await tx.executemany(same, [{"lfn": "/a"}, {"lfn": "/c"}, {"lfn": "/d"}]),
                await tx.execute("DELETE FROM DataFiles WHERE LFN <> '/a'"),
                await tx.executemany(same, []),
            ]

        assert await storage.run("counts", body) == [3, 2, 2, 0]

    @pytest.mark.parametrize("size", [1, 10**6])
    async def test_work_on_rows_keeps_nobody_waiting(self, storage: Storage, size: int) -> None:
        """Many rows are never worked on in the thread of the event loop; what is raised comes out."""
        mine = threading.get_ident()

        async def body(tx: Transaction) -> list[Any]:
            with pytest.raises(NotFound):
                await tx.aside(size, _refuse, "no")
            return [
                await tx.aside(size, lambda *rows: (rows, threading.get_ident()), 1, 2),
                await count(tx, "DataFiles"),
            ]

        (rows, thread), number = await storage.run("aside", body, read=True)
        assert (rows, number) == ((1, 2), 0)
        assert size == 1 or thread != mine

    async def test_texts_get_identifiers_in_their_order(self, storage: Storage) -> None:
        """Whatever is in them; none for none."""
        texts = ["/z", "/a", 'it\'s \\ "new"\n', "/\x01", "/日"]

        async def body(tx: Transaction) -> list[Any]:
            others = {"Status": "it's"}
            ids: list[int] = []
            for some in (texts[:2], [], texts[2:]):
                ids += await tx.insert_texts("DataFiles", "LFN", some, others, "FileID")
            rows = await tx.fetch_all("SELECT FileID, LFN, Status FROM DataFiles ORDER BY FileID")
            return [ids, [list(row.values()) for row in rows]]

        ids, rows = await storage.run("texts", body)
        assert rows == [[number, text, "it's"] for number, text in zip(ids, texts, strict=True)]

    async def test_what_is_last_belongs_to_the_transaction(self, storage: Storage) -> None:
        """It happens with the rest, or not at all; several keep their order; alone it is a transaction too."""
        status = "UPDATE DataFiles SET Status = :status"

        async def body(tx: Transaction, lfn: str, fails: str) -> None:
            await add_files(tx, [lfn])
            await tx.last(status, {"status": "first"})
            await tx.last(status, {"status": "second"})
            if fails == "body":
                raise NotFound("no")
            if fails == "last":
                await tx.last("UPDATE NoSuchTable SET a = 1")

        async def found(tx: Transaction) -> list[Any]:
            return await tx.fetch_column("SELECT Status FROM DataFiles ORDER BY FileID")

        for fails in ("body", "last"):
            with pytest.raises(Exception, match="NoSuchTable" if fails == "last" else "no"):
                await storage.run("fails", body, "/a", fails)
            assert await storage.run("found", found, read=True) == []
        await storage.run("works", body, "/a", "")
        assert await storage.run("found", found, read=True) == ["second"]
        await storage.run("alone", lambda tx: tx.last(status, {"status": "third"}))
        assert await storage.run("found", found, read=True) == ["third"]
        with pytest.raises(Exception, match=r"(?i)read"):
            await storage.run("liar", lambda tx: tx.last(status, {"status": "fourth"}), read=True)

    async def test_what_is_soon_is_done_before_what_follows(self, storage: Storage) -> None:
        """Later verbs see it; what fails undoes the rest, whether a verb follows or not."""
        status = "UPDATE DataFiles SET Status = :status WHERE LFN = :lfn"

        async def body(tx: Transaction, fails: bool = False, follows: bool = True) -> list[Any]:
            await add_files(tx, ["/a", "/b"])
            await tx.last(status, {"status": "last", "lfn": "/a"})
            await tx.soon(status, [{"status": "one", "lfn": "/a"}, {"status": "two", "lfn": "/b"}])
            await tx.soon("INSERT INTO DataFiles (LFN) VALUES (:lfn)", [{"lfn": f"/c{n}"} for n in range(3)])
            if fails:
                await tx.soon("UPDATE NoSuchTable SET a = 1")
            await tx.soon(status, {"status": "soon", "lfn": "/c2"})
            return await tx.fetch_column("SELECT Status FROM DataFiles WHERE LFN <> '/a'") if follows else []

        async def found(tx: Transaction) -> list[Any]:
            return await tx.fetch_column("SELECT Status FROM DataFiles ORDER BY LFN")

        for follows in (True, False):
            with pytest.raises(Exception, match="NoSuchTable"):
                await storage.run("fails", body, True, follows)
            assert await storage.run("found", found, read=True) == []
        assert sorted(await storage.run("works", body)) == ["New", "New", "soon", "two"]
        assert (await storage.run("found", found, read=True))[1:] == ["two", "New", "New", "soon"]
        await storage.run("alone", lambda tx: tx.soon(status, {"status": "alone", "lfn": "/b"}))
        assert (await storage.run("found", found, read=True))[1] == "alone"

    @pytest.mark.parametrize("verb", ["fetch_all", "fetch_rows", "fetch_one", "fetch_value", "fetch_column"])
    async def test_every_verb_sees_what_is_soon(self, storage: Storage, verb: str) -> None:
        """Whatever form it gives rows in."""

        async def body(tx: Transaction) -> Any:
            await add_files(tx, ["/a"])
            await tx.soon("UPDATE DataFiles SET Status = 'soon'")
            return await getattr(tx, verb)("SELECT Status FROM DataFiles")

        assert "soon" in str(await storage.run("sees", body))

    @pytest.mark.parametrize("number", [0, 1, SQLITE.few, SQLITE.few + 1, MYSQL.few, MYSQL.few + 1])
    async def test_a_few_rows_are_inserted_as_many_are(self, storage: Storage, number: int) -> None:
        """In their order, and added to those that are there."""
        columns: dict[str, PackedKind] = {"LFN": "text"}
        counts: dict[str, PackedKind] = {"TransformationID": "int", "Status": "word", "N": "int"}
        given = {"Kind": ":kind", "Minute": "1", "Bucket": "2"}
        names = [(f"/{n % 7}/{n}",) for n in range(number)]

        async def body(tx: Transaction) -> None:
            await insert(tx.soon, tx.dialect, "DataFiles", columns, names, {"Status": "'x'"}, ordered=True)
            tail = tx.dialect.adding("StatusDeltas", ("TransformationID", "Kind", "Status", "Minute", "Bucket"), "N")
            for _ in range(2):
                rows = [(n, "s", n) for n in range(number)]
                await insert(tx.last, tx.dialect, "StatusDeltas", counts, rows, given, {"kind": "file"}, tail)

        async def found(tx: Transaction) -> tuple[list[Any], list[Any]]:
            sql = "SELECT N FROM StatusDeltas WHERE Kind = 'file' AND Bucket = 2 ORDER BY TransformationID"
            return await tx.fetch_column("SELECT LFN FROM DataFiles ORDER BY FileID"), await tx.fetch_column(sql)

        await storage.run("insert", body)
        expected = [name for (name,) in names], [2 * n for n in range(number)]
        assert await storage.run("found", found, read=True) == expected

    async def test_a_verb_takes_one_statement(self, storage: Storage) -> None:
        """Two in one text are refused, whichever verb gets them."""
        await storage.run("add", add_files, ["/a"])
        two = "UPDATE DataFiles SET Status = 'x'; DELETE FROM DataFiles"
        for verb in ("execute", "fetch_all", "last", "insert"):
            with pytest.raises(Exception, match=r"(?i)one statement"):
                await storage.run("two", lambda tx, verb=verb: getattr(tx, verb)(two))
        assert await storage.run("count", count, "DataFiles", read=True) == 1

    async def test_what_raises_changes_nothing(self, storage: Storage) -> None:
        """The error comes out as it is."""

        async def body(tx: Transaction) -> None:
            await add_transformation(tx)
            raise NotFound("nothing there")

        with pytest.raises(NotFound, match="nothing there"):
            await storage.run("refused", body)
        assert await storage.run("count", count, "Transformations", read=True) == 0

    async def test_a_broken_statement_is_a_bug_and_changes_nothing(self, storage: Storage) -> None:
        """It is not taken for a database that is gone."""

        async def body(tx: Transaction) -> None:
            await add_transformation(tx)
            await tx.execute("UPDATE NoSuchTable SET a = 1")

        with pytest.raises(Exception, match="NoSuchTable") as caught:
            await storage.run("broken", body)
        assert not isinstance(caught.value, StorageUnavailable)
        assert await storage.run("count", count, "Transformations", read=True) == 0

    async def test_keys_and_references_hold(self, storage: Storage) -> None:
        """A name twice, and a file of no transformation, are refused."""
        await storage.run("first", add_transformation)
        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            await storage.run("second", add_transformation)

        async def orphan(tx: Transaction) -> None:
            await tx.execute("INSERT INTO TransformationFiles (TransformationID, FileID) VALUES (77, 77)")

        with pytest.raises(Exception, match=r"(?i)foreign key"):
            await storage.run("orphan", orphan)

    async def test_reading_transactions_cannot_write(self, storage: Storage) -> None:
        """Whoever says ``read=True`` is held to it."""
        with pytest.raises(Exception, match=r"(?i)read"):
            await storage.run("write", add_transformation, read=True)
        assert await storage.run("count", count, "Transformations", read=True) == 0
        assert await storage.run("write", add_transformation) >= 1

    async def test_reads_see_what_was_acknowledged(self, storage: Storage) -> None:
        """On every connection."""
        for number in range(20):
            await storage.run("write", add_transformation, f"t{number}")
            counts = await asyncio.gather(
                *(storage.run("count", count, "Transformations", read=True) for _ in range(4))
            )
            assert counts == [number + 1] * 4

    async def test_identifiers_are_never_given_again(self, storage: Storage) -> None:
        """Nor after the newest row is deleted."""
        first = await storage.run("add", add_transformation, "a")

        async def delete(tx: Transaction) -> None:
            await tx.execute("DELETE FROM TaskCounters")
            await tx.execute("DELETE FROM Transformations")

        await storage.run("delete", delete)
        assert await storage.run("add", add_transformation, "b") > first

    async def test_file_ids_follow_the_list(self, storage: Storage) -> None:
        """New files get their ids in the list's order."""
        lfns = [f"/f{number:03}" for number in range(300)]
        lfns.reverse()
        await storage.run("add", add_files, lfns)
        assert list(await storage.run("ids", file_ids, read=True)) == lfns

    async def test_names_compare_exactly(self, storage: Storage) -> None:
        """Case, accents and trailing spaces count; sorting is by code point."""
        lfns = ["/a", "/A", "/a ", "/á", "/a\u0301", "/ß", "/ss", "/😀", "/\uffff", "/Z", "/z", "/", "/'\"\\%_:x"]

        async def body(tx: Transaction) -> list[Any]:
            rows = await tx.fetch_all("SELECT LFN FROM DataFiles ORDER BY LFN")
            return [
                [row["LFN"] for row in rows],
                [await tx.fetch_value("SELECT COUNT(*) FROM DataFiles WHERE LFN = :lfn", {"lfn": x}) for x in lfns],
            ]

        await storage.run("add", add_files, lfns)
        assert await storage.run("names", body, read=True) == [sorted(lfns), [1] * len(lfns)]

    async def test_large_and_odd_values_come_back(self, storage: Storage) -> None:
        """64-bit integers, a text of megabytes, quotes, backslashes, percent signs, every plane of Unicode."""
        body_text = "\\'\"%s %(x)s :name ;\r\n\t\x01\x7f 😀" * 50_000

        async def body(tx: Transaction) -> Any:
            trans_id = await add_transformation(tx)
            await tx.execute(
                "UPDATE Transformations SET Body = :body, MaxNumberOfTasks = :most, GroupSize = :size"
                " WHERE TransformationID = :id",
                {"body": body_text, "most": model.MAX_INTEGER, "size": 0.1, "id": trans_id},
            )
            return await tx.fetch_one("SELECT Body, MaxNumberOfTasks, GroupSize FROM Transformations")

        row = await storage.run("odd", body)
        assert row == {"Body": body_text, "MaxNumberOfTasks": model.MAX_INTEGER, "GroupSize": 0.1}

    async def test_counters_are_exact_under_concurrency(self, storage: Storage) -> None:
        """Read, then write what was read plus one: nobody's step is lost."""
        trans_id = await storage.run("add", add_transformation)

        async def step(tx: Transaction) -> int:
            sql = "SELECT LastTaskID FROM TaskCounters WHERE TransformationID = :id"
            last: int = await tx.fetch_value(sql + tx.dialect.for_update, {"id": trans_id})
            sql = "UPDATE TaskCounters SET LastTaskID = :next WHERE TransformationID = :id"
            await tx.execute(sql, {"next": last + 1, "id": trans_id})
            return last + 1

        given_out = await asyncio.gather(*(storage.run("step", step) for _ in range(200)))
        assert sorted(given_out) == list(range(1, 201))

    async def test_a_read_sees_one_moment(self, storage: Storage) -> None:
        """Two selects of one reading transaction agree while others write."""
        pairs = ["/x", "/y"]
        await storage.run("add", add_files, pairs)

        async def write(tx: Transaction, status: str) -> None:
            for lfn in pairs:
                await tx.execute("UPDATE DataFiles SET Status = :s WHERE LFN = :lfn", {"s": status, "lfn": lfn})

        async def read(tx: Transaction) -> bool:
            sql = "SELECT Status FROM DataFiles WHERE LFN = :lfn"
            return len({await tx.fetch_value(sql, {"lfn": lfn}) for lfn in pairs}) == 1

        writes = [storage.run("write", write, str(number)) for number in range(50)]
        reads = [storage.run("read", read, read=True) for _ in range(50)]
        results = await asyncio.gather(*(call for pair in zip(writes, reads, strict=True) for call in pair))
        assert False not in results

    async def test_cancelled_callers_leave_whole_transactions(self, storage: Storage) -> None:
        """What a cancelled caller began is done wholly or not at all, and others go on."""

        async def body(tx: Transaction, number: int) -> None:
            await add_files(tx, [f"/{number}/{part}" for part in range(3)])

        tasks = [asyncio.create_task(storage.run("add", body, number)) for number in range(100)]
        for turn, task in enumerate(tasks):
            if turn % 2:
                task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        lfns = await storage.run("ids", file_ids)
        for number in range(100):
            parts = sum(f"/{number}/{part}" in lfns for part in range(3))
            assert parts == 3 if number % 2 == 0 else parts in (0, 3)

    async def test_nobodys_reads_keep_others_waiting(self, storage: Storage) -> None:
        """Who calls is told with ``caller``; many at once are served all the same."""
        calls = [storage.run("count", count, "DataFiles", read=True, caller=str(n % 3)) for n in range(60)]
        assert await asyncio.gather(*calls) == [0] * 60

    async def test_many_rows(self, storage: Storage) -> None:
        """Twenty thousand in one transaction, in chunks."""
        lfns = [f"/many/{number}" for number in range(20_000)]

        async def body(tx: Transaction) -> Any:
            for some in chunks(lfns):
                await add_files(tx, list(some))
            return await count(tx, "DataFiles")

        assert await storage.run("many", body) == 20_000

    async def test_it_is_ready_and_up_to_date(self, storage: Storage) -> None:
        """The schema is the program's, and every column of the model is there."""
        await storage.ready()
        assert storage.trouble is None
        assert await storage.check() == []
        schema = await storage.schema()
        assert schema.present == schema.wanted
        assert schema.present[CORE] >= 1
        assert list(schema.pending) == list(schema.differences) == []
        dump = "\n".join(schema.dump)
        for table in model.TABLES.values():
            assert table.name in dump
            await storage.run("columns", _select, table, read=True)

    async def test_a_closed_storage_says_so(self, storage: Storage) -> None:
        """Closing finishes what waits, and refuses what comes later."""
        tasks = [asyncio.create_task(storage.run("add", add_files, [f"/{number}"])) for number in range(20)]
        await asyncio.sleep(0)
        await storage.__aexit__(None, None, None)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(result is None or isinstance(result, StorageUnavailable) for result in results)
        with pytest.raises(StorageUnavailable):
            await storage.run("late", add_transformation)
        assert storage.trouble


async def _select(tx: Transaction, table: model.Table) -> None:
    await tx.fetch_all(f"SELECT {', '.join(table.columns)} FROM {table.name}")
