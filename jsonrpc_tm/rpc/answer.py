"""Results and errors as JSON text."""

import json
from datetime import UTC, date, datetime, time
from typing import Any

import orjson

from .openrpc import Document

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


def json_text(value: Any) -> bytes:
    """Return *value* as JSON text.

    :raises TypeError: it has something that is no JSON.
    """
    try:
        return orjson.dumps(value, _form, _OPTIONS)
    except TypeError:
        # ids as keys become text; rows, which have none, take twice as long with this option
        return orjson.dumps(value, _form, _OPTIONS | orjson.OPT_NON_STR_KEYS)


def prove_json(value: Any) -> None:
    """Refuse what has no JSON text, and what would become another value in it.

    :raises TypeError: there is something in it that is no JSON.
    :raises ValueError: there is a number in it that JSON lacks.
    """
    if b"null" in json_text(value):  # so orjson writes NaN and infinity, too
        json.dumps(value, default=str, skipkeys=True, allow_nan=False)


def _form(value: Any) -> str | orjson.Fragment:
    """Return the wire's form of what is no JSON: the document that has its text, a plugin's moments in UTC, days.

    :raises TypeError: it is something else.
    """
    if isinstance(value, Document):
        return orjson.Fragment(value.text)
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC)
        return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}Z"
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError
