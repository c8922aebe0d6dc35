"""JEncode, DIRAC's JSON with tags for dates and bytes. Nothing is ever imported or evaluated.

Source: the wire as measured: ``{"__dCls": "dt", "obj": "YYYY-mm-dd HH:MM:SS"}``, likewise ``date`` and ``b64``.
"""

import base64
import binascii
import json
from typing import Any

from jsonrpc_tm.core.errors import ParseError, TMError
from jsonrpc_tm.rpc.body import Limits, parse, violation

TAG, VALUE = "__dCls", "obj"


class Undecodable(Exception):
    """A text that is not JEncode, or that has a tag we refuse."""


def decode(text: str, limits: Limits) -> Any:
    """Return the value of a JEncoded text; dates and bytes become texts.

    :raises Undecodable: not JSON, a limit is exceeded, or a tag is none of the three.
    """
    try:
        value, suspect = parse(text.encode(), limits)
    except (TMError, UnicodeEncodeError) as error:
        raise Undecodable(error.message if isinstance(error, ParseError) else "not UTF-8") from None
    if suspect and (problem := violation(value, limits)):
        raise Undecodable(problem)
    # no recursion deeper than the limit: violation() has seen to it, and without suspicion it cannot be deep
    return _untag(value) if TAG in text else value


def _untag(value: Any) -> Any:
    if isinstance(value, list):
        return [_untag(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: _untag(item) for key, item in value.items()}
    tagged = value.get(VALUE)
    if set(value) != {TAG, VALUE} or not isinstance(tagged, str):
        raise Undecodable(f"a tag {value[TAG]!r} with other members than it has")
    if value[TAG] in ("dt", "date"):
        return tagged
    if value[TAG] == "b64":
        try:
            return base64.b64decode(tagged, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Undecodable("bytes that are no text") from None
    raise Undecodable(f"the tag {value[TAG]!r} is refused")


def date(text: str | None) -> Any:
    """Return a date-time of an answer (``YYYY-MM-DDTHH:MM:SSZ``) with DIRAC's tag."""
    return None if text is None else {TAG: "dt", VALUE: f"{text[:10]} {text[11:19]}"}


def encode(value: Any) -> str:
    """Return *value* as DIRAC writes it: Python's json with ASCII, keys as texts."""
    return json.dumps(value)
