"""The JSON-RPC endpoint over HTTP: what a request may be, who sent it, and its answer.

Whatever is wrong with a request, the body of the answer is a JSON-RPC error object.
"""

import asyncio
import functools
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler

from ..auth import identify
from ..core.containment import contained
from ..core.context import Context
from ..core.errors import (
    BadCredentials,
    InternalError,
    InvalidRequest,
    ParseError,
    StorageUnavailable,
    TMError,
    Unavailable,
)
from ..core.identity import ANONYMOUS, Credentials, Identity
from ..core.records import CallRecord
from ..rpc.dispatch import Dispatcher, failure
from ..rpc.listing import NotOffered
from ..rpc.service import Service
from ..settings import Settings
from . import compression as encoding
from .limits import Budget, RateLimits, Share, TooMany
from .listing import ListAnswer, list_answer
from .reading import decompressed, received
from .refusal import NAME, Refusal, refuse, request_id_of
from .running import Running
from .sending import PART, send
from .spool import Spool

logger = logging.getLogger(__name__)

_CONTENT_TYPES = ("application/json", "application/json-rpc", "application/jsonrequest")
ONLY_CONTINUE = "Invalid request: the only Expect that is met is 100-continue"
REPLAYED = "Idempotency-Replayed"
"""Header of answers that were given before."""
# seconds
_RETRY_AFTER = "5"


SERVICE = web.AppKey("service", Service)
"""``request.app[SERVICE]`` is the service."""
RUNNING = web.AppKey("running", Running)
"""``request.app[RUNNING]`` counts the calls that run."""
PEER = web.RequestKey("peer", str)
"""``request[PEER]`` is the address of the connection's other end, where ``request.remote`` is what a balancer tells."""
_SHARE = web.RequestKey("share", Share)
LIMITS = web.AppKey("limits", RateLimits)
"""``request.app[LIMITS]`` counts calls and failures."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What answers requests, found once for each of them: ``request.app`` goes through three functions every time."""

    service: Service
    running: Running
    dispatcher: Dispatcher
    budget: Budget
    disk: Budget
    limits: RateLimits


_PARTS = web.AppKey("parts", _Parts)


def add_endpoint(app: web.Application, service: Service) -> None:
    """Let *app* answer JSON-RPC requests for *service*."""
    settings = service.settings
    parts = _Parts(
        service, Running(), Dispatcher(service), Budget(settings), Budget(settings, "limits.disk"), RateLimits(settings)
    )
    app[_PARTS], app[SERVICE], app[RUNNING], app[LIMITS] = parts, service, parts.running, parts.limits
    app.router.add_route("*", service.settings["server.path"], answer_request, expect_handler=_expect)
    app.middlewares.append(not_found_middleware)


