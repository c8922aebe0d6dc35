"""The state of the schema on MariaDB and MySQL, where each statement of a migration commits itself."""

import logging
import re
from collections.abc import Sequence
from typing import Any

from ...core.errors import ConfigurationError
from .. import migrate
from ..base import Parameters, Schema
from .driver import driver
from .errors import COLUMN_EXISTS, KEY_EXISTS, TABLE_EXISTS, code
from .verbs import MySQLTransaction

logger = logging.getLogger(__name__)

LOCK = "CONCAT('jsonrpc_tm ', MD5(DATABASE()))"
"""Name of the lock that who changes the schema holds; a name of a lock has 64 characters at most."""


async def describe(tx: MySQLTransaction, migrations: Sequence[migrate.PluginMigration]) -> Schema:
    """Return the state of the schema.

    :raises ConfigurationError: see ``migrate.plan``.
    """
    found = await migrate.plan(tx, migrations)
    dump = []
    for name in sorted(map(str, await tx.fetch_column(tx.dialect.tables))):
        made = await tx.fetch_one(f"SHOW CREATE TABLE `{name}`")
        dump.append(re.sub(r" AUTO_INCREMENT=\d+", "", list(made.values())[1]) if made else "")
    return Schema(
        found.present,
        found.wanted,
        [str(step) for step in found.pending],
        [] if found.pending else await migrate.differences(tx),
        dump,
    )


async def damage(tx: MySQLTransaction) -> list[str]:
    """Return sentences on what the server finds wrong with the rows of its tables.

    :param tx: verbs without a transaction.
    """
    if tx.session.flavour == "MariaDB":
        await tx.session.query("SET SESSION max_statement_time = 0")
    found: list[str] = []
    for name in sorted(map(str, await tx.fetch_column(tx.dialect.tables))):
        rows = await tx.fetch_all(f"CHECK TABLE `{name}` QUICK")
        found += [f"{name}: {row['Msg_text']}" for row in rows if row["Msg_type"] not in ("status", "note")]
    return found


async def prepare(
    tx: MySQLTransaction, migrations: Sequence[migrate.PluginMigration], url: str, *, upgrade: bool
) -> list[str]:
    """See to it that the schema is right; return the steps done.

    :param tx: verbs without a transaction.
    :param url: without the password, for messages.
    :param upgrade: do what is pending; else there must be nothing.
    :raises ConfigurationError: steps are pending, or one fails.
    """
    found = await migrate.plan(tx, migrations)
    if not found.pending:
        return []
    if not upgrade:
        raise migrate.refuse(found)
    if tx.session.flavour == "MariaDB":
        await tx.session.query("SET SESSION max_statement_time = 0")
    # of two hosts one migrates, the other waits and finds it done; the lock ends with the session
    if not await tx.fetch_value(f"SELECT GET_LOCK({LOCK}, 3600)"):
        raise ConfigurationError(f"another process has been migrating {url} for an hour")
    found = await migrate.plan(tx, migrations)
    for step in found.pending:
        await migrate.apply(_Resuming(tx), step, url, driver.Error)
        logger.info("migrated %s: %s", url, step)
    return [str(step) for step in found.pending]


class _Resuming:
    """The verbs for a migration step, of which an earlier, interrupted run may have done some statements."""

    def __init__(self, tx: MySQLTransaction) -> None:
        self._tx = tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def execute(self, sql: str, parameters: Parameters = {}) -> int:
        """Run a statement; what it makes may be there already (each statement of a schema commits itself)."""
        try:
            return await self._tx.execute(sql, parameters)
        except driver.Error as error:
            if code(error) not in (TABLE_EXISTS, COLUMN_EXISTS, KEY_EXISTS):
                raise
            logger.info("was there already: %s", sql.partition("\n")[0])
            return 0
