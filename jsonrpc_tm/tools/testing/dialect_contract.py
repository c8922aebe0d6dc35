"""What every storage must do about the SQL that its dialect names; part of ``storage_contract``."""

from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...core import model
from ...storage.base import Storage, Transaction

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


class DialectContract:
    """One test a helper."""

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

    @settings(max_examples=25, deadline=None, suppress_health_check=SUPPRESSED)
    @given(
        rows=st.lists(
            st.tuples(st.none() | st.integers(model.MIN_INTEGER, model.MAX_INTEGER), st.none() | TEXTS), min_size=1
        )
    )
    async def test_json_objects_are_what_python_makes(
        self, storage: Storage, rows: list[tuple[int | None, str | None]]
    ) -> None:
        """``json_object`` has the bytes of orjson, but for signs that may be escaped or not; so ``json_array``."""

        async def body(tx: Transaction) -> list[Any]:
            text = tx.dialect.json_object({"text": ("t", "text"), "number": ("n", "int"), "also": ("t", "text")})
            given = tx.dialect.records("rows", n="int", t="text")
            array = tx.dialect.json_array([("t", "text"), ("n", "int")])
            sql = f"SELECT {text}, {array} FROM {given} AS given ORDER BY position"
            return await tx.fetch_rows(sql, {"rows": tx.dialect.pack(rows)})

        found, arrays = zip(*await storage.run("objects", body, read=True), strict=True)
        for text, (number, string) in zip(arrays, rows, strict=True):
            assert orjson.loads(text) == [string, number]
        expected = [{"text": text, "number": number, "also": text} for number, text in rows]
        assert [orjson.loads(text) for text in found] == expected
        assert [text.encode() for text in found if "\\u" not in text] == [
            orjson.dumps(row) for row, text in zip(expected, found, strict=True) if "\\u" not in text
        ]

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

    async def test_packed_and_delete_unreferred(self, storage: Storage) -> None:
        """The database packs integers as ``array`` takes them, and deletes rows by such a list."""

        async def body(tx: Transaction) -> list[Any]:
            await add_files(tx, [f"/{number}" for number in range(5)])
            sql = f"SELECT {tx.dialect.packed('FileID')} FROM DataFiles WHERE LFN > :lfn"
            none, some = [await tx.fetch_value(sql, {"lfn": lfn}) for lfn in ("/9", "/2")]
            gone = await tx.execute(tx.dialect.delete_unreferred("DataFiles", "ids"), {"ids": some})
            return [none, gone, await tx.fetch_column("SELECT LFN FROM DataFiles ORDER BY LFN")]

        assert await storage.run("packed", body) == [None, 2, ["/0", "/1", "/2"]]

    async def test_steps_give_each_value_once(self, storage: Storage) -> None:
        """Of the rows that are meant alone, without null."""

        async def body(tx: Transaction) -> list[Any]:
            await tx.executemany(
                "INSERT INTO CatalogFiles (LFN, Directory, Metadata) VALUES (:lfn, :directory, '{}')",
                [{"lfn": f"/{number}", "directory": f"/{number % 2}"} for number in range(6)],
            )
            source = "CatalogFiles t"
            some = tx.dialect.steps("t.LFN", source, "t.Directory = :directory", ["t.Directory"])
            return [
                await tx.fetch_column(tx.dialect.steps("t.Directory", source, "1 = 1", [])),
                await tx.fetch_column(some, {"directory": "/1"}),
                await tx.fetch_column(some, {"directory": "/2"}),
            ]

        assert await storage.run("steps", body) == [["/0", "/1"], ["/1", "/3", "/5"], []]

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