@web.middleware
async def not_found_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer requests that no route is for: they too get a JSON-RPC error object that says what to do."""
    try:
        return await contained(handler(request))
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        asked = f"{request.method} {request.rel_url.raw_path[:200]}"
        path = request.app[SERVICE].settings["server.path"]
        sentence = f"Invalid request: there is no {asked} here; calls go to POST {path}"
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        refusal = Refusal(error.status, InvalidRequest(sentence), **allow)
    return await refused(request, refusal, request_id_of(request))


async def _expect(request: web.Request) -> None:
    """Leave the interim answer to ``_read``: a request that is refused need not send its body."""


async def answer_request(request: web.Request) -> web.StreamResponse:
    """Answer a request to the JSON-RPC endpoint."""
    request_id = request_id_of(request)
    return await finished(request, request_id, _respond(request, request_id))


async def finished(request: web.Request, request_id: str, answer: Awaitable[web.StreamResponse]) -> web.StreamResponse:
    """Return an answer, or that of the Refusal that comes instead of it, when all of it has left for the client.

    Until then the server does not stop, as long as its grace allows. A client that takes nothing for
    ``server.write_timeout`` is given up.
    """
    parts = request.app[_PARTS]
    share = request[_SHARE] = Share(parts.budget, parts.disk)
    with parts.running, share:
        try:
            try:
                response = await answer
            except Refusal as refusal:
                if request.writer.output_size and request.transport is not None:
                    request.transport.close()  # another answer has begun: this one comes too late
                response = refuse(request, refusal, request_id)
            if parts.running.draining:
                response.force_close()
            if isinstance(response, web.Response) and isinstance(body := response.body, (bytes, bytearray)):
                share.send(len(body))
            # sent here and not by aiohttp, so that it counts as running, and the connection as busy, until it is out
            await send(request, response, parts.service.settings["server.write_timeout"])
        finally:
            if share.files:  # the system takes a while for long ones
                await asyncio.to_thread(share.close_files)
    return response


def spool_of(request: web.Request) -> Spool:
    """Return what keeps a part of the answer to *request* until all is made. For routes that await ``finished``."""
    return Spool(_share(request))


async def refused(request: web.Request, refusal: Refusal, request_id: str) -> web.StreamResponse:
    """Return the answer to a request that is refused, when it has been written."""

    async def answer() -> web.StreamResponse:
        raise refusal

    return await finished(request, request_id, answer())


async def _handle(
    parts: _Parts,
    share: Share,
    request: web.Request,
    request_id: str,
    headers: dict[str, str],
    outlet: Callable[[], ListAnswer | None],
) -> bytes | bytearray | None:
    """Return the body of the answer, None for an empty one.

    :param headers: of the answer; more may be added.
    :param outlet: returns what begins another answer where a list is asked for.
    :raises Refusal: the answer is not HTTP 200 or 204.
    """
    if request.method != "POST":
        raise Refusal(405, InvalidRequest("Invalid request: JSON-RPC requests are sent with POST"), Allow="POST")
    if request.content_type not in _CONTENT_TYPES:
        raise Refusal(415, InvalidRequest("Invalid request: the Content-Type must be application/json"))
    if hdrs.EXPECT in request.headers and _expectations(request) - {"100-continue"}:
        raise Refusal(417, InvalidRequest(ONLY_CONTINUE))
    compressed = _compression(request)
    try:
        identity = await _caller(parts, share, request, request_id, request.headers)
        body = await _read(parts.service.settings, share, request, compressed, identity)
        context = _context(parts.service, request, identity, request_id)
        more = functools.partial(count, request, identity, request_id)
        answer = await parts.dispatcher.handle(body, context, more, share.answer, outlet)
        if context.replayed:
            headers[REPLAYED] = "true"
        return answer
    except Unavailable as error:
        raise Refusal(503, error, Retry_After=_RETRY_AFTER) from None
    except NotOffered as error:
        raise Refusal(406, error) from None
    except ParseError as error:
        return failure(error, request_id)
    except Refusal:
        raise
    except Exception:
        logger.exception("a request failed", extra={"request_id": request_id})
        return failure(InternalError("Internal error"), request_id)


def context_of(request: web.Request, identity: Identity, request_id: str) -> Context:
    """Return the context of a call by *identity* that came with *request*."""
    return _context(request.app[SERVICE], request, identity, request_id)


def _context(service: Service, request: web.Request, identity: Identity, request_id: str) -> Context:
    def gone() -> bool:
        return request.transport is None or request.transport.is_closing()

    # whoever uses the address looks whether it is a URL
    asked = f"{request.scheme}://{request.headers.get('Host', '')}{request.rel_url.raw_path}"
    # several are none
    key = ", ".join(request.headers.getall("Idempotency-Key", ())) if "Idempotency-Key" in request.headers else None
    return Context(identity, request_id, service.clock(), request.remote, (), gone, asked, key)


async def caller(request: web.Request, request_id: str, headers: Mapping[str, str] | None = None) -> Identity:
    """Return who sent a request, and count it as one call against the limits. For routes of plugins too.

    :param headers: taken instead of the request's own.
    :raises Refusal: bad credentials (401), too many calls (429), or nobody can tell at present (503).
    """
    shown = request.headers if headers is None else headers
    return await _caller(request.app[_PARTS], _share(request), request, request_id, shown)


async def _caller(
    parts: _Parts, share: Share, request: web.Request, request_id: str, headers: Mapping[str, str]
) -> Identity:
    remote = request.remote
    try:
        parts.limits.arrived(remote)
        identity = await _identified(parts.service, request, headers)
    except BadCredentials as error:
        parts.limits.failed(remote)
        count(request, ANONYMOUS, request_id)
        report(request, ANONYMOUS, error, request_id)
        raise Refusal(401, error, WWW_Authenticate="Bearer") from None
    except (Unavailable, StorageUnavailable) as error:
        report(request, ANONYMOUS, error, request_id)
        raise Refusal(503, error, Retry_After=_RETRY_AFTER) from None
    except TooMany as excess:
        raise _too_many(request, ANONYMOUS, excess, request_id) from None
    share.stranger = identity.anonymous
    try:
        parts.limits.calls(identity, remote)
    except TooMany as excess:
        raise _too_many(request, identity, excess, request_id) from None
    return identity


async def identified(request: web.Request) -> Identity:
    """Return who sent a request, now; nothing is counted.

    :raises BadCredentials: the credentials are wrong, or have ended.
    :raises Unavailable: nobody can tell at present.
    :raises Refusal: the connection is lost.
    """
    return await _identified(request.app[SERVICE], request, request.headers)


def _identified(service: Service, request: web.Request, headers: Mapping[str, str]) -> Awaitable[Identity]:
    transport = request.transport
    if transport is None:
        raise Refusal(400, InvalidRequest("Invalid request: the connection was closed"))
    ssl_object: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    try:
        peer: str | None = request[PEER]
    except KeyError:
        peer = request.remote
    return identify(service.authenticators, Credentials(headers, peer, ssl_object, service.clock()))


def count(request: web.Request, identity: Identity, request_id: str, calls: int = 1) -> None:
    """Count calls against the limits.

    :raises Refusal: they are too many (429).
    """
    try:
        request.app[LIMITS].calls(identity, request.remote, calls)
    except TooMany as excess:
        raise _too_many(request, identity, excess, request_id) from None


def _too_many(request: web.Request, identity: Identity, excess: TooMany, request_id: str) -> Refusal:
    error = InvalidRequest(f"Invalid request: {excess}", retryable=True)
    if not excess.again:  # or whoever does not stop would fill the audit log
        report(request, identity, error, request_id)
    return Refusal(429, error, Retry_After=str(excess.seconds))


def report(request: web.Request, identity: Identity, error: TMError, request_id: str) -> None:
    """Tell the observers of a request that is refused as a whole."""
    service = request.app[SERVICE]
    now = service.clock()
    record = CallRecord("", None, identity, request_id, error.type, error.message, 0.0, False, now, request.remote)
    service.report(record)


def _expectations(request: web.Request) -> set[str]:
    """Return what the client expects before it sends the body; HTTP/1.0 knows no such thing."""
    lines = request.headers.getall("Expect", ()) if request.version >= HttpVersion11 else ()
    return {one.strip().lower() for line in lines for one in line.split(",")} - {""}


def _compression(request: web.Request) -> encoding.Encoding | None:
    try:
        return encoding.content_encoding(request)
    except encoding.Unsupported:
        sentence = f"Invalid request: the Content-Encoding must be one of {encoding.SUPPORTED}"
        raise Refusal(415, InvalidRequest(sentence), Accept_Encoding=encoding.SUPPORTED) from None


async def read_body(request: web.Request, identity: Identity = ANONYMOUS) -> bytes:
    """Return a request's body, decompressed and within the limits. For routes of plugins.

    :param identity: of the caller, who may send more when it has one.
    :raises ParseError: it is not what its Content-Encoding says.
    :raises Refusal: it is too large, too slow, not whole, or encoded in a way that is not supported.
    """
    settings = request.app[SERVICE].settings
    return await _read(settings, _share(request), request, _compression(request), identity)


async def _read(
    settings: Settings, share: Share, request: web.Request, compressed: encoding.Encoding | None, identity: Identity
) -> bytes:
    """Return the request's body, decompressed.

    :raises ParseError: it is not what its Content-Encoding says.
    :raises Refusal: it is too large, too slow, not whole, or compressed without credentials.
    """
    limit: int = settings["server.max_body"]
    if identity.anonymous and settings["limits.anonymous_body"]:
        limit = min(limit, settings["limits.anonymous_body"])
        if compressed is not None:
            sentence = "Invalid request: bodies of callers without credentials must not be compressed"
            raise Refusal(415, InvalidRequest(sentence), Accept_Encoding="identity")
    try:
        content = request.content
        if content.is_eof():
            body = content.read_nowait()
            if len(body) > limit:
                raise encoding.TooLarge
            share.take(len(body))
        else:
            if (request.content_length or 0) > limit:
                raise encoding.TooLarge
            if "100-continue" in _expectations(request):
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0
            async with asyncio.timeout(settings["server.body_timeout"]):
                body = await received(content, share, limit)
        if compressed is None:
            return body
        return await decompressed(body, compressed, share, limit)
    except Unavailable as error:
        report(request, identity, error, request_id_of(request))
        raise Refusal(503, error, Retry_After=_RETRY_AFTER, Connection="close") from None
    except encoding.TooLarge:
        raise Refusal(413, InvalidRequest(f"Invalid request: the body is larger than {limit} bytes")) from None
    except TimeoutError:
        raise Refusal(
            408, InvalidRequest("Invalid request: the body took too long to arrive"), Connection="close"
        ) from None
    except (ConnectionError, web.RequestPayloadError):
        sentence = "Invalid request: the body did not arrive whole"
        raise Refusal(400, InvalidRequest(sentence), Connection="close") from None


def _share(request: web.Request) -> Share:
    """Return the request's share of the budget; one that nobody counts where a route does not await ``finished``."""
    try:
        return request[_SHARE]
    except KeyError:
        return Share(Budget({"limits.memory": 0}))


async def _respond(request: web.Request, request_id: str) -> web.StreamResponse:
    headers = {"X-Request-ID": request_id, "Server": NAME}
    parts, share = request.app[_PARTS], request[_SHARE]
    listed: ListAnswer | None = None

    def outlet() -> ListAnswer | None:
        nonlocal listed
        patience: float = parts.service.settings["server.write_timeout"]
        listed = list_answer(request, headers, share, patience)
        return listed

    body = await _handle(parts, share, request, request_id, headers, outlet)
    if listed is not None and listed.response is not None:
        return listed.response
    if body is None:
        return web.Response(status=204, headers=headers)
    response = web.Response(body=body, content_type="application/json", headers=headers, zlib_executor_size=PART)
    if len(body) >= encoding.WORTH:
        encoding.enable(request, response)
    return response
