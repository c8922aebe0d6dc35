"""The server's texts do not depend on how the database was made."""

import pytest

from jsonrpc_tm.storage.mysql import MySQLProvider


@pytest.fixture
async def latin1_storage(mariadb):
    name = mariadb.create_database()
    mariadb.sql(f"ALTER DATABASE {name} CHARACTER SET latin1")
    async with MySQLProvider().open(mariadb.url(name), migrate=True, migrations=(), options={}) as storage:
        yield storage
    mariadb.drop_database(name)


async def test_packed_texts_are_exact_in_a_database_of_latin1(latin1_storage):
    texts = ["/u/日", "/u/😀", "/u/é", "/u/e", "/u/E", "/u/e "]

    async def body(tx):
        insert = tx.dialect.insert_new_rows("DataFiles", ["LFN", "Status"], ["LFN"])
        await tx.executemany(insert, [{"LFN": text, "Status": "New"} for text in texts])
        joined = "DataFiles d ON d.LFN = wanted.value ORDER BY wanted.position"
        sql = f"SELECT d.LFN FROM {tx.dialect.array('texts')} AS wanted {tx.dialect.straight_join} {joined}"
        rows = await tx.fetch_all(sql, {"texts": tx.dialect.pack(texts)})
        packed = await tx.fetch_all(
            f"SELECT a, b FROM {tx.dialect.records('rows', a='text', b='text')} AS r ORDER BY position",
            {"rows": tx.dialect.pack([[text, text] for text in texts])},
        )
        return [row["LFN"] for row in rows], [row["a"] for row in packed], [row["b"] for row in packed]

    assert await latin1_storage.run("test", body) == (texts, texts, texts)
