"""The database driver, and what is used of its inside. Another one (asyncmy) needs a change here only."""

from typing import Any

import aiomysql as driver

__all__ = ["answered", "driver", "post", "read_little"]

_QUERY = 3  # the protocol's number of this command
_READ = 32 * 1024  # bytes; asyncio reads up to 256 KiB


async def post(connection: Any, sql: str) -> None:
    """Send a statement without rows and do not wait for its answer."""
    await connection._execute_command(_QUERY, sql)


async def answered(connection: Any) -> None:
    """Read the answer of what was posted.

    :raises driver.Error: it failed, or the connection was lost.
    """
    await connection._read_ok_packet()


def read_little(connection: Any) -> None:
    """Let a connection read some hundred rows at a time: they are decoded on the event loop, in one go."""
    connection._writer.transport.max_size = _READ
