"""The storage contract on MariaDB; ``storage`` is the fixture of this folder."""

import pytest

from jsonrpc_tm.storage.dialect import MYSQL8
from jsonrpc_tm.storage.migrate import core_steps
from jsonrpc_tm.tools.testing.storage_contract import StorageContract


@pytest.mark.mariadb
class TestMariaDB(StorageContract):
    pass


def test_mysql_gets_its_own_collation():
    for step in core_steps(MYSQL8):
        assert "utf8mb4_0900_bin" in "".join(step.statements)
        assert "nopad" not in "".join(step.statements)
    assert "utf8mb4_0900_bin" in MYSQL8.array("x")


@pytest.mark.mariadb
async def test_packed_texts_compare_exactly_whatever_the_default_of_the_database(open_mysql, mariadb):
    name = mariadb.create_database()
    mariadb.sql(f"ALTER DATABASE {name} CHARACTER SET latin1 COLLATE latin1_swedish_ci")

    async def distinct(tx):
        rows = await tx.fetch_all(
            f"SELECT value FROM {tx.dialect.array('v')} AS given GROUP BY value ORDER BY value",
            {"v": tx.dialect.pack(["a", "A", "a ", "ä", "日", "😀"])},
        )
        return [row["value"] for row in rows]

    async with open_mysql(mariadb.url(name)) as storage:
        assert await storage.run("distinct", distinct, read=True) == ["A", "a", "a ", "ä", "日", "😀"]
    mariadb.drop_database(name)
