"""The database driver, and what is used of its inside. Another one (asyncmy) needs a change here only."""

from typing import Any

import aiomysql as driver

__all__ = ["READ", "driver", "raise_error", "send"]

READ = 32 * 1024
"""Bytes that are decoded on the event loop in one go: some hundred rows."""
_QUERY = 3  # the protocol's number of this command


async def send(connection: Any, sql: str) -> int:
    """Send one statement or several, do not wait for an answer; return the number of its first packet.

    :raises driver.Error: the connection is closed.
    """
    await connection._execute_command(_QUERY, sql)
    number: int = connection._next_seq_id
    return number


def raise_error(packet: bytes) -> None:
    """Raise what a packet tells of an error.

    :raises driver.Error: always.
    """
    driver.connection.MysqlPacket(packet, "utf-8").raise_for_error()
