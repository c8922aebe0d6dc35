"""JSON-RPC 2.0: bytes in, bytes out. The only module that knows jsonrpcserver.

Of jsonrpcserver we take the response objects. Batches are taken apart here, because it refuses a whole batch for one
bad entry and runs the entries all at once; methods are looked up, parameters checked and calls made by the service,
which knows more about all three.
"""

import asyncio
import logging
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from ..core.breath import Breath
from ..core.context import Context
from ..core.errors import InternalError, InvalidRequest, TMError, Unavailable
from ..core.garbage import Long, let_go, without_collections
from ..core.model import MAX_INTEGER
from .answer import Text, in_turns, json_text, long_parts
from .body import RequestLimits, excess, parse, parse_long
from .listing import NotOffered, Outlet
from .service import Service

with warnings.catch_warnings():
    # 5.0.9 reads its schema in a way that Python 3.11 and 3.12 warn of
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    from jsonrpcserver.response import ErrorResponse, SuccessResponse, serialize_error, serialize_success

logger = logging.getLogger(__name__)

Room = Callable[[int, bool], None]
_TOO_LARGE = "answer too large"
# bytes: parsing is a hundredth of a second and more from here on, so others go on between its steps
_LONG = 256 * 1024


class Dispatcher:
    """Answers the bodies of requests.

    :param service: its settings ``limits.depth``, ``limits.string_length``, ``server.max_batch`` and
        ``server.max_answer`` hold here.
    """

    def __init__(self, service: Service) -> None:
        settings = service.settings
        self._service = service
        self._limits = RequestLimits(settings["limits.depth"], settings["limits.string_length"])
        self._max_batch: int = settings["server.max_batch"]
        self._max_answer: int = settings["server.max_answer"]
        self._anonymous_batch = min(self._max_batch, settings["limits.anonymous_batch"] or self._max_batch)

    def handle(
        self,
        body: bytes,
        context: Context,
        more: Callable[[int], None] | None = None,
        room: Room | None = None,
        outlet: Callable[[], Outlet | None] | None = None,
    ) -> Coroutine[Any, Any, Text | None]:
        """Return the answer to a request, or to a batch of them.

        :param body: as it came, decompressed.
        :param context: of the request; its id is given back in every error object. Each entry of a batch has the time
            at which it began.
        :param more: told of the calls of a batch beyond the first, before any of them runs; what it raises ends all.
        :param room: told of the bytes of each answer as it is made, and whether it is needed, because it tells of a
            change; for others it may raise Unavailable.
        :param outlet: returns what takes the rows where a single request calls a method that streams them.
        :return: JSON text; None when only notifications were sent, or all has gone to the outlet.
        :raises NotOffered: the outlet cannot have the rows in its form.
        :raises Unavailable: there is no room for the answer to a single request.
        """
        long: list[Long] = []
        answer = self._handle(body, long, context, more, room, outlet)
        return answer if len(body) < _LONG else _letting_go(answer, long)

    async def _handle(
        self,
        body: bytes,
        long: list[Long],
        context: Context,
        more: Callable[[int], None] | None,
        room: Room | None,
        outlet: Callable[[], Outlet | None] | None,
    ) -> Text | None:
        value: Any = None
        try:
            if len(body) < _LONG:
                value, problem = parse(body, self._limits)
            else:
                value, problem = await asyncio.to_thread(parse_long, body, self._limits, long)
            if type(value) is list:
                self._check_length(value, context)
                if more is not None and len(value) > 1:
                    more(len(value) - 1)
                return await self._batch(value, problem is not None, context, room)
            _check(value, problem)
        except TMError as error:
            logger.info("refused: %s", error.message, extra={**_facts(context), "outcome": error.type})
            return failure(error, context.request_id, _id(value))
        streams = outlet is not None and "id" in value and self._service.streams(value["method"])
        return await self._answer(value, context, room, outlet() if outlet is not None and streams else None)

    def _check_length(self, entries: list[Any], context: Context) -> None:
        if not entries:
            raise InvalidRequest("Invalid request: the batch is empty")
        most, whose = self._max_batch, ""
        if context.identity.anonymous:
            most, whose = self._anonymous_batch, " without credentials"
        if len(entries) > most:
            raise InvalidRequest(f"Invalid request: the batch has {len(entries)} entries, at most {most}{whose}")

    async def _batch(self, entries: list[Any], suspect: bool, context: Context, room: Room | None) -> Text | None:
        # one text from the beginning: parts of it beside the whole would take the memory twice
        text = bytearray()
        refused = 0
        breath = Breath()
        for index, entry in enumerate(entries):
            await breath.taken()
            full = self._max_answer and len(text) > self._max_answer
            try:
                _check(entry, excess(entry, self._limits) if suspect else None)
                if full:
                    raise InvalidRequest("Invalid request: the batch's answers are too large", reason=_TOO_LARGE)
            except InvalidRequest as error:
                refused += 1
                if full and type(entry) is dict and "id" not in entry:
                    continue
                error.data["index"] = index
                text += b"," + failure(error, context.request_id, _id(entry))
                continue
            try:
                answer = await self._answer(entry, replace(context, now=self._service.clock(), entry=index), room)
            except Unavailable as error:
                answer = failure(error, context.request_id, _id(entry))
            if answer is not None:
                text += b","
                text += answer
        if refused:
            # one line, however many: garbage must not fill the log
            logger.info("refused %d entries of a batch", refused, extra=_facts(context))
        if not text:
            return None
        text[:1] = b"["
        text += b"]"
        return text

    async def _answer(
        self, entry: dict[str, Any], context: Context, room: Room | None, outlet: Outlet | None = None
    ) -> Text | None:
        """Return the response object of a call as JSON text, None where nobody wants it or *outlet* has had it."""
        name, id = entry["method"], entry.get("id")
        if outlet is not None:
            outlet.id = id
        # without jsonrpcserver's own way of a call, which costs ten times as much as its response objects
        try:
            result = await self._service.call(context, name, entry.get("params"), outlet)
            response = serialize_success(SuccessResponse(result, id))
        except TMError as error:
            response = _failed(error, context.request_id, id)
            if outlet is not None and outlet.begun:
                await outlet.fail(response["error"])
            elif outlet is not None and isinstance(error, NotOffered | Unavailable):
                raise
        except Exception:
            logger.exception("%.100s failed", name, extra=_facts(context))
            response = _failed(InternalError("Internal error"), context.request_id, id)
        if "id" not in entry or (outlet is not None and outlet.begun):
            return None
        long = long_parts(response.get("result"))
        try:
            text = await in_turns(response) if long else json_text(response)
        except TypeError:
            logger.exception("%.100s gave no JSON", name, extra=_facts(context))
            return failure(InternalError("Internal error"), context.request_id, id)
        if room is not None:
            # what was changed is told, whatever is in flight
            room(len(text), name in self._service.changing)
        if long:
            result = response = None
            await let_go(long)
        return text


