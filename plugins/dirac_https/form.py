"""Form-encoded requests."""

import email.parser
import email.policy
from binascii import a2b_qp
from urllib.parse import unquote_to_bytes

FIELDS = 50
"""Most fields of a form. DIRAC sends six at most."""
PIECE = 64 * 1024
"""Bytes that are taken apart at a time."""


class BadForm(Exception):
    """Not a form."""


def parse(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form; of a field given twice the last one counts.

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


def _urlencoded(body: bytes) -> dict[str, str]:
    pairs = body.split(b"&")
    if len(pairs) > FIELDS or not body.isascii():
        raise BadForm("too many fields, or not ASCII")
    # a field without "=" is there and empty, as for tornado
    named = (pair.partition(b"=") for pair in pairs if pair)
    return {_unquoted(name).decode(): _unquoted(value).decode() for name, _, value in named}


def _unquoted(text: bytes) -> bytes:
    """Return a text without escapes, piece by piece: others go on between the steps."""
    parts = []
    at = 0
    while at < len(text):
        end = at + PIECE
        escape = text.rfind(b"%", end - 2, end)
        if escape >= 0 and end < len(text):
            end = escape
        parts.append(_piece(text[at:end]))
        at = end
    return b"".join(parts)


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


def _multipart(content_type: str, body: bytes) -> dict[str, str]:
    if body.count(b"\n--") > FIELDS + 1 or "\n" in content_type:
        raise BadForm("too many fields")
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    if message.defects or not message.is_multipart():
        raise BadForm("not a form in parts")
    found = {}
    for part in message.iter_parts():
        if part.is_multipart():
            raise BadForm("a form inside a form")
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise BadForm("a part without name")
        found[name] = payload.decode()
    return found
