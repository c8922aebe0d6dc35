"""What JSON has no form for is refused where it comes up; it never becomes null."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import click
import pytest

from jsonrpc_tm.cli.call import read_parameters
from jsonrpc_tm.client import BaseClient, Client, SyncClient
from jsonrpc_tm.core import fields
from jsonrpc_tm.rpc.dispatch import Dispatcher
from jsonrpc_tm.rpc.method import Change, Method
from jsonrpc_tm.tools.testing.cast import PEOPLE
from tests.rpc.books import opened

BAD = [math.nan, math.inf, -math.inf]


class Mute(BaseClient):
    """A client whose requests are written down."""

    def __init__(self):
        super().__init__()
        self.sent = []

    async def _send(self, body, headers={}):
        self.sent.append(body)
        return 204, b""


@pytest.mark.parametrize("number", BAD)
async def test_a5_a_client_sends_no_number_that_json_lacks(number):
    client = Mute()
    for params in ((number,), ({"deep": [None, {"er": number}]},), ([2**70, number],)):
        with pytest.raises(ValueError, match="nothing was sent"):
            await client.call("echo", *params)
        with pytest.raises(ValueError, match="nothing was sent"):
            await client.notify("echo", *params)
        with pytest.raises(ValueError, match="nothing was sent"):
            await client.batch([("ping", []), ("echo", params)])
    with pytest.raises(TypeError, match="Decimal"):
        await client.call("echo", Decimal("1.5"))
    assert client.sent == []
    moment = datetime(2026, 11, 26, 12, tzinfo=UTC)
    await client.notify("echo", [None, "null", 2**70])
    await client.notify("echo", {1: None, "at": moment})
    assert client.sent[1] == (
        b'{"jsonrpc":"2.0","method":"echo","params":[{"1":null,"at":"2026-11-26T12:00:00+00:00"}]}'
    )


def test_a5_every_client_of_the_package_has_this_rule():
    """What is refused is refused before anybody connects."""
    assert issubclass(Client, BaseClient)
    with SyncClient("http://127.0.0.1:9") as client:
        for number in BAD:
            with pytest.raises(ValueError, match="nothing was sent"):
                client.call("echo", number)


@pytest.mark.parametrize("words", [["1e999"], ["t", "x", "-1e999"], ['paramValue=[1, {"a": 1e999}]'], ['{"x": 1e400}']])
def test_a5_a_number_on_the_command_line_that_is_too_large(words):
    with pytest.raises(click.UsageError, match="is too large for a number; text:"):
        read_parameters(words)
    assert read_parameters(["text:1e999", "NaN", "1e308"]) == ["1e999", "NaN", 1e308]


def returns(value):
    async def handler(work, transformation):
        """Change the transformation, then return something."""
        await work.tx.execute("UPDATE Transformations SET Description = 'changed'")
        return value

    return Method(
        "tests.give", handler, {"transName": fields.Transformation(required=True)}, access=Change(), rule="all"
    )


@pytest.mark.parametrize(
    "value", [*BAD, {"a": [None, math.nan]}, (1, math.inf), Decimal("1.5"), {1, 2}, 2**70, "\ud800"]
)
async def test_a5_a_plugins_method_that_returns_it_is_a_bug_and_changes_nothing(value, caplog):
    async with opened("sqlite://:memory:", returns(value)) as books:
        await books.call("tests.make", "t", who="manager")
        context = books.service.context(PEOPLE["manager"])
        answer = await Dispatcher(books.service).handle(
            b'{"jsonrpc": "2.0", "id": 7, "method": "tests.give", "params": ["t"]}', context
        )
        assert b'"InternalError"' in answer and b'"result"' not in answer
        assert await books.fetch("SELECT Description FROM Transformations") == [None]
    assert [record.levelname for record in caplog.records if "tests.give failed" in record.getMessage()] == ["ERROR"]


async def test_a5_what_json_has_a_form_for_passes():
    here = timezone(timedelta(hours=2))
    value = {1: None, "at": datetime(2026, 11, 26, 14, 0, 0, 5, tzinfo=here), "some": (1, 1.5, True)}
    async with opened("sqlite://:memory:", returns(value)) as books:
        await books.call("tests.make", "t", who="manager")
        context = books.service.context(PEOPLE["manager"])
        answer = await Dispatcher(books.service).handle(
            b'{"jsonrpc": "2.0", "id": 7, "method": "tests.give", "params": ["t"]}', context
        )
    assert answer == (b'{"jsonrpc":"2.0","result":{"1":null,"at":"2026-11-26T12:00:00Z","some":[1,1.5,true]},"id":7}')