async def _letting_go(answer: Coroutine[Any, Any, Text | None], values: list[Long]) -> Text | None:
    """Return the answer to a long request, whose values have gone then."""
    with without_collections():
        try:
            return await answer
        finally:
            await let_go(values)


def _facts(context: Context) -> dict[str, Any]:
    """Return what log lines tell of a request."""
    return {"request_id": context.request_id, "address": context.peer}


def _check(entry: Any, problem: str | None) -> None:
    problem = problem or _malformed(entry)
    if problem is not None:
        raise InvalidRequest(f"Invalid request: {problem}")


def _malformed(entry: Any) -> str | None:
    """Return what keeps *entry* from being a request object of JSON-RPC 2.0, section 4."""
    if type(entry) is not dict:
        return "not an object"
    if entry.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    if type(entry.get("method")) is not str:
        return "method must be a string"
    if "params" in entry and type(entry["params"]) not in (list, dict):
        return "params must be an array or an object"
    if type(entry.get("id")) not in (str, int, float, type(None)):
        return "id must be a string, a number or null"
    return None


def _id(entry: Any) -> str | float | None:
    """Return the id of what may be no valid request; None where there is none, or none that is valid."""
    found = entry.get("id") if type(entry) is dict else None
    return found if type(found) in (str, float) or (type(found) is int and abs(found) <= MAX_INTEGER) else None


def _data(error: TMError, request_id: str) -> dict[str, Any]:
    return {**error.data, "type": error.type, "request_id": request_id}


def _failed(error: TMError, request_id: str, id: str | float | None) -> dict[str, Any]:
    response: dict[str, Any] = serialize_error(ErrorResponse(error.code, error.message, _data(error, request_id), id))
    return response


def failure(error: TMError, request_id: str, id: str | float | None = None) -> bytes:
    """Return the response object of *error* as JSON text.

    :param id: the request's; None where it could not be told.
    """
    return json_text(_failed(error, request_id, id))
