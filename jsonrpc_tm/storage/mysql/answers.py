"""What the server says to statements: aiomysql sends them, here the packets of its answers are read.

The driver awaits each packet twice and makes an object of each column's description: a row of 25 columns costs it ten
times what it costs here, where all packets that have arrived are decoded in one pass. The protocol is
https://mariadb.com/kb/en/clientserver-protocol/, of which this is the text half, as ``pool`` asks for it.
"""

import asyncio
import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NoReturn

from ...core.breath import Breath
from ..base import Batch
from .driver import READ, driver, raise_error, send
from .errors import LOST

_WHOLE = 0xFFFFFF
"""Bytes of a packet that goes on in the next one."""
_OK, _FILE, _EOF, _ERROR = 0, 251, 254, 255
_END = 9
"""Bytes of the packet that ends descriptions, with its head."""
_NULL = 251
_SHORT = 252
"""Begins the length of a value of less than 64 KiB."""
_MORE = 8
"""Status of an answer that another one follows."""
_BINARY = 63
"""The character set of what is no text."""
_BYTES = frozenset((15, 16, 249, 250, 251, 252, 253, 254, 255))
"""Type codes of what is text, or bytes."""

# of a packet: its length, its number, its first byte
_head = struct.Struct("<HBBB").unpack_from
Convert = Callable[[bytes], Any]
_text: Convert = bytes.decode


def _number(value: bytes) -> int | float:
    return float(value) if b"." in value else int(value)


# by type code. Dates have none: they stay text. SUM() of integers is a decimal
_CONVERTERS: dict[int, Convert] = {
    **dict.fromkeys((1, 2, 3, 8, 9, 13), int),
    **dict.fromkeys((4, 5), float),
    **dict.fromkeys((0, 246), _number),
}


@dataclass(slots=True)
class Answer:
    """What one statement gave.

    :param count: rows that it matched, or gave.
    :param identifier: the first that the engine gave out; 0 for none.
    :param names: of the columns; none where it gives no rows.
    :param warnings: how many the server has; their texts would have to be asked for.
    :param more: another answer follows.
    """

    count: int = 0
    identifier: int = 0
    names: Sequence[str] = ()
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    warnings: int = 0
    more: bool = False


