"""Compressed bodies: what a client accepts, and gzip and deflate of requests, bounded, without trust in what comes."""

import re
import zlib
from collections.abc import Callable
from typing import Literal

from aiohttp import Payload, hdrs, web

from ..core.errors import ParseError

Encoding = Literal["gzip", "deflate"]
SUPPORTED = "gzip, deflate"

WORTH = 1024
"""Bytes of an answer below which it does not shrink by a packet."""
_CODINGS = (web.ContentCoding.gzip, web.ContentCoding.deflate)
_NAMES: dict[str, Encoding] = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_OFF = re.compile(r"q\s*=\s*0(\.0*)?\s*\Z")
# what follows a gzip stream is copied at its end, and each costs some microseconds
_WINDOW = 64 * 1024
_MOST_MEMBERS = 10_000
# bytes that come out at a time
_STEP = 2**20


class TooLarge(Exception):
    """More than the limit comes out."""


class Unsupported(Exception):
    """A Content-Encoding other than those above."""


def content_encoding(request: web.Request) -> Encoding | None:
    """Return the encoding that a request's Content-Encoding names; None for none.

    :raises Unsupported: any other, or several.
    """
    if hdrs.CONTENT_ENCODING not in request.headers:
        return None
    name = _joined(request, hdrs.CONTENT_ENCODING).strip()
    if name in ("", "identity"):
        return None
    try:
        return _NAMES[name]
    except KeyError:
        raise Unsupported(name) from None


def compress(request: web.Request, response: web.Response, codings: tuple[web.ContentCoding, ...] = _CODINGS) -> None:
    """Let *response* be compressed on its way, if it is worth it, in the first of *codings* that the client accepts."""
    body = response.body
    if ((body.size if isinstance(body, Payload) else response.content_length) or 0) >= WORTH:
        enable(request, response, codings)


def enable(
    request: web.Request, response: web.StreamResponse, codings: tuple[web.ContentCoding, ...] = _CODINGS
) -> None:
    """Do the same for an answer that is long.

    aiohttp by itself does not look at ``q``.
    """
    response.headers["Vary"] = "Accept-Encoding"
    wanted: dict[str, bool] = {}
    for part in _joined(request, "Accept-Encoding").split(","):
        name, _, parameter = part.partition(";")
        wanted[name.strip()] = not _OFF.match(parameter.strip())
    others = wanted.get("*", False)
    chosen = next((coding for coding in codings if wanted.get(coding.value, others)), None)
    if chosen is not None:
        response.enable_compression(chosen)


def decompress(data: bytes, encoding: Encoding, limit: int, take: Callable[[int], None] = lambda _: None) -> bytes:
    """Return what *data* holds, never keeping more than *limit* bytes of it.

    :param take: told of the bytes that come out, some at a time; what it raises ends all.
    :raises TooLarge: it is more than *limit* bytes.
    :raises ParseError: the stream is damaged, ends early, or is followed by something that is no further gzip stream.
    """
    wbits = 31 if encoding == "gzip" else 15 if _has_zlib_header(data) else -15
    worker = zlib.decompressobj(wbits)
    parts: list[bytes] = []
    left, members, rest, more = limit, 1, memoryview(data), False
    try:
        while rest or more:
            if worker.eof:
                members += 1
                if encoding != "gzip" or members > _MOST_MEMBERS:
                    break
                worker = zlib.decompressobj(wbits)
            window = rest[:_WINDOW]
            most = min(left + 1, _STEP)
            part = worker.decompress(window, most)
            left -= len(part)
            if left < 0:
                raise TooLarge
            take(len(part))
            parts.append(part)
            rest = rest[len(window) - len(worker.unused_data) - len(worker.unconsumed_tail) :]
            more = len(part) == most and not worker.eof
    except zlib.error:
        raise ParseError(f"Parse error: the body is not {encoding}") from None
    if rest or not worker.eof:
        raise ParseError(f"Parse error: the {encoding} stream does not end where the body does")
    return b"".join(parts)


def _has_zlib_header(data: bytes) -> bool:
    """Tell RFC 1950, which HTTP means by deflate, from the bare RFC 1951 that many clients send."""
    return len(data) >= 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0


def _joined(request: web.Request, name: str) -> str:
    """Return the lines of a header as the one that they stand for, in lower case."""
    return ",".join(request.headers.getall(name, ())).lower()
