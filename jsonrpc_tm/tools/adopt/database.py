"""The database that is adopted: statements, transactions, and what its catalogue says of it."""

import contextlib
import re
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ...core.errors import ConfigurationError
from ...storage.mysql import MySQLStorage
from ...storage.mysql.driver import driver
from ...storage.mysql.schema import LOCK
from ...storage.mysql.session import Session
from ...storage.mysql.verbs import MySQLTransaction

NEW, OLD, ORPHANED = "adopt_", "reference_", "orphaned_"
"""Prefixes of tables: being filled; replaced; rows whose owner is gone."""
TRIGGER = "TaskID_Generator"
OLD_QUERIES = "TransformationInputDataQuery"
"""What databases of old have instead of TransformationMetaQueries."""


_FAMILIES = {
    "int": "(tiny|small|medium|big)?int",
    "decimal": "decimal|float|double",
    "text": "(var)?char|(tiny|medium|long)?text|enum|set",
    "bytes": "(tiny|medium|long)?blob|(var)?binary",
    "date": "datetime|timestamp|date",
}


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as information_schema has it.

    :param type: the full type, such as ``varchar(255)``.
    :param length: most characters of a text, most bytes of a BLOB; None for others.
    :param charset: character set and collation of a text; None for others.
    :param default: whether it has a default that is not NULL.
    """

    name: str
    type: str
    length: int | None
    charset: tuple[str, str] | None
    nullable: bool
    default: bool
    extra: str

    @property
    def family(self) -> str:
        """What its values are: ``int``, ``decimal``, ``text``, ``bytes``, ``date`` or, for all others, its type."""
        word = re.split(r"\W", self.type, maxsplit=1)[0].lower()
        return next((family for family, pattern in _FAMILIES.items() if re.fullmatch(pattern, word)), word)

    @property
    def generated(self) -> bool:
        """Whether the server computes it."""
        return re.search(r"(VIRTUAL|STORED) GENERATED", self.extra) is not None


@dataclass(slots=True)
class Database:
    """One session, and the verbs on it; every statement takes as long as it takes.

    :param caught: what the driver warned of.
    """

    session: Session
    tx: MySQLTransaction
    caught: list[warnings.WarningMessage]

    @property
    def warnings(self) -> list[str]:
        """What the database warned of, each once."""
        return list(
            dict.fromkeys(str(each.message) for each in self.caught if isinstance(each.message, driver.Warning))
        )

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[MySQLTransaction]:
        """Commit what is done inside, together; nothing of it when it fails."""
        await self.session.query("START TRANSACTION")
        try:
            yield self.tx
        except Exception:
            if not self.session.connection.closed:
                await self.session.query("ROLLBACK")
            raise
        await self.session.query("COMMIT")

    async def tables(self) -> set[str]:
        """Return the names of the tables."""
        rows = await self.tx.fetch_all(
            "SELECT TABLE_NAME AS name FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
        )
        return {row["name"] for row in rows}

    async def columns(self, table: str) -> dict[str, SourceColumn]:
        """Return the columns of a table by name."""
        rows = await self.tx.fetch_all(
            "SELECT COLUMN_NAME AS name, COLUMN_TYPE AS type, CHARACTER_MAXIMUM_LENGTH AS length,"
            " CHARACTER_SET_NAME AS charset, COLLATION_NAME AS collation, IS_NULLABLE = 'YES' AS nullable,"
            " COALESCE(COLUMN_DEFAULT, 'NULL') <> 'NULL' AS usual, EXTRA AS extra"
            " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :name"
            " ORDER BY ORDINAL_POSITION",
            {"name": table},
        )
        return {
            row["name"]: SourceColumn(
                row["name"],
                row["type"],
                row["length"],
                (row["charset"], row["collation"]) if row["charset"] else None,
                bool(row["nullable"]),
                bool(row["usual"]),
                row["extra"],
            )
            for row in rows
        }

    async def definition(self, table: str) -> str:
        """Return the statement that makes a table."""
        row = await self.tx.fetch_one(f"SHOW CREATE TABLE `{table}`")
        assert row is not None
        return str(list(row.values())[1])

    async def next_identifier(self, table: str) -> int:
        """Return the identifier that the next row of a table would get."""
        row = await self.tx.fetch_one(
            "SELECT COALESCE(AUTO_INCREMENT, 1) AS n FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :name",
            {"name": table},
        )
        return int(row["n"]) if row else 1

    async def sizes(self) -> dict[str, int]:
        """Return the bytes that each table takes on the disk."""
        rows = await self.tx.fetch_all(
            "SELECT TABLE_NAME AS name, COALESCE(DATA_LENGTH + INDEX_LENGTH, 0) AS size"
            " FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
        )
        return {row["name"]: int(row["size"]) for row in rows}

    async def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        """Return the columns of each unique key of a table."""
        rows = await self.tx.fetch_all(
            "SELECT INDEX_NAME AS name, COLUMN_NAME AS part FROM information_schema.STATISTICS"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :name AND NON_UNIQUE = 0",
            {"name": table},
        )
        keys: dict[str, tuple[str, ...]] = {}
        for row in rows:
            keys[row["name"]] = (*keys.get(row["name"], ()), row["part"])
        return list(keys.values())

    async def foreign_keys(self) -> list[dict[str, str]]:
        """Return every foreign key of the database: ``child``, ``name``, ``parent``."""
        return await self.tx.fetch_all(
            "SELECT TABLE_NAME AS child, CONSTRAINT_NAME AS name, REFERENCED_TABLE_NAME AS parent"
            " FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()"
        )

    async def triggers(self) -> list[dict[str, str]]:
        """Return every trigger: ``name``, and the ``table`` it is on."""
        return await self.tx.fetch_all(
            "SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS owner FROM information_schema.TRIGGERS"
            " WHERE TRIGGER_SCHEMA = DATABASE()"
        )


# zeros are no request for the next identifier, and an extension's dates may be 0000-00-00
_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO"


@contextlib.asynccontextmanager
async def connected(storage: MySQLStorage) -> AsyncIterator[Database]:
    """Yield the database, for this process alone.

    :raises ConfigurationError: it cannot be opened, is being adopted already, or refuses a statement.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", category=driver.Warning)
        async with storage.session() as session:
            database = Database(session, storage.plain(session), caught)
            try:
                await session.query(f"SET SESSION sql_mode = '{_MODE}'")
                if session.flavour == "MariaDB":
                    await session.query("SET SESSION max_statement_time = 0, SESSION idle_transaction_timeout = 0")
                # a session that has just ended may hold it for a moment longer
                if not await database.tx.fetch_value(f"SELECT GET_LOCK({LOCK}, 5)"):
                    raise ConfigurationError(f"another process is changing the tables of {storage.url}")
                yield database
            except driver.Error as error:
                raise ConfigurationError(
                    f"the database {storage.url} refuses: {error.args[-1]}; when that is mended, give the command"
                    " again: it goes on where it ended"
                ) from error
