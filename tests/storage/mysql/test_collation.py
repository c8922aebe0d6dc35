"""Packed texts keep every letter, whatever character set the database was made with."""

import pytest

from jsonrpc_tm.storage.mysql import MySQLProvider


@pytest.fixture
def latin_url(mariadb):
    name = mariadb.create_database()
    mariadb.sql(f"ALTER DATABASE {name} CHARACTER SET latin1 COLLATE latin1_swedish_ci")
    yield mariadb.url(name)
    mariadb.drop_database(name)


async def test_packed_texts_in_a_latin1_database(latin_url):
    texts = ["日", "é", "e", "E", "e ", "\U0001f600"]

    async def body(tx):
        sql = (
            f"INSERT INTO CatalogDirectories (Path, Metadata) SELECT value, value FROM {tx.dialect.array('texts')} AS t"
        )
        await tx.execute(sql, {"texts": tx.dialect.pack(texts)})
        wanted = tx.dialect.array("wanted")
        sql = f"SELECT Metadata FROM {wanted} AS wanted JOIN CatalogDirectories ON Path = wanted.value"
        return [row["Metadata"] for row in await tx.fetch_all(sql, {"wanted": tx.dialect.pack(["e", "日"])})]

    async with MySQLProvider().open(latin_url, migrate=True, migrations=(), options={}) as storage:
        assert sorted(await storage.run("texts", body)) == ["e", "日"]
