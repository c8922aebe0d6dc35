"""What all paths of this wire share: from an HTTP request to the fields of a form and the caller, and back."""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import Payload, web

from jsonrpc_tm.api import (
    SERVICE,
    CallRecord,
    Context,
    Refusal,
    RequestLimits,
    Service,
    caller,
    compress,
    context_of,
    errors,
    finished,
    read_body,
    request_id_of,
    without_collections,
)

from . import callers, form
from .jencode import LONG, Undecodable, decode

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = bytes | bytearray | Payload
Answer = Callable[[web.Request, Context, Mapping[str, str], form.Value], Awaitable[Body]]
"""Makes the JSON for a caller; is given the fields of a form, and of these the arguments as bytes."""

logger = logging.getLogger(__name__)
_REASONS = {400: "Bad Request", 401: "Unauthorized", 405: "Method Not Allowed", 501: "Not Implemented"}
_JSON = "application/json"
# seconds
_RETRY_AFTER = "5"


class Status(Exception):
    """An answer that is only an HTTP status, as tornado writes it.

    :param error: what the audit log hears of it; None where the service, or nobody, has a call to tell of.
    """

    def __init__(self, status: int, error: errors.TMError | None = None) -> None:
        self.status = status
        self.error = error


async def respond(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Answer a form: find out the fields and the caller, then let *answer* make the JSON."""
    request_id = request_id_of(request)
    return await finished(request, request_id, _response(request, answer, request_id))


async def _response(request: web.Request, answer: Answer, request_id: str) -> web.Response:
    try:
        body, raw, replayed = await _respond(request, answer, request_id)
    except Status as refused:
        return _page(refused.status)
    except Refusal as refused:
        response = _page(refused.status)
        response.headers.update(refused.headers)
        return response
    except errors.Unavailable:
        response = _page(503)
        response.headers["Retry-After"] = _RETRY_AFTER
        return response
    except Exception:
        logger.exception("a request failed", extra={"request_id": request_id})
        return _page(500)
    kind = f"{_JSON}; charset=UTF-8" if raw else _JSON
    response = web.Response(body=body, headers={"Content-Type": kind, "Vary": "Accept-Encoding"})
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    compress(request, response, (web.ContentCoding.gzip,))
    return response


async def _respond(request: web.Request, answer: Answer, request_id: str) -> tuple[Body, bool, bool]:
    """Return the JSON, whether it was asked for raw, and whether it was given before."""
    if request.method != "POST":
        raise Status(405)
    headers: Mapping[str, str] = request.headers
    if "X-TM-Group" in headers:  # a group is claimed in the form here, never in a header
        headers = request.headers.copy()
        del headers["X-TM-Group"]
    identity = await caller(request, request_id, headers)
    kind = request.headers.get("Content-Type", "")
    try:
        body = await read_body(request, identity)
    except errors.ParseError:
        raise Status(400) from None
    with without_collections() if len(body) > LONG else contextlib.nullcontext():
        return await _performed(request, answer, context_of(request, identity, request_id), kind, body)


async def _performed(
    request: web.Request, answer: Answer, context: Context, kind: str, body: bytes
) -> tuple[Body, bool, bool]:
    """Perform the call of a form; see ``_respond``."""
    try:
        given = form.parse(kind, body) if len(body) <= LONG else await asyncio.to_thread(form.parse, kind, body)
    except form.BadForm:
        raise Status(400) from None
    args = given.pop("args", b"[]")
    fields = {key: value.decode() for key, value in given.items()}
    name = fields.get("method") or request.query.get("method")
    if not name:
        raise Status(400)
    fields["method"] = name
    try:
        return await answer(request, context, fields, args), bool(fields.get("rawContent")), context.replayed
    except Status as refused:
        if refused.error is not None:
            request.app[SERVICE].report(_record(name, context, refused.error))
        raise


def _record(name: str, context: Context, error: errors.TMError) -> CallRecord:
    """Return the record of a call that never reached the service."""
    return CallRecord(
        name[:100],
        None,
        context.identity,
        context.request_id,
        error.type,
        error.message,
        0.0,
        False,
        context.now,
        context.peer,
    )


def _page(status: int) -> web.Response:
    title = f"{status}: {_REASONS.get(status, 'Internal Server Error' if status == 500 else 'Error')}"
    return web.Response(
        status=status,
        text=f"<html><title>{title}</title><body>{title}</body></html>",
        content_type="text/html",
    )


def limits(service: Service) -> RequestLimits:
    """Return what a request's JSON may be."""
    return RequestLimits(service.settings["limits.depth"], service.settings["limits.string_length"])


async def decoded(text: str | form.Value, limits: RequestLimits) -> Any:
    """Return the value of a JEncoded text, long ones taken apart in a thread."""
    return decode(text, limits) if len(text) <= LONG else await asyncio.to_thread(decode, text, limits)


async def acting(service: Service, context: Context, fields: Mapping[str, str]) -> Context:
    """Return the context with the caller that a form's ``extraCredentials`` means.

    :raises Status: 401.
    """
    try:
        given = fields.get("extraCredentials")
        extra = await decoded(given, limits(service)) if given else None
        identity = callers.resolve(context.identity, extra, service.users)
        return context if identity is context.identity else dataclasses.replace(context, identity=identity)
    except Undecodable as error:
        raise Status(401, errors.Unauthenticated(f"extraCredentials: {error}")) from None
    except callers.NotAuthorised as error:
        raise Status(401, errors.Unauthenticated(str(error))) from None
