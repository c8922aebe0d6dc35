"""Databases that live as long as a test: made beside a named one and dropped in the end."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from ...core.errors import ConfigurationError
from ..dialect import MYSQL
from ..urls import with_database
from .driver import driver
from .errors import code
from .session import Session

DENIED = (1044, 1045, 1142, 1227)
LONGEST_NAME = 64


@asynccontextmanager
async def scratch(
    connect: Callable[[], AbstractAsyncContextManager[Session]], name: str, url: str, label: str
) -> AsyncIterator[str]:
    """Give the URL of a new database ``<name>_<label>`` on the server of *url*, and drop it in the end.

    A user who may not make databases gets the named one itself if it has no tables; it has none afterwards either.

    :param connect: gives a session in the database of *url*.
    :param name: of that database.
    :raises ConfigurationError: neither will do.
    """
    beside = f"{name[: LONGEST_NAME - len(label) - 1]}_{label}"
    async with connect() as session:
        try:
            await session.query(f"CREATE DATABASE {_quoted(beside)}")
        except driver.Error as error:
            if code(error) not in DENIED:
                raise ConfigurationError(f"the database {beside} cannot be made: {error.args[-1]}") from None
            if await _tables(session):
                raise ConfigurationError(
                    f"this user may not make databases, and {name} has tables, which are not to be touched"
                ) from None
            beside = name
    try:
        yield with_database(url, beside)
    finally:
        async with connect() as session:
            if beside == name:
                await session.query("SET foreign_key_checks = 0")
                for table in await _tables(session):
                    await session.query(f"DROP TABLE {_quoted(table)}")
            else:
                await session.query(f"DROP DATABASE {_quoted(beside)}")


async def _tables(session: Session) -> list[str]:
    return [str(row[0]) for row in await session.query(MYSQL.tables)]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
