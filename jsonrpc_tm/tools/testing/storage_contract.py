"""What every storage must do.

A storage plugin's tests subclass ``StorageContract`` and provide the fixture ``storage``: an open, blank storage.
"""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...core import model
from ...core.errors import NotFound, StorageUnavailable
from ...storage.base import Storage, Transaction, chunks
from ...storage.migrate import CORE

NOW = "2026-01-02 03:04:05"
# what may be in a name: no lone surrogates, no U+0000
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)

SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


async def add_transformation(tx: Transaction, name: str = "t") -> int:
    """Insert a transformation with a task counter; return its id."""
    trans_id = await tx.insert(
        "INSERT INTO Transformations (TransformationName, CreationDate, Author, AuthorGroup, Body)"
        " VALUES (:name, :now, 'alice', 'prod', '')",
        {"name": name, "now": NOW},
    )
    await tx.execute("INSERT INTO TaskCounters (TransformationID) VALUES (:id)", {"id": trans_id})
    return trans_id


async def add_files(tx: Transaction, lfns: list[str]) -> None:
    """Insert files by the rows' own order."""
    rows = [{"LFN": lfn, "Status": "New"} for lfn in lfns]
    await tx.executemany(tx.dialect.insert_new_rows("DataFiles", ["LFN", "Status"], ["LFN"]), rows)


async def file_ids(tx: Transaction) -> dict[str, int]:
    """Return the ids by LFN, in the order of ids."""
    rows = await tx.fetch_all("SELECT LFN, FileID FROM DataFiles ORDER BY FileID")
    return {row["LFN"]: row["FileID"] for row in rows}


async def count(tx: Transaction, table: str) -> Any:
    """Return the number of rows of a table."""
    return await tx.fetch_value(f"SELECT COUNT(*) FROM {table}")


