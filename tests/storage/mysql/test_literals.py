"""Values become the literals that the driver would make."""

from datetime import datetime
from types import SimpleNamespace

import aiomysql
import pytest
from aiomysql.connection import SERVER_STATUS

from jsonrpc_tm.storage.mysql.literals import literal

CHARACTERS = "".join(map(chr, [*range(0x300), 0x2028, 0xFFFF, 0x1F600]))
VALUES = [CHARACTERS, "", "\\'", "'\\", 1, -(2**63), -1.5, None, True, datetime(2026, 1, 1)]


@pytest.mark.parametrize("status", [0, SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES])
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
async def test_a_literal_is_what_the_driver_makes(status, value):
    connection = aiomysql.Connection()
    connection.server_status = status
    assert literal(connection, value) == connection.literal(value)


def test_the_driver_is_not_asked_about_texts_and_numbers():
    assert literal(SimpleNamespace(server_status=0), "it's") == r"'it\'s'"
    assert literal(SimpleNamespace(server_status=0), -7) == "-7"
