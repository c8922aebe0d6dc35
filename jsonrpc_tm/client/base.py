"""What all clients can do: calls, notifications, batches, and errors as exceptions."""

import asyncio
import itertools
import json
import random
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import orjson

from ..core import errors
from ..core.errors import TMError

Params = Sequence[Any] | Mapping[str, Any]
PAUSES = (0.1, 5.0)
"""Seconds before a call is sent again: at first, each time twice as many, and at most."""


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
    async def _send(self, body: bytes, headers: Mapping[str, str] = {}) -> tuple[int, bytes]:
        """Send the body of a request; return the HTTP status and the body of the answer.

        :param headers: sent beside the usual ones.
        """

    async def call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method and return its result.

        :param args: parameters by position; or
        :param kwargs: parameters by name. Not both.
        :raises ValueError: there is a number in them that JSON does not have (NaN, infinity); nothing was sent.
        :raises TypeError: there is something in them that has no form in JSON, such as a Decimal.
        :raises TMError: the server answered with an error; the class is that of ``data.type``.
        :raises ConnectionFailed: there is no answer.
        """
        request = _request(method, args, kwargs) | {"id": next(self._ids)}
        return result_of(await self._exchange(request))

    async def once(self, method: str, params: Params = (), *, key: str | None = None, patience: float = 300) -> Any:
        """Call a method that changes something, again and again until its outcome is known; the change is made once.

        Answers that are lost, a server that has too much to do, and a database that is gone are no reason to give up.

        :param params: by position or by name.
        :param key: what the server remembers the call by (``Idempotency-Key``), 1 to 255 ASCII characters; None for one
            that nobody else has. With your own you may go on later, also from another process: the same key, method and
            parameters give the first result, as long as the server keeps it (a day).
        :param patience: seconds after which the call is not sent again.
        :raises ValueError: *key* is none, or the parameters are no JSON.
        :raises TMError: the server answered with an error that does not pass by itself; nothing was changed.
        :raises ConnectionFailed: there was no answer in time; it may have been done, or not.
        """
        headers = _keyed(secrets.token_hex(16) if key is None else key)
        request = {"jsonrpc": "2.0", "method": method, "params": params, "id": next(self._ids)}
        end = time.monotonic() + patience
        pause, longest = PAUSES
        while True:
            try:
                return result_of(await self._exchange(request, headers))
            except (ConnectionFailed, TMError) as error:
                if isinstance(error, TMError) and not error.data.get("retryable"):
                    raise
                # callers that were turned away together must not come back together
                wait = random.uniform(pause / 2, pause)
                if time.monotonic() + wait > end:
                    raise
            await asyncio.sleep(wait)
            pause = min(2 * pause, longest)

    async def notify(self, method: str, /, *args: Any, **kwargs: Any) -> None:
        """Call a method without asking for its result or its error.

        :raises TMError: the server refused the whole request.
        :raises ConnectionFailed: there is no answer.
        """
        answer = await self._exchange(_request(method, args, kwargs))
        if answer is not None:
            result_of(answer)

    async def batch(self, calls: Iterable[tuple[str, Params]], *, key: str | None = None) -> list[Any]:
        """Make several calls in one request, run by the server in order; not one transaction.

        :param calls: methods with their parameters.
        :param key: as for ``once``: sent again with the same key, calls that were made give their first result.
        :raises ValueError: *key* is none, or the parameters are no JSON.
        :returns: for each call its result, or the error as an exception object.
        :raises TMError: the server refused the whole request.
        :raises ConnectionFailed: there is no answer.
        """
        requests = [
            {"jsonrpc": "2.0", "method": method, "params": params, "id": next(self._ids)} for method, params in calls
        ]
        if not requests:
            return []
        answers = await self._exchange(requests, {} if key is None else _keyed(key))
        if not isinstance(answers, list):
            result_of(answers)
            raise ConnectionFailed("The server answered a batch with a single result.", sent=True)
        found = {_key(answer): answer for answer in answers if isinstance(answer, dict)}
        results: list[Any] = []
        for index, request in enumerate(requests):
            try:
                results.append(result_of(found.get(request["id"]) or found.get(("index", index))))
            except TMError as error:
                results.append(error)
        return results

    async def _exchange(self, request: Any, headers: Mapping[str, str] = {}) -> Any:
        status, body = await self._send(encode(request), headers)
        if status == 204:
            return None
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict | list):
            raise ConnectionFailed(f"No JSON-RPC server there: it answered with HTTP status {status}.", sent=True)
        if status == 401 and isinstance(answer, dict) and "error" in answer:
            raise error_of(answer["error"], errors.BadCredentials)
        return answer


def _request(method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if args and kwargs:
        raise TypeError("parameters go by position or by name, not both")
    request: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if args or kwargs:
        request["params"] = kwargs or args
    return request


def _keyed(key: str) -> dict[str, str]:
    """Return the header that has a key, as a string of structured fields (RFC 8941).

    :raises ValueError: it is none.
    """
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise ValueError("a key is 1 to 255 printable ASCII characters; nothing was sent")
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return {"Idempotency-Key": f'"{escaped}"'}


def encode(request: Any) -> bytes:
    """Return a request as JSON text.

    :raises ValueError: there is a number in it that JSON does not have.
    """
    try:
        try:
            body = orjson.dumps(request, option=orjson.OPT_NON_STR_KEYS)
        except orjson.JSONEncodeError:
            # integers beyond 64 bits and lone surrogates are the server's to refuse
            return json.dumps(request, allow_nan=False).encode()
        if b"null" in body:  # orjson writes it for NaN and infinity
            json.dumps(request, default=str, skipkeys=True, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"The parameters are no JSON ({error}); nothing was sent.") from None
    return body


def result_of(answer: Any) -> Any:
    """Return the result in an answer, or raise what it tells instead."""
    if isinstance(answer, dict):
        if "error" in answer:
            raise error_of(answer["error"])
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


def error_of(error: Any, kind: type[TMError] | None = None) -> TMError:
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
