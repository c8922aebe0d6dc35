"""Form-encoded requests."""

import email.parser
import email.policy
from binascii import a2b_qp
from urllib.parse import unquote_to_bytes

from jsonrpc_tm.api import give_way

Value = bytes | bytearray
FIELDS = 50
"""Most fields of a form. DIRAC sends six at most."""
LINES = 10_000
"""Most ends of lines in a form in parts, which Python takes apart line by line: of 20 MB of short ones in 16
seconds. JSON, as clients write it, has none."""
PIECE = 64 * 1024
"""Bytes that are taken apart at a time."""


class BadForm(Exception):
    """Not a form."""


def parse(content_type: str, body: bytes) -> dict[str, Value]:
    """Return the fields of a form as bytes of UTF-8; of a field given twice the last one counts.

    :param content_type: the whole header.
    :raises BadForm: another type, too many fields, or not UTF-8.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            return _urlencoded(body)
        if kind == "multipart/form-data":
            return _multipart(content_type, body)
    except (ValueError, LookupError):
        raise BadForm("not a form") from None
    raise BadForm("the Content-Type is not a form's")


def _urlencoded(body: bytes) -> dict[str, Value]:
    if not body.isascii():
        raise BadForm("not ASCII")
    found: dict[str, Value] = {}
    at = number = 0
    while at < len(body):
        number += 1
        if number > FIELDS:
            raise BadForm("too many fields")
        end = body.find(b"&", at)
        end = len(body) if end < 0 else end
        # a field without "=" is there and empty, as for tornado
        equals = body.find(b"=", at, end)
        middle = end if equals < 0 else equals
        if end > at:
            found[_unquoted(body, at, middle).decode()] = _utf8(_unquoted(body, middle + 1, end))
        at = end + 1
    return found


def _utf8(value: Value) -> Value:
    if not value.isascii():
        value.decode()
    return value


def _unquoted(body: bytes, begin: int, end: int) -> bytearray:
    """Return a part of a body without escapes, piece by piece: others go on between the steps."""
    text = bytearray()
    while begin < end:
        until = min(begin + PIECE, end)
        escape = body.rfind(b"%", until - 2, until)
        if escape >= 0 and until < end:
            until = escape
        text += _piece(body[begin:until])
        begin = until
        if begin < end:
            give_way()
    return text


def _piece(text: bytes) -> bytes:
    """Do what ``urllib`` does, in C: so 10 MB take milliseconds. Quoted-printable has ``=`` where forms have ``%``."""
    text = text.replace(b"+", b" ")
    escapes = text.count(b"%")
    if not escapes:
        return text
    if b"\r" not in text and b"\n" not in text:  # else ``=`` may stand before an end of a line
        plain = a2b_qp(text.replace(b"=", b"%3D").replace(b"%", b"="))
        if len(plain) == len(text) - 2 * escapes:
            return plain
    return unquote_to_bytes(text)  # some ``%`` begins no escape


def _multipart(content_type: str, body: bytes) -> dict[str, Value]:
    if body.count(b"\n--") > FIELDS + 1 or "\n" in content_type:
        raise BadForm("too many fields")
    if max(map(body.count, (b"\n", b"\r"))) > LINES:
        raise BadForm("too many lines")
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    if message.defects or not message.is_multipart():
        raise BadForm("not a form in parts")
    found: dict[str, Value] = {}
    for part in message.iter_parts():
        if part.is_multipart():
            raise BadForm("a form inside a form")
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise BadForm("a part without name")
        found[name] = _utf8(payload)
    return found
