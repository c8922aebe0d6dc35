"""Compressed bodies: gzip and deflate, bounded, without trust in what comes."""

import re
import zlib
from typing import Literal

from ..core.errors import ParseError

Encoding = Literal["gzip", "deflate"]
SUPPORTED = "gzip, deflate"
# below this an answer does not shrink by a packet
WORTH = 1024

_NAMES: dict[str, Encoding] = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_OFF = re.compile(r"q\s*=\s*0(\.0*)?\s*\Z")
# of the levels, 1 is three times faster than the default 6 and loses little on JSON
_LEVEL = 1


class TooLarge(Exception):
    """More than the limit comes out."""


class Unsupported(Exception):
    """A Content-Encoding other than those above."""


def content_encoding(header: str | None) -> Encoding | None:
    """Return the encoding that a Content-Encoding header names; None for none.

    :raises Unsupported: any other, or several.
    """
    name = (header or "").strip().lower()
    if name in ("", "identity"):
        return None
    try:
        return _NAMES[name]
    except KeyError:
        raise Unsupported(name) from None


def accepted(header: str | None) -> Encoding | None:
    """Return the encoding to answer in, given an Accept-Encoding header."""
    if not header:
        return None
    wanted: dict[str, bool] = {}
    for part in header.lower().split(","):
        name, _, parameter = part.partition(";")
        wanted[name.strip()] = not _OFF.match(parameter.strip())
    others = wanted.get("*", False)
    choices: tuple[Encoding, ...] = ("gzip", "deflate")
    return next((encoding for encoding in choices if wanted.get(encoding, others)), None)


def compress(data: bytes, encoding: Encoding) -> bytes:
    """Return *data* compressed."""
    worker = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    return worker.compress(data) + worker.flush()


def decompress(data: bytes, encoding: Encoding, limit: int) -> bytes:
    """Return what *data* holds, never keeping more than *limit* bytes of it.

    :raises TooLarge: it is more than *limit* bytes.
    :raises ParseError: the stream is damaged, ends early, or is followed by something.
    """
    worker = zlib.decompressobj(31 if encoding == "gzip" else 15 if _has_zlib_header(data) else -15)
    try:
        result = worker.decompress(data, limit + 1)
    except zlib.error:
        raise ParseError(f"Parse error: the body is not {encoding}") from None
    if len(result) > limit:
        raise TooLarge
    if not worker.eof or worker.unused_data:
        raise ParseError(f"Parse error: the {encoding} stream does not end where the body does")
    return result


def _has_zlib_header(data: bytes) -> bool:
    """Tell RFC 1950, which HTTP means by deflate, from the bare RFC 1951 that many clients send."""
    return len(data) >= 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
