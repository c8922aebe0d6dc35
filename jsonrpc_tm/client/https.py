"""The client over HTTPS, for asyncio."""

import asyncio
import gzip
import os
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from ..core.errors import ConfigurationError
from .base import BaseClient, ConnectionFailed, Params, encode
from .events import follow
from .listing import ARROW, LINES, ArrowListing, Listing
from .tls import ended, tls_context

_GZIP_FROM = 16 * 1024  # bytes; below, compressing costs more than it saves
_CONNECT_TIMEOUT = 30  # seconds
# how OpenSSL calls what is no TLS, in its releases up to 3.1 and since
_NO_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
# OpenSSL's numbers for chains that lead to no authority that is known
_UNKNOWN_AUTHORITY = {18, 19, 20, 21}


class Client(BaseClient):
    """Calls a server over HTTP(S), with connections that stay open.

    :param url: of the endpoint; without a path, ``/rpc`` is taken.
    :param cert: client certificate with its chain, or proxy, PEM.
    :param key: its private key, PEM; None when it is in *cert*.
    :param ca: authorities of the server's certificate: PEM file or hashed folder; None for the system's.
    :param token: bearer token.
    :param group: group to act in (``X-TM-Group``).
    :param timeout: seconds for one call, connecting included.
    :param connections: most connections at once.
    :raises ConfigurationError: a file cannot be read or is not what it should be, the URL is none, or token or group
        cannot be sent.
    """

    def __init__(
        self,
        url: str,
        *,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        ca: str | Path | None = None,
        token: str | None = None,
        group: str | None = None,
        timeout: float = 300,
        connections: int = 100,
    ) -> None:
        super().__init__()
        self.url = endpoint(url)
        self._cert = cert
        self._answered = False
        self._ssl = tls_context(cert=cert, key=key, ca=ca) if self.url.startswith("https:") else None
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {_sendable('token', token)}"
        if group is not None:
            self._headers["X-TM-Group"] = _sendable("group", group)
        # servers take nothing compressed from strangers
        self._compresses = cert is not None or token is not None
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, _CONNECT_TIMEOUT))
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self._connections, ssl=True if self._ssl is None else self._ssl)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def rows(self, method: str, params: Params = ()) -> Listing:
        """Return the rows of a list method, which come in constant memory: ``async for row in client.rows(…)``.

        :param params: by position or by name.
        """
        return Listing(lambda: self._listed(method, params, LINES))

    def batches(self, method: str, params: Params = ()) -> ArrowListing:
        """Return the same as record batches of Apache Arrow; needs pyarrow here and on the server."""
        return ArrowListing(lambda: self._listed(method, params, ARROW))

    @asynccontextmanager
    async def _listed(self, method: str, params: Params, media: str) -> AsyncIterator[aiohttp.ClientResponse]:
        request = {"jsonrpc": "2.0", "method": method, "params": params, "id": next(self._ids)}
        # as long as something comes, a list may take its time
        within = aiohttp.ClientTimeout(sock_connect=self._timeout.sock_connect, sock_read=self._timeout.total)
        async with self._posted(encode(request), {"Accept": media}, within) as response:
            yield response

    async def _send(self, body: bytes, headers: Mapping[str, str] = {}) -> tuple[int, bytes]:
        async with self._posted(body, headers, self._timeout) as response:
            return response.status, await response.read()

    @asynccontextmanager
    async def _posted(
        self, body: bytes, headers: Mapping[str, str], within: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give the answer to a request; what goes wrong while it is read is told as that it failed."""
        if self._session is None:
            raise RuntimeError("use the client in `async with`, a SyncClient in `with`")
        headers = {**self._headers, **headers}
        if self._compresses and len(body) >= _GZIP_FROM:
            headers["Content-Encoding"] = "gzip"
            body = await asyncio.to_thread(gzip.compress, body, 1)
        with self._told_apart():
            async with self._session.post(
                self.url, data=body, headers=headers, allow_redirects=False, timeout=within
            ) as response:
                self._answered = True
                yield response

    def events(
        self,
        since: int | None = None,
        types: Iterable[str] = (),
        transformations: Iterable[int] = (),
        *,
        patience: float = 300,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield what is committed, in order, each event once; connections that are lost are made again.

        :param since: the revision of the last event that you have seen; None for events from now on.
        :param types: such as ``tasks.created``; none for all.
        :param transformations: ids; none for all.
        :param patience: seconds without any answer after which it gives up.
        :raises EventsMissed: the server keeps no events from so long ago.
        :raises TMError: the server refuses.
        :raises ConnectionFailed: there is no answer.
        """
        query = [("type", type) for type in types] + [("transformation", str(trans)) for trans in transformations]
        where = urlunsplit((*urlsplit(self.url)[:2], "/events", "", ""))
        # heartbeats say that the server is there
        quiet = aiohttp.ClientTimeout(
            total=None, sock_connect=self._timeout.sock_connect, sock_read=self._timeout.total
        )

        @asynccontextmanager
        async def open(after: int | None) -> AsyncIterator[aiohttp.ClientResponse]:
            if self._session is None:
                raise RuntimeError("use the client in `async with`, a SyncClient in `with`")
            asked = query if after is None else [*query, ("since", str(after))]
            headers = {name: value for name, value in self._headers.items() if name != "Content-Type"}
            with self._told_apart():
                async with self._session.get(
                    where, params=asked, headers=headers, timeout=quiet, allow_redirects=False
                ) as response:
                    self._answered = True
                    yield response

        return follow(open, since, patience)

    @contextmanager
    def _told_apart(self) -> Iterator[None]:
        """Say whether a request may have reached the server that got no answer.

        :raises ConnectionFailed: it got none.
        """
        try:
            yield
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:  # certificate errors too
            raise ConnectionFailed(f"Cannot connect to {self.url}: {self._why(error)}.", sent=False) from None
        except TimeoutError:
            raise ConnectionFailed(f"{self.url} did not answer in time.", sent=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionFailed(f"The connection to {self.url} was lost: {self._why(error)}.", sent=True) from None

    def _why(self, error: BaseException) -> str:
        """Return what went wrong, and what may be behind it."""
        reason = _reason(error)
        closed = not self._answered and not isinstance(error, aiohttp.ClientConnectorError | TimeoutError)
        if self._ssl is not None:
            if self._cert is not None and (problem := ended(self._cert, datetime.now(UTC))) is not None:
                return f"{reason}; {problem}"
            if self._cert is not None and closed:
                return f"{reason} (it may have refused the certificate: its log says why)"
            plain = getattr(getattr(error, "os_error", None), "reason", None) in _NO_TLS
            return f"{reason} (is it http?)" if plain else reason
        return f"{reason} (is it https?)" if closed else reason


def endpoint(url: str) -> str:
    """Return *url* if it can be a server's; without a path, ``/rpc`` is added.

    :raises ConfigurationError: it is none.
    """
    scheme, separator, rest = url.partition("://")
    try:
        usable = scheme in ("http", "https") and bool(separator and urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:  # brackets without an end, or a port that is no number or too large
        usable = False
    if not usable or not url.isprintable():
        raise ConfigurationError(f"{url!r} is not the URL of a server; it looks like https://host:8443/rpc")
    return url if "/" in rest else f"{url}/rpc"


def _sendable(name: str, text: str) -> str:
    """Return a text that fits in a header; the message does not repeat it, since it may be a secret.

    :raises ConfigurationError: it does not fit.
    """
    if not text.isprintable():
        raise ConfigurationError(f"the {name} has a character that no header may have, perhaps the end of a line")
    return text


def _reason(error: BaseException) -> str:
    """Return what went wrong in words, for an error of aiohttp."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(inner, ssl.SSLCertVerificationError):
        unknown = "; `ca` names its authority" if inner.verify_code in _UNKNOWN_AUTHORITY else ""
        return f"its certificate is not accepted ({inner.verify_message}{unknown})"
    if isinstance(inner, ssl.SSLError):
        return f"TLS failed ({inner.reason or 'unknown reason'})"
    if isinstance(inner, OSError) and inner.errno is not None and inner.errno > 0:
        return os.strerror(inner.errno)  # asyncio's own words have the address again
    if isinstance(inner, ConnectionError) and not inner.args:
        return "the connection was closed"
    return str(getattr(inner, "strerror", None) or str(inner) or type(inner).__name__)
