"""Plain readers of JSON values: texts, identifiers, moments. What they refuse they say in one sentence."""

import re
from datetime import UTC, datetime
from typing import Any

import orjson

from .model import MAX_INTEGER

NUMERIC = re.compile(r"-?[0-9]+\Z", re.ASCII)


class BadValue(Exception):
    """A value is not what it should be.

    :param messages: a sentence, or messages by name or index where the value has parts (the shape of
        ``data.errors``).
    """

    def __init__(self, messages: str | list[Any] | dict[Any, Any]) -> None:
        super().__init__(messages)
        self.messages: list[Any] | dict[Any, Any] = [messages] if isinstance(messages, str) else messages


def text(value: Any, length: int | None = 255, *, empty: bool = True) -> str:
    """Return *value* if it is a text that a column of *length* characters takes.

    :raises BadValue: it is not.
    """
    if type(value) is not str:
        raise BadValue("Not a string.")
    if length is not None and len(value) > length:
        raise BadValue(f"Longer than {length} characters.")
    if not empty and not value:
        raise BadValue("Must not be empty.")
    if "\0" in value:
        raise BadValue("Must not contain U+0000.")
    return value


def number_as_text(value: Any) -> Any:
    """Return the JSON text of a number, and anything else as it is."""
    return orjson.dumps(value).decode() if type(value) in (int, float) else value


def identifier(value: Any) -> int:
    """Return the integer that *value* (an integer or its decimal text) means.

    :raises BadValue: it means none of 64 bits.
    """
    if type(value) is int:
        number = value
    elif type(value) is str and NUMERIC.match(value):
        # int() of thousands of digits is slow and refused: 20 characters hold any 64-bit number without zeros
        number = int(value) if len(value.lstrip("-0")) < 20 and len(value) < 300 else MAX_INTEGER + 1
    else:
        raise BadValue("Not an identifier.")
    if abs(number) > MAX_INTEGER:
        raise BadValue("Not a 64-bit identifier.")
    return number


_NO_MOMENT = "Not a date-time, such as 2026-02-25 or 2026-02-25T13:45:00Z."
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?\Z", re.ASCII)


def moment(value: Any) -> str:
    """Return the date-time *value* in the stored form, ``YYYY-MM-DD HH:MM:SS`` in UTC.

    :raises BadValue: it is not one.
    """
    if type(value) is not str or not _MOMENT.match(value):
        raise BadValue(_NO_MOMENT)
    try:
        parsed = datetime.fromisoformat(re.sub(r"\.\d+", "", value))
        if parsed.tzinfo is not None:
            parsed = parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadValue(_NO_MOMENT) from None
    return f"{parsed.year:04d}-{parsed:%m-%d %H:%M:%S}"
