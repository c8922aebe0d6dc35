"""Clients: over HTTPS (``Client``), within this process (``LocalClient``), without asyncio (``SyncClient``)."""

import asyncio
import gzip
import itertools
import json
import os
import ssl
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import orjson

from . import errors
from .errors import ConfigurationError, TMError
from .identity import ANONYMOUS, Identity

if TYPE_CHECKING:
    from .service import Service

Params = Sequence[Any] | Mapping[str, Any]

_GZIP_FROM = 16 * 1024  # bytes; below, compressing costs more than it saves
_CONNECT_TIMEOUT = 30  # seconds


class ConnectionFailed(Exception):
    """There is no answer from a JSON-RPC server.

    :param sent: whether the request may have reached the server: then nobody knows whether it had an effect.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class BaseClient(ABC):
    """What all clients can do. ``async with`` opens and closes them."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    @abstractmethod
    async def _send(self, body: bytes) -> tuple[int, bytes]:
        """Send the body of a request; return the HTTP status and the body of the answer."""

    async def call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method and return its result.

        :param args: parameters by position; or
        :param kwargs: parameters by name. Not both.
        :raises TMError: the server answered with an error; the class is that of ``data.type``.
        :raises ConnectionFailed: there is no answer.
        """
        request = _request(method, args, kwargs) | {"id": next(self._ids)}
        return _result(await self._exchange(request))

    async def notify(self, method: str, /, *args: Any, **kwargs: Any) -> None:
        """Call a method without asking for its result or its error.

        :raises TMError: the server refused the whole request.
        :raises ConnectionFailed: there is no answer.
        """
        answer = await self._exchange(_request(method, args, kwargs))
        if answer is not None:
            _result(answer)

    async def batch(self, calls: Iterable[tuple[str, Params]]) -> list[Any]:
        """Make several calls in one request, run by the server in order; not one transaction.

        :param calls: methods with their parameters.
        :returns: for each call its result, or the error as an exception object.
        :raises TMError: the server refused the whole request.
        :raises ConnectionFailed: there is no answer.
        """
        requests = [
            {"jsonrpc": "2.0", "method": method, "params": params, "id": next(self._ids)} for method, params in calls
        ]
        if not requests:
            return []
        answers = await self._exchange(requests)
        if not isinstance(answers, list):
            _result(answers)
            raise ConnectionFailed("The server answered a batch with a single result.", sent=True)
        found = {_key(answer): answer for answer in answers if isinstance(answer, dict)}
        results: list[Any] = []
        for index, request in enumerate(requests):
            try:
                results.append(_result(found.get(request["id"]) or found.get(("index", index))))
            except TMError as error:
                results.append(error)
        return results

    async def _exchange(self, request: Any) -> Any:
        status, body = await self._send(_encode(request))
        if status == 204:
            return None
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict | list):
            raise ConnectionFailed(f"No JSON-RPC server there: it answered with HTTP status {status}.", sent=True)
        if status == 401 and isinstance(answer, dict) and "error" in answer:
            raise _error(answer["error"], errors.BadCredentials)
        return answer


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
    :raises ConfigurationError: a file cannot be read or is not what it should be, or the URL is none.
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
        self._ssl = tls_context(cert=cert, key=key, ca=ca) if self.url.startswith("https:") else None
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        if group is not None:
            self._headers["X-TM-Group"] = group
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

    async def _send(self, body: bytes) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("use the client in `async with`")
        headers = self._headers
        if len(body) >= _GZIP_FROM:
            headers = headers | {"Content-Encoding": "gzip"}
            body = await asyncio.to_thread(gzip.compress, body, 1)
        try:
            async with self._session.post(self.url, data=body, headers=headers, allow_redirects=False) as response:
                return response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:  # certificate errors too
            raise ConnectionFailed(f"Cannot connect to {self.url}: {_reason(error)}.", sent=False) from None
        except TimeoutError:
            raise ConnectionFailed(f"{self.url} did not answer in time.", sent=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionFailed(f"The connection to {self.url} was lost: {_reason(error)}.", sent=True) from None


class LocalClient(BaseClient):
    """Calls a service of this process; requests and answers take the wire's form all the same.

    :param service: open (``async with service``).
    :param identity: who calls.
    """

    def __init__(self, service: "Service", identity: Identity = ANONYMOUS) -> None:
        from .dispatch import Dispatcher  # jsonrpcserver is not needed to call a server elsewhere

        super().__init__()
        self._dispatcher = Dispatcher(service)
        self._identity = identity

    async def _send(self, body: bytes) -> tuple[int, bytes]:
        answer = await self._dispatcher.handle(body, self._identity, uuid.uuid4().hex)
        return (204, b"") if answer is None else (200, answer)


class SyncClient:
    """``Client`` for scripts without asyncio: ``with SyncClient(url) as client: client.call("ping")``.

    Takes the parameters of ``Client`` and belongs to one thread.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._client = Client(url, **options)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.run(self._client.__aenter__())
        return self

    def __exit__(self, *exc: object) -> None:
        self._runner.run(self._client.__aexit__())
        self._runner.close()

    def call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method and return its result; see ``BaseClient.call``."""
        return self._runner.run(self._client.call(method, *args, **kwargs))

    def batch(self, calls: Iterable[tuple[str, Params]]) -> list[Any]:
        """Make several calls in one request; see ``BaseClient.batch``."""
        return self._runner.run(self._client.batch(calls))


def tls_context(
    *, cert: str | Path | None = None, key: str | Path | None = None, ca: str | Path | None = None
) -> ssl.SSLContext:
    """Return the TLS context of a client.

    :raises ConfigurationError: a file cannot be read or is not what it should be.
    """
    where: Any = None
    try:
        where = ca
        context = ssl.create_default_context(
            cafile=ca if ca is not None and not Path(ca).is_dir() else None,
            capath=ca if ca is not None and Path(ca).is_dir() else None,
        )
        # on by default from Python 3.13; refuses authorities of many grids
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if cert is not None:
            where = f"{cert} (with key {key})" if key is not None else cert
            context.load_cert_chain(cert, key, password="")  # an encrypted key fails: nobody is there to ask
    except ssl.SSLError as error:
        if where == cert and cert is not None and _lacks_key(Path(cert)):
            raise ConfigurationError(f"{where} has no private key; name the key's file, too") from None
        raise ConfigurationError(f"{where} is no usable PEM file: {error.reason or 'wrong contents'}") from None
    except OSError as error:
        raise ConfigurationError(f"cannot read {where}: {error.strerror}") from None
    if key is not None and cert is None:
        raise ConfigurationError("a key needs its certificate")
    return context


def _lacks_key(certificate: Path) -> bool:
    content = certificate.read_bytes()
    return b"CERTIFICATE-----" in content and b"PRIVATE KEY-----" not in content


def endpoint(url: str) -> str:
    """Return *url* if it can be a server's; without a path, ``/rpc`` is added.

    :raises ConfigurationError: it is none.
    """
    scheme, separator, rest = url.partition("://")
    if scheme not in ("http", "https") or not separator or not rest.partition("/")[0]:
        raise ConfigurationError(f"{url!r} is not the URL of a server; it looks like https://host:8443/rpc")
    return url if "/" in rest else f"{url}/rpc"


def _request(method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if args and kwargs:
        raise TypeError("parameters go by position or by name, not both")
    request: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if args or kwargs:
        request["params"] = kwargs or args
    return request


def _encode(request: Any) -> bytes:
    try:
        return orjson.dumps(request, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        # integers beyond 64 bits and lone surrogates are the server's to refuse
        return json.dumps(request).encode()


def _result(answer: Any) -> Any:
    if isinstance(answer, dict):
        if "error" in answer:
            raise _error(answer["error"])
        if "result" in answer:
            return answer["result"]
    raise ConnectionFailed("The server answered with something that is no JSON-RPC answer.", sent=True)


def _key(answer: Mapping[str, Any]) -> Any:
    """Return what tells which request of a batch is answered: its id, or its place when it was refused unread."""
    error = answer.get("error")
    if answer.get("id") is None and isinstance(error, dict) and isinstance(error.get("data"), dict):
        return "index", error["data"].get("index")
    return answer.get("id")


def _classes(base: type[TMError]) -> dict[str, type[TMError]]:
    """Return the error classes by ``data.type``; where two share it, the one nearer to the base."""
    found: dict[str, type[TMError]] = {}
    for subclass in base.__subclasses__():
        found = _classes(subclass) | {subclass.type: subclass} | found
    return found


def _error(error: Any, kind: type[TMError] | None = None) -> TMError:
    """Return the exception that an error object of JSON-RPC stands for."""
    if not isinstance(error, dict):
        return TMError("The server answered with an error that is no JSON-RPC error.")
    data = error.get("data")
    data = dict(data) if isinstance(data, dict) else {}
    name = str(data.pop("type", "Error"))
    known = kind or _classes(TMError).get(name)
    exception = (known or TMError)(str(error.get("message", "")))
    exception.data = data
    if known is None:  # a plugin's own error
        exception.__dict__.update(code=error.get("code"), type=name)
    return exception


def _reason(error: BaseException) -> str:
    """Return what went wrong in words, for an error of aiohttp."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({inner.verify_message})"
    if isinstance(inner, ssl.SSLError):
        return f"TLS failed ({inner.reason or 'unknown reason'})"
    if isinstance(inner, OSError) and inner.errno is not None and inner.errno > 0:
        return os.strerror(inner.errno)  # asyncio's own words have the address again
    return str(getattr(inner, "strerror", None) or inner or type(inner).__name__)
