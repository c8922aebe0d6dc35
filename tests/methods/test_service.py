from datetime import UTC, datetime, timedelta

import pytest

from jsonrpc_tm import __version__
from jsonrpc_tm.core.identity import Identity


async def test_ping_tells_times_in_seconds_since_the_start(sqlite_tm):
    sqlite_tm.later(90)
    answer = await sqlite_tm("ping", who="nobody")
    assert answer["name"] == "TransformationManager"
    assert answer["version"] == __version__
    assert answer["time"] == "2024-10-15T12:01:30Z"
    assert answer["service start time"] == "2024-10-15T12:00:00Z"
    assert answer["service uptime"] == 90
    assert answer["host uptime"] > 0
    assert [float(word) >= 0 for word in answer["load"].split()] == [True] * 3
    assert answer["cpu times"].keys() == {"user time", "system time"}


@pytest.mark.parametrize("data", [None, True, 0, 1.5, 2**63 - 1, "", "ü 日 😀", [], {"a": [None]}])
async def test_echo_gives_back_any_json(sqlite_tm, data):
    assert await sqlite_tm("echo", data) == data


async def test_echo_needs_its_parameter(sqlite_tm):
    await sqlite_tm.refused("InvalidParams", "echo")
    await sqlite_tm.refused("InvalidParams", "echo", 1, 2)


async def test_whoami_has_all_keys_and_the_registrys_order_of_properties(sqlite_tm):
    visitor = Identity(
        "vic",
        "g",
        ("Zebra", "Ant", "Mole"),
        "/CN=vic",
        "sub-1",
        "jwt",
        datetime(2024, 10, 15, 12, tzinfo=UTC) + timedelta(seconds=61),
    )
    assert await sqlite_tm("whoami", who=visitor) == {
        "username": "vic",
        "group": "g",
        "properties": ["Zebra", "Ant", "Mole"],
        "DN": "/CN=vic",
        "subject": "sub-1",
        "authentication": "jwt",
        "secondsLeft": 61,
    }
    sqlite_tm.later(100)
    assert (await sqlite_tm("whoami", who=visitor))["secondsLeft"] == 0
    answer = await sqlite_tm("whoami", who="visitor")
    assert (answer["subject"], answer["authentication"], answer["secondsLeft"]) == (None, "x509", None)
    await sqlite_tm.refused("Unauthenticated", "whoami", who="nobody")
