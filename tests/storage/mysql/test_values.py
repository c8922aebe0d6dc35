"""Values and texts that do not fit, or try to be statements: what goes into a packet, and what never does."""

import pytest

from jsonrpc_tm.core.errors import InvalidParams
from jsonrpc_tm.storage.mysql.driver import driver

from .test_packets import INSERT, one_write, whole

pytestmark = pytest.mark.mariadb


@pytest.mark.parametrize("verb", ["soon", "last"])
async def test_a_packet_that_would_be_too_large_is_sent_in_pieces(alone, verb):
    """The server takes 16 MiB."""
    names = [f"/{number}{'x' * 2**20}" for number in range(40)]

    async def body(tx):
        for name in names:
            sql = "INSERT INTO CatalogFiles (LFN, Directory, Metadata) VALUES (:short, '', :name)"
            await getattr(tx, verb)(sql, {"short": name[:10], "name": name})
        if verb == "soon":
            assert await tx.fetch_value("SELECT COUNT(*) FROM CatalogFiles WHERE Metadata <> :x", {"x": "x" * 2**22})
        await tx.last("INSERT INTO DataFiles (LFN) SELECT LFN FROM CatalogFiles")

    await alone.run("body", body)
    assert sorted(await whole(alone)) == sorted(name[:10] for name in names)


async def test_a_single_statement_that_is_too_large_is_refused(alone):
    async def body(tx):
        await tx.execute(INSERT, {"lfn": "/a"})
        await tx.last("UPDATE Transformations SET Body = :body", {"body": "x" * 17 * 2**20})

    with pytest.raises(InvalidParams, match="max_allowed_packet"):
        await alone.run("body", body)
    assert await whole(alone) == []


async def test_a_word_that_is_too_long_is_refused_and_not_cut(alone):
    await alone.run("add", one_write)

    async def body(tx, length):
        source = tx.dialect.records("changes", Status="word")
        sql = tx.dialect.update_join("DataFiles", source, "true", {"LFN": "source.Status"})
        await tx.execute(sql, {"changes": tx.dialect.pack([["ä" * length]])})

    await alone.run("fits", body, 255)
    assert await whole(alone) == ["ä" * 255]
    for length in (256, 257, 3000):
        with pytest.raises(driver.DataError, match="too long"):
            await alone.run("does not", body, length)


@pytest.mark.parametrize("sql", ["DELETE FROM DataFiles; COMMIT", "SELECT ';'", "SELECT 1;"])
async def test_a_statement_with_a_semicolon_is_refused(alone, sql):
    await alone.run("add", one_write)

    async def execute(tx):
        await tx.execute(sql)

    async def executemany(tx):
        await tx.executemany(sql, [{}])

    async def last(tx):
        await tx.last(sql)

    for body in (execute, executemany, last):
        with pytest.raises(ValueError, match="semicolon"):
            await alone.run("body", body)
    assert await whole(alone) == ["/a"]


async def test_values_cannot_break_out(alone):
    """Whatever a caller sends stays a value, in a packet of several statements too."""
    nasty = ["'; DELETE FROM DataFiles; -- ", "\\'; DELETE FROM DataFiles; -- ", "\\", "a\n;COMMIT", "ñ\\\u00bf'; --"]

    async def body(tx):
        for value in nasty:
            await tx.last(INSERT, {"lfn": value})

    await alone.run("body", body)
    assert await whole(alone) == nasty