class StorageContract:
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
            ]

        row = {"CreationDate": NOW, "TransformationID": 1, "LastUpdate": None, "GroupSize": 1.0}
        result = await storage.run("verbs", body)
        assert result == [[row], row, None, NOW, None, []]
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

    async def test_array_keeps_order_and_values(self, storage: Storage) -> None:
        """``array`` gives each value with its position, of 5,000 too."""

        async def body(tx: Transaction, values: list[Any], kind: Any) -> list[Any]:
            sql = f"SELECT position, value FROM {tx.dialect.array('v', kind)} AS given ORDER BY position"
            rows = await tx.fetch_all(sql, {"v": tx.dialect.pack(values)})
            return [tuple(row.values()) for row in rows]

        texts = ["b", "", "a ", "\\\"'", "😀", "x" * 3000, *map(str, range(5000))]
        numbers = [3, -1, model.MAX_INTEGER, model.MIN_INTEGER]
        assert await storage.run("texts", body, texts, "text", read=True) == list(enumerate(texts))
        assert await storage.run("numbers", body, numbers, "int", read=True) == list(enumerate(numbers))
        assert await storage.run("none", body, [], "text", read=True) == []

    async def test_records_keep_order_values_and_nulls(self, storage: Storage) -> None:
        """``records`` gives the named columns of each list."""
        rows = [[1, "a", 0.5], [2, None, None], [model.MAX_INTEGER, "\\ ' \" é" * 1000, -1e300]]

        async def body(tx: Transaction) -> list[Any]:
            source = tx.dialect.records("rows", number="int", name="text", size="float")
            sql = f"SELECT number, name, size FROM {source} AS given ORDER BY position"
            return [list(row.values()) for row in await tx.fetch_all(sql, {"rows": tx.dialect.pack(rows)})]

        assert await storage.run("records", body, read=True) == rows

    # the class is inherited, and the fixture may be shared by the examples: the body only reads
    @settings(max_examples=25, deadline=None, suppress_health_check=SUPPRESSED)
    @given(values=st.lists(TEXTS, max_size=20))
    async def test_any_text_survives_packing(self, storage: Storage, values: list[str]) -> None:
        """Whatever a client may send finds itself again."""

        async def body(tx: Transaction) -> list[Any]:
            source = tx.dialect.array("v")
            rows = await tx.fetch_all(
                f"SELECT value FROM {source} AS given ORDER BY position", {"v": tx.dialect.pack(values)}
            )
            single = [await tx.fetch_value("SELECT :v AS value", {"v": value}) for value in values]
            return [[row["value"] for row in rows], single]

        assert await storage.run("any", body, read=True) == [values, values]

    async def test_insert_new_and_upsert(self, storage: Storage) -> None:
        """Rows whose key is there are left alone by the one, set by the other."""

        async def body(tx: Transaction) -> list[Any]:
            trans_id = await add_transformation(tx)
            await add_files(tx, ["/a", "/b", "/c"])
            columns, key = ["TransformationID", "FileID", "Status"], ["TransformationID", "FileID"]
            for status, wanted in (("Unused", ["/a", "/b"]), ("Other", ["/b", "/c"])):
                select = (
                    f"SELECT {trans_id} AS TransformationID, FileID, '{status}' AS Status"
                    f" FROM {tx.dialect.array('lfns')} AS wanted JOIN DataFiles ON LFN = wanted.value"
                )
                sql = tx.dialect.insert_new("TransformationFiles", columns, select, key)
                await tx.execute(sql, {"lfns": tx.dialect.pack(wanted)})
            rows = await tx.fetch_all("SELECT Status FROM TransformationFiles ORDER BY FileID")
            columns = ["TransformationID", "ParameterName", "ParameterValue"]
            sql = tx.dialect.upsert("AdditionalParameters", columns, columns[:2], columns[2:])
            for value in ("1", "2"):
                await tx.execute(sql, dict(zip(columns, [trans_id, "p", value], strict=True)))
            values = await tx.fetch_all("SELECT ParameterValue FROM AdditionalParameters")
            return [[row["Status"] for row in rows], [row["ParameterValue"] for row in values]]

        assert await storage.run("inserts", body) == [["Unused", "Unused", "Other"], ["2"]]

    async def test_update_join_and_delete_join(self, storage: Storage) -> None:
        """Both touch exactly the rows that match the source, and count them."""

        async def body(tx: Transaction) -> list[Any]:
            dialect = tx.dialect
            trans_id = await add_transformation(tx)
            await add_files(tx, [f"/{number}" for number in range(6)])
            await tx.execute(
                "INSERT INTO TransformationFiles (TransformationID, FileID)"
                f" SELECT {trans_id}, FileID FROM DataFiles ORDER BY FileID"
            )
            source = dialect.records("rows", name="text", wanted="text")
            named = f"(SELECT FileID, wanted FROM {source} AS given JOIN DataFiles ON LFN = name)"
            on = "target.FileID = source.FileID AND target.TransformationID = :id"
            rows = dialect.pack([["/1", "Assigned"], ["/4", "Moved"], ["/none", "x"]])
            parameters = {"id": trans_id, "rows": rows}
            assigned = {"Status": "source.wanted", "ErrorCount": "target.ErrorCount + 1"}
            updated = await tx.execute(dialect.update_join("TransformationFiles", named, on, assigned), parameters)
            parameters["rows"] = dialect.pack([["/0", ""], ["/5", ""], ["/none", ""]])
            deleted = await tx.execute(dialect.delete_join("TransformationFiles", named, on), parameters)
            rest = await tx.fetch_all(
                "SELECT LFN, TransformationFiles.Status, ErrorCount FROM TransformationFiles"
                " JOIN DataFiles ON DataFiles.FileID = TransformationFiles.FileID ORDER BY LFN"
            )
            return [updated, deleted, [tuple(row.values()) for row in rest]]

        rest = [("/1", "Assigned", 1), ("/2", "Unused", 0), ("/3", "Unused", 0), ("/4", "Moved", 1)]
        assert await storage.run("joins", body) == [2, 2, rest]

    async def test_small_helpers(self, storage: Storage) -> None:
        """Days, concatenation, characters; sums and counts are plain numbers, integer ones integers."""

        async def body(tx: Transaction) -> Any:
            dialect = tx.dialect
            await add_transformation(tx)
            return await tx.fetch_one(
                f"SELECT {dialect.day('CreationDate')} AS a, {dialect.day('LastUpdate')} AS b,"
                f" {dialect.concat('Author', ':x', 'AuthorGroup')} AS c, {dialect.characters(':e')} AS d,"
                " COUNT(*) AS e, SUM(TransformationID) AS f, MAX(GroupSize) AS g FROM Transformations"
                " GROUP BY CreationDate, LastUpdate, Author, AuthorGroup",
                {"x": "-", "e": "é😀"},
            )

        row = await storage.run("helpers", body)
        expected = ["2026-01-02", None, "alice-prod", 2, 1, 1, 1.0]
        assert list(row.values()) == expected
        assert [type(value) for value in row.values()] == [type(value) for value in expected]

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


async def _select(tx: Transaction, table: model.Table) -> None:
    await tx.fetch_all(f"SELECT {', '.join(table.columns)} FROM {table.name}")
