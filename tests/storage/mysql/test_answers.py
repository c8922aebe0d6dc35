"""Packets of the server, however they arrive. That values and errors are right is tried on a server elsewhere."""

import asyncio
import contextlib

import pytest

from jsonrpc_tm.storage.mysql.answers import Answers
from jsonrpc_tm.storage.mysql.driver import driver

WHOLE = 0xFFFFFF
LONG, DOUBLE, DATETIME, VARCHAR, DECIMAL = 3, 5, 12, 253, 246
TEXT, BINARY = 45, 63


def number(value):
    for size, prefix in ((1, b""), (2, b"\xfc"), (3, b"\xfd"), (8, b"\xfe")):
        if value < (251 if size == 1 else 256**size):
            return prefix + value.to_bytes(size, "little")
    raise ValueError(value)


def text(value):
    return b"\xfb" if value is None else number(len(value)) + value


def column(name, code=VARCHAR, charset=TEXT):
    texts = b"".join(map(text, (b"def", b"db", b"t", b"T", name.encode(), b"own")))
    return texts + b"\x0c" + charset.to_bytes(2, "little") + bytes(4) + bytes([code]) + bytes(5)


def row(*values):
    return b"".join(map(text, values))


def ok(count=0, identifier=0, status=2, warnings=0):
    return b"\x00" + number(count) + number(identifier) + status.to_bytes(2, "little") + warnings.to_bytes(2, "little")


def eof(status=2):
    return b"\xfe\x00\x00" + status.to_bytes(2, "little")


ERROR = b"\xff" + (1062).to_bytes(2, "little") + b"#23000Duplicate"


def packets(*payloads, first=1):
    sent, at = b"", first
    for payload in payloads:
        for start in range(0, len(payload) + 1, WHOLE):
            part = payload[start : start + WHOLE]
            sent += len(part).to_bytes(3, "little") + bytes([at % 256]) + part
            at += 1
    return sent


class Wire:
    """A connection whose server has said *data*, of which *size* bytes arrive at a time."""

    def __init__(self, data, size=10**9):
        self._reader = asyncio.StreamReader()
        self.closed = False
        self._arrive(data, size)
        self.answers = Answers(self)

    def _arrive(self, data, size):
        if data:
            self._reader.feed_data(data[:size])
            asyncio.get_running_loop().call_soon(self._arrive, data[size:], size)
        else:
            self._reader.feed_eof()

    def close(self):
        self.closed = True

    _close_on_cancel = close


THREE = packets(
    ok(1, 300),
    *(b"\x03", column("a", LONG), column("ä"), column("c", VARCHAR, BINARY), eof()),
    *(row(b"1", b"x" * 250, None), row(None, b"y" * 251, b"\xff"), row(b"-3", b"z" * 70_000, b""), eof(2 | 8)),
    ok(7, status=2 | 8 | 512),
)


@pytest.mark.parametrize("size", [1, 3, 7, 100, 10**6])
async def test_answers_are_read_however_they_arrive(size):
    wire = Wire(THREE, size)
    first, second, third = [await wire.answers.next() for _ in range(3)]
    assert (first.count, first.identifier, first.names, first.rows) == (1, 300, (), [])
    assert list(second.names) == ["a", "ä", "c"]
    assert second.rows == [(1, "x" * 250, None), (None, "y" * 251, b"\xff"), (-3, "z" * 70_000, b"")]
    assert (second.count, second.more) == (3, True)
    assert (third.count, third.more) == (7, True)
    # texts are escaped as the server says
    assert wire.server_status == 2 | 8 | 512


@pytest.mark.parametrize("most", [1, 2, 3, 100])
async def test_rows_of_a_stream_come_in_batches(most):
    rows = [row(b"%d" % n) for n in range(600)]
    wire = Wire(packets(b"\x01", column("n", LONG), eof(), *rows, eof()), 1000)
    await wire.answers.begun()
    found = []
    while some := await wire.answers.some(most):
        assert len(some) == min(most, 600 - len(found))
        found += some
    assert found == [(n,) for n in range(600)]
    assert await wire.answers.some(most) == []


async def test_texts_that_come_alone_are_read_whole():
    texts = [b"", None, b"\xc3\xa4", b"x" * 250, b"y" * 251, b"z" * 65_535, b"u" * 65_536, b"last"]
    rows = (await Wire(packets(b"\x01", column("t"), eof(), *map(row, texts), eof())).answers.next()).rows
    assert rows == [(value if value is None else value.decode(),) for value in texts]


