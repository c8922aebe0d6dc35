"""The database that is adopted: statements, transactions, and what its catalogue says of it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ...core.errors import ConfigurationError
from ...storage.mysql import MySQLStorage
from ...storage.mysql.schema import LOCK
from ...storage.mysql.session import Session
from ...storage.mysql.verbs import MySQLTransaction

NEW, OLD, ORPHANED = "adopt_", "reference_", "orphaned_"
"""Prefixes of tables: being filled; replaced; rows whose owner is gone."""
TRIGGER = "TaskID_Generator"
OLD_QUERIES = "TransformationInputDataQuery"
"""What databases of old have instead of TransformationMetaQueries."""


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as information_schema has it.

    :param type: the full type, such as ``varchar(255)``.
    :param length: most characters of a text; None for others.
    :param default: an SQL expression; None without one.
    """

    name: str
    type: str
    length: int | None
    nullable: bool
    default: str | None
    extra: str

    @property
    def text(self) -> str:
        """Its value in terms of a row ``s``; the BLOBs of old databases hold UTF-8."""
        value = f"s.`{self.name}`"
        return f"CONVERT({value} USING utf8mb4)" if self.type.endswith("blob") else value


@dataclass(slots=True)
class Database:
    """One session, and the verbs on it; every statement takes as long as it takes."""

    session: Session
    tx: MySQLTransaction

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
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'"
        )
        return {row["name"] for row in rows}

    async def columns(self, table: str) -> dict[str, SourceColumn]:
        """Return the columns of a table by name."""
        rows = await self.tx.fetch_all(
            "SELECT COLUMN_NAME AS name, COLUMN_TYPE AS type, CHARACTER_MAXIMUM_LENGTH AS length,"
            " IS_NULLABLE = 'YES' AS nullable, COLUMN_DEFAULT AS usual, EXTRA AS extra"
            " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :name"
            " ORDER BY ORDINAL_POSITION",
            {"name": table},
        )
        return {
            row["name"]: SourceColumn(
                row["name"], row["type"], row["length"], bool(row["nullable"]), self._default(row), row["extra"]
            )
            for row in rows
        }

    def _default(self, row: dict[str, str | None]) -> str | None:
        default = row["usual"]
        if default is None or default == "NULL":
            return None
        if self.session.flavour == "MariaDB" or "DEFAULT_GENERATED" in (row["extra"] or ""):
            return default  # an expression already
        return f"'{default}'"

    async def next_identifier(self, table: str) -> int:
        """Return the identifier that the next row of a table would get."""
        row = await self.tx.fetch_one(
            "SELECT COALESCE(AUTO_INCREMENT, 1) AS n FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :name",
            {"name": table},
        )
        return int(row["n"]) if row else 1

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


@contextlib.asynccontextmanager
async def connected(storage: MySQLStorage) -> AsyncIterator[Database]:
    """Yield the database, for this process alone.

    :raises ConfigurationError: it cannot be opened, or is being adopted already.
    """
    async with storage.session() as session:
        database = Database(session, storage.plain(session))
        if session.flavour == "MariaDB":
            await session.query("SET SESSION max_statement_time = 0, SESSION idle_transaction_timeout = 0")
        # a session that has just ended may hold it for a moment longer
        if not await database.tx.fetch_value(f"SELECT GET_LOCK({LOCK}, 5)"):
            raise ConfigurationError(f"another process is changing the tables of {storage.url}")
        yield database