class Answers:
    """Sends statements on a connection, and reads what comes back, in this order.

    A caller that stops waiting closes the connection, which nobody could use any more.

    :param connection: the driver's, connected; it must not read any more by itself while an answer is on its way.
    """

    __slots__ = ("_breath", "_columns", "_connection", "_data", "_number", "_place", "_reader", "_streamed")

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._reader: asyncio.StreamReader = connection._reader
        self._breath = Breath()
        self._data = b""
        self._place = 0
        self._number = 1
        self._columns: Sequence[Convert] = ()
        self._streamed: Answer | None = None

    async def send(self, packet: str) -> None:
        """Send one statement or several.

        :raises driver.Error: the connection is closed; or is now, since something of an answer was left unread, which
            would be taken for the next one's.
        """
        if self._place < len(self._data) or self._streamed is not None:
            self._lost("an answer was not read to its end")
        self._number = await send(self._connection, packet)

    async def next(self) -> Answer:
        """Return the next answer with all its rows.

        :raises driver.Error: the statement failed, or the connection was lost.
        """
        answer = await self.begun()
        while self._streamed is not None:
            answer.rows += await self.some(_WHOLE)
        if answer.names:
            answer.count = len(answer.rows)
        if answer.warnings and not answer.more:
            await self._warn()
        return answer

    async def begun(self) -> Answer:
        """Return the next answer without its rows; ``some`` gives them.

        :raises driver.Error: as for ``next``.
        """
        packet = await self._packet()
        answer = Answer()
        if packet[0] == _OK:
            answer.count, place = _integer(packet, 1)
            answer.identifier, place = _integer(packet, place)
            self._ended(answer, packet, place, place + 2)
        elif packet[0] == _FILE:
            self._connection.close()
            raise driver.NotSupportedError("the server asks for a file")
        else:
            answer.names, self._columns = await self._described(_integer(packet, 0)[0])
            self._streamed = answer
        return answer

    async def some(self, most: int) -> Batch:
        """Return the next rows of the answer that was begun, *most* but at the end; then there are none.

        :raises driver.Error: as for ``next``.
        """
        rows: Batch = []
        while self._streamed is not None:
            self._decode(rows, most)
            if len(rows) >= most:
                break
            if self._after(1):  # the end, or longer than one packet
                self._row(rows, await self._packet())
            else:
                await self._fill()
        return rows

    def _decode(self, rows: Batch, most: int) -> None:
        """Append the rows whose packets are here."""
        data, place, columns, number = self._data, self._place, self._columns, self._number
        end = len(data)
        append = rows.append
        left = most - len(rows)
        # the JSON texts of rows take half the time so
        alone = tuple(columns) == (_text,)
        while left and place + 4 < end:
            low, high, found, first = _head(data, place)
            size = low | high << 16
            after = place + 4 + size
            if after > end or found != number or first >= _EOF or size == _WHOLE:
                break
            if alone and (first < _NULL or first == _SHORT):
                append((_text(data[place + (5 if first < _NULL else 7) : after]),))
            else:
                append(_values(data, place + 4, columns))
            number = number + 1 & 255
            place = after
            left -= 1
        self._place, self._number = place, number

    def _row(self, rows: Batch, packet: bytes) -> None:
        answer = self._streamed
        if answer is not None and packet[0] == _EOF and len(packet) < 9:
            self._streamed = None
            self._ended(answer, packet, 3, 1)
        else:
            rows.append(_values(packet, 0, self._columns))

    def _ended(self, answer: Answer, packet: bytes, status: int, warned: int) -> None:
        found = int.from_bytes(packet[status : status + 2], "little")
        # it says how texts are escaped
        self._connection.server_status = found
        answer.more = bool(found & _MORE)
        if self._place == len(self._data):
            # a row of megabytes must not stay for as long as the connection is idle
            self._data, self._place = b"", 0
        answer.warnings = int.from_bytes(packet[warned : warned + 2], "little")

    async def _described(self, columns: int) -> tuple[Sequence[str], Sequence[Convert]]:
        """Read the descriptions of columns, with the packet that ends them."""
        while not (end := self._after(columns + 1)):
            await self._fill()
        block = self._data[self._place : end]
        self._number = self._number + columns & 255
        self._place = end - _END
        if (await self._packet())[0] != _EOF:
            self._lost("the descriptions of columns do not end")
        return _columns(block)

    def _after(self, packets: int) -> int:
        """Return where the next packets end; 0: they are not all here."""
        data, place = self._data, self._place
        end = len(data)
        for _ in range(packets):
            if place + 4 > end:
                return 0
            place += 4 + (data[place] | data[place + 1] << 8 | data[place + 2] << 16)
        return place if place <= end else 0

    async def _packet(self) -> bytes:
        """Return the next packet, without its head.

        :raises driver.Error: it is an error, or the connection was lost.
        """
        parts: list[bytes] = []
        while True:
            while not (end := self._after(1)):
                await self._fill()
            data, place = self._data, self._place
            if data[place + 3] != self._number:
                self._lost(f"packet {data[place + 3]} came, {self._number} was expected")
            self._number = self._number + 1 & 255
            self._place = end
            parts.append(data[place + 4 : end])
            if len(parts[-1]) < _WHOLE:
                break
        packet = parts[0] if len(parts) == 1 else b"".join(parts)
        if packet[0] == _ERROR:
            self._streamed = None
            raise_error(packet)
        return packet

    async def _fill(self) -> None:
        """Wait for more data, for all that is missing of a long packet."""
        need = len(self._data) - self._place
        if need >= 4:
            need = 4 + int.from_bytes(self._data[self._place : self._place + 3], "little") - need
        try:
            more = await (self._reader.read(READ) if need <= READ else self._reader.readexactly(need))
            if len(more) >= READ:  # there may be more, which would not be waited for
                await self._breath.taken()
        except asyncio.CancelledError:
            self._connection._close_on_cancel()
            raise
        except (OSError, asyncio.IncompleteReadError) as error:
            self._lost(str(error))
        if not more:
            self._lost("")
        self._data = self._data[self._place :] + more
        self._place = 0

    def _lost(self, reason: str) -> NoReturn:
        self._connection.close()
        raise driver.OperationalError(LOST, f"Lost connection to MySQL server during query ({reason})")

    async def _warn(self) -> None:
        """Say what the server warns of: in tests it is an error."""
        await self.send("SHOW WARNINGS")
        for row in (await self.next()).rows:
            warnings.warn(str(row), driver.Warning, stacklevel=4)


def _integer(data: bytes, place: int) -> tuple[int, int]:
    """Return the number at *place*, and where it ends."""
    size = data[place]
    if size < _NULL:
        return size, place + 1
    end = place + 1 + (size - 250 if size < 254 else 8)
    return int.from_bytes(data[place + 1 : end], "little"), end


def _values(data: bytes, place: int, columns: Sequence[Convert]) -> tuple[Any, ...]:
    """Return the values of the row at *place*."""
    values: list[Any] = []
    append = values.append
    for convert in columns:
        size = data[place]
        place += 1
        if size >= _NULL:
            if size == _NULL:
                append(None)
                continue
            size, place = _integer(data, place - 1)
        end = place + size
        append(convert(data[place:end]))
        place = end
    return tuple(values)


@lru_cache(maxsize=512)
def _columns(block: bytes) -> tuple[Sequence[str], Sequence[Convert]]:
    """Return the names of columns and what makes Python values of theirs.

    The answers to a query describe its columns with the same bytes each time, so reading them once is enough.

    :param block: the packets that describe them, and the one that ends these.
    """
    names: list[str] = []
    converters: list[Convert] = []
    start = 0
    while start < len(block) - _END:
        place = start + 4
        texts: list[bytes] = []
        for _ in range(6):  # catalog, schema, table and its own name, the column's name and its own
            size, place = _integer(block, place)
            texts.append(block[place : place + size])
            place += size
        charset, code = int.from_bytes(block[place + 1 : place + 3], "little"), block[place + 7]
        names.append(texts[4].decode())
        converters.append(bytes if code in _BYTES and charset == _BINARY else _CONVERTERS.get(code, _text))
        start += 4 + int.from_bytes(block[start : start + 3], "little")
    return tuple(names), tuple(converters)