async def test_values_have_the_types_of_their_columns():
    kinds = [DOUBLE, DECIMAL, DECIMAL, DATETIME]
    described = [column(f"c{n}", kind, BINARY) for n, kind in enumerate(kinds)]
    data = packets(b"\x04", *described, eof(), row(b"1e3", b"1.5", b"15", b"2026-01-01 00:00:00"), eof())
    assert (await Wire(data).answers.next()).rows == [(1000.0, 1.5, 15, "2026-01-01 00:00:00")]


@pytest.mark.parametrize("length", [WHOLE - 5, WHOLE - 4, 2 * WHOLE - 4])
async def test_a_row_may_be_longer_than_a_packet(length):
    data = packets(b"\x01", column("t"), eof(), row(b"x" * length), row(b"last"), eof())
    rows = (await Wire(data).answers.next()).rows
    assert [len(value) for (value,) in rows] == [length, 4]


@pytest.mark.parametrize("before", [[], [b"\x01", column("n", LONG), eof(), row(b"1")]])
async def test_an_error_comes_out_and_what_follows_is_in_step(before):
    wire = Wire(packets(*before, ERROR) + packets(ok(1)))
    with pytest.raises(driver.IntegrityError, match="Duplicate"):
        await wire.answers.next()
    wire.answers._number = 1  # as after the next statement
    assert (await wire.answers.next()).count == 1
    assert not wire.closed


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", driver.OperationalError),
        (packets(b"\x01", column("n"))[:20], driver.OperationalError),
        (packets(b"\x01", column("n"), eof(), row(b"1")), driver.OperationalError),
        (packets(b"\x01", column("n"), eof(), row(b"x" * 100_000))[:-9], driver.OperationalError),
        (packets(ok(), first=3), driver.OperationalError),
        (packets(b"\x01", column("n"), eof()) + packets(row(b"1"), first=9), driver.OperationalError),
        (packets(b"\x01", column("n"), column("n")), driver.OperationalError),
        (packets(b"\xfbname"), driver.NotSupportedError),
    ],
)
async def test_what_makes_no_sense_ends_the_connection(data, error):
    wire = Wire(data)
    with pytest.raises(error):
        await wire.answers.next()
    assert wire.closed


@pytest.mark.parametrize(("kind", "value"), [(LONG, b"1"), (LONG, b"one"), (VARCHAR, b"\xff")])
async def test_nothing_is_sent_after_what_was_not_read(kind, value):
    wire = Wire(packets(b"\x01", column("n", kind), eof(), row(value), row(b"2"), eof()))
    await wire.answers.begun()
    with contextlib.suppress(ValueError):  # such a value is not in step with its column
        await wire.answers.some(1)
    with pytest.raises(driver.OperationalError, match="not read to its end"):
        await wire.answers.send("SELECT 1")
    assert wire.closed


async def test_a_long_row_is_let_go_of():
    wire = Wire(packets(b"\x01", column("t"), eof(), row(b"x" * 10**6), eof()))
    assert len((await wire.answers.next()).rows[0][0]) == 10**6
    assert not wire.answers._data


async def test_who_stops_waiting_ends_the_connection():
    wire = Wire(b"")
    wire._reader = asyncio.StreamReader()
    answers = Answers(wire)
    task = asyncio.create_task(answers.next())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert wire.closed


async def test_who_stops_waiting_while_others_have_their_turn_ends_the_connection(monkeypatch):
    monkeypatch.setattr("jsonrpc_tm.core.breath.LONGEST", -1)
    wire = Wire(packets(b"\x01", column("n", LONG), eof(), *(row(b"1") for _ in range(20_000)), eof()))
    task = asyncio.create_task(wire.answers.next())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert wire.closed


@pytest.mark.mariadb
async def test_what_the_server_warns_of_is_said(open_mysql):
    async with open_mysql() as storage:
        with pytest.warns(driver.Warning, match="1292"):
            assert await storage.run("x", lambda tx: tx.fetch_value("SELECT CAST('x' AS INT)"), read=True) == 0
        assert await storage.run("x", lambda tx: tx.fetch_value("SELECT 1"), read=True) == 1
