"""No module but the engines' own knows which engine runs."""

import re
from pathlib import Path

import pytest

import jsonrpc_tm
from jsonrpc_tm.storage.dialect import MYSQL, SQLITE, Dialect, MySQL, SQLite
from jsonrpc_tm.storage.inserts import insert

PACKAGE = Path(jsonrpc_tm.__file__).parent
# adoption speaks to MySQL only; the demo counts a second time past the storage, on purpose
ENGINES = (
    "storage/dialect/sqlite.py",
    "storage/dialect/mysql.py",
    "storage/sqlite/*.py",
    "storage/mysql/*.py",
    "tools/adopt/*.py",
    "tools/testing/mariadb*.py",
    "tools/demo/count.py",
)
# what only one of the engines understands, and ways to ask which it is
TELLTALES = re.compile(
    r"dialect\.name\s*[!=]=|[!=]=\s*[\"'](sqlite|mysql)[\"']|isinstance\([^)]*dialect|import (sqlite3|aiomysql|pymysql)"
    r"|json_each|json_extract|JSON_TABLE|ON CONFLICT|ON DUPLICATE|INSERT OR |INSERT IGNORE|REPLACE INTO|FOR UPDATE"
    r"|SKIP LOCKED|STRAIGHT_JOIN|CROSS JOIN|RETURNING|GROUP_CONCAT|\bIFNULL\(|\bNOW\(\)|strftime\('|\bDATE_FORMAT\("
    r"|LAST_INSERT_ID|last_insert_rowid|\bPRAGMA\b|information_schema|sqlite_schema| \|\| '|\bREGEXP\b"
)


def test_engine_differences_live_in_the_dialect_only():
    engines = {path for pattern in ENGINES for path in PACKAGE.glob(pattern)}
    assert len(engines) >= 3
    found = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path not in engines
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if TELLTALES.search(line)
    ]
    assert found == []


def test_both_dialects_say_everything():
    """Methods are abstract until an engine has them; nothing but this looks after the pieces of text."""
    assert set(Dialect.__annotations__) <= set(vars(SQLite)) & set(vars(MySQL))


@pytest.mark.parametrize("dialect", [SQLITE, MYSQL])
async def test_a_few_rows_are_inserted_one_by_one_and_more_of_them_packed(dialect):
    given = []

    async def verb(sql, parameters):
        given.append((len(parameters), "packed" in sql))

    for number in (0, dialect.few, dialect.few + 1):
        await insert(verb, dialect, "DataFiles", {"LFN": "text"}, [[f"/{n}"] for n in range(number)])
    assert given == [(dialect.few, False), (1, True)]
