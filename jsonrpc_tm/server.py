"""HTTP: the routes, what a request may be, and who sent it. The only module that knows aiohttp.

Whatever is wrong with a request, the body of the answer is a JSON-RPC error object.
"""

import asyncio
import contextlib
import functools
import logging
import os
import re
import secrets
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from . import encoding, listener, processes
from .auth import identify
from .auth.ratelimit import Limits, TooMany
from .dispatch import Dispatcher, failure
from .errors import BadCredentials, ConfigurationError, InternalError, InvalidRequest, ParseError, TMError
from .hookspecs import CallRecord
from .identity import ANONYMOUS, Credentials, Identity
from .service import Service

if TYPE_CHECKING:
    from .settings import Settings

logger = logging.getLogger(__name__)

# in place of aiohttp's and Python's versions
_NAME = "jsonrpc-tm"
_REQUEST_ID = re.compile(r"[\w.:/+=@~-]{1,128}", re.ASCII)
# zlib lets other threads run; below this the hop costs more than the work
_IN_THREAD = 64 * 1024
# a proxy certificate with its chain, URL-encoded by a balancer, is larger than aiohttp's 8 KiB
_MAX_HEADER = 64 * 1024
# seconds
_READY_TIMEOUT = 5.0
_CLOSE_TIMEOUT = 0.2
# connections that may wait to be taken
_QUEUE = 1024


@dataclass
class Running:
    """The calls that run now, and whether the server is stopping."""

    calls: int = 0
    draining: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> None:
        self.calls += 1

    def __exit__(self, *exc: object) -> None:
        self.calls -= 1
        if self.draining and not self.calls:
            self.idle.set()

    async def drain(self, grace: float) -> None:
        """Wait until no call runs, at most *grace* seconds."""
        self.draining = True
        if self.calls:
            logger.info("waiting for %d running call(s)", self.calls)
            try:
                async with asyncio.timeout(grace):
                    await self.idle.wait()
            except TimeoutError:
                logger.warning("%d call(s) still run after %g s: giving them up", self.calls, grace)


class _OneLine(logging.Filter):
    """What is not HTTP is one line: scanners would fill the log with aiohttp's tracebacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass, such records shortened."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args, record.exc_info = "not HTTP: %s", (type(error).__name__,), None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


_http_logger = logging.getLogger("jsonrpc_tm.http")
_http_logger.addFilter(_OneLine())

SERVICE = web.AppKey("service", Service)
RUNNING = web.AppKey("running", Running)
_DISPATCHER = web.AppKey("dispatcher", Dispatcher)
_LIMITS = web.AppKey("limits", Limits)


class Refusal(Exception):
    """An HTTP status other than 200, with the JSON-RPC error of its body."""

    def __init__(self, status: int, error: TMError, **headers: str) -> None:
        self.status = status
        self.error = error
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def build_app(service: Service) -> web.Application:
    """Return the application that serves *service*, which the caller opens and closes."""
    app = web.Application(client_max_size=service.settings["server.max_body"])
    app[SERVICE] = service
    app[RUNNING] = Running()
    app[_DISPATCHER] = Dispatcher(service)
    app[_LIMITS] = Limits(service.settings)
    app.router.add_route("*", service.settings["server.path"], _answer, expect_handler=_expect)
    app.router.add_get("/health/live", _live)
    app.router.add_get("/health/ready", _ready)
    if service.plugins is not None:
        for route, _ in service.plugins.collect("register_routes", settings=service.settings):
            app.router.add_route(route.verb, route.path, route.handler)
    return app


async def _expect(request: web.Request) -> None:
    """Leave the interim answer to ``_read``: a request that is refused need not send its body."""


async def _answer(request: web.Request) -> web.Response:
    """Answer a request to the JSON-RPC endpoint."""
    sent_id = request.headers.get("X-Request-ID", "")
    request_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else secrets.token_hex(16)
    running = request.app[RUNNING]
    with running:
        try:
            response = await _respond(request, await _handle(request, request_id), request_id)
        except Refusal as refusal:
            logger.info(
                "refused with HTTP %d: %s",
                refusal.status,
                refusal.error.message,
                extra={"request_id": request_id, "outcome": refusal.error.type},
            )
            response = web.Response(
                status=refusal.status,
                body=failure(refusal.error, request_id),
                content_type="application/json",
                headers={"X-Request-ID": request_id, "Server": _NAME, **refusal.headers},
            )
        if running.draining:
            response.force_close()
        # written here and not by aiohttp, so that the call counts as running until its answer is out
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await response.write_eof()
    return response


async def _handle(request: web.Request, request_id: str) -> bytes | None:
    """Return the body of the answer, None for an empty one.

    :raises Refusal: the answer is not HTTP 200 or 204.
    """
    if request.method != "POST":
        raise Refusal(405, InvalidRequest("Invalid request: JSON-RPC requests are sent with POST"), Allow="POST")
    if request.content_type != "application/json":
        raise Refusal(415, InvalidRequest("Invalid request: the Content-Type must be application/json"))
    compressed = _compression(request)
    try:
        identity = await caller(request, request_id)
        body = await _read(request, compressed)
        return await request.app[_DISPATCHER].handle(
            body, identity, request_id, functools.partial(_count, request, identity, request_id)
        )
    except ParseError as error:
        return failure(error, request_id)
    except Refusal:
        raise
    except Exception:
        logger.exception("a request failed", extra={"request_id": request_id})
        return failure(InternalError("Internal error"), request_id)


async def caller(request: web.Request, request_id: str, headers: Mapping[str, str] | None = None) -> Identity:
    """Return who sent a request, and count it as one call against the limits. For routes of plugins too.

    :param headers: taken instead of the request's own.
    :raises Refusal: bad credentials (401), or too many calls (429).
    """
    limits, remote = request.app[_LIMITS], request.remote
    transport = request.transport
    if transport is None:
        raise Refusal(400, InvalidRequest("Invalid request: the connection was closed"))
    ssl_object: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    service = request.app[SERVICE]
    shown = request.headers if headers is None else headers
    try:
        limits.arrived(remote)
        identity = await identify(service, Credentials(shown, remote, ssl_object, service.clock()))
    except BadCredentials as error:
        limits.failed(remote)
        _report(request, ANONYMOUS, error, request_id)
        raise Refusal(401, error, WWW_Authenticate="Bearer") from None
    except TooMany as excess:
        raise _too_many(request, ANONYMOUS, excess, request_id) from None
    _count(request, identity, request_id)
    return identity


def _count(request: web.Request, identity: Identity, request_id: str, calls: int = 1) -> None:
    try:
        request.app[_LIMITS].calls(identity, request.remote, calls)
    except TooMany as excess:
        raise _too_many(request, identity, excess, request_id) from None


def _too_many(request: web.Request, identity: Identity, excess: TooMany, request_id: str) -> Refusal:
    error = InvalidRequest(f"Invalid request: {excess}")
    _report(request, identity, error, request_id)
    return Refusal(429, error, Retry_After=str(excess.seconds))


def _report(request: web.Request, identity: Identity, error: TMError, request_id: str) -> None:
    """Tell the observers of a request that is refused as a whole."""
    service = request.app[SERVICE]
    now = service.clock()
    service.report(CallRecord("", None, identity, request_id, error.type, error.message, 0.0, False, now))


def _compression(request: web.Request) -> encoding.Encoding | None:
    try:
        return encoding.content_encoding(request.headers.get("Content-Encoding"))
    except encoding.Unsupported:
        sentence = f"Invalid request: the Content-Encoding must be one of {encoding.SUPPORTED}"
        raise Refusal(415, InvalidRequest(sentence), Accept_Encoding=encoding.SUPPORTED) from None


async def read_body(request: web.Request) -> bytes:
    """Return a request's body, decompressed and within the limits. For routes of plugins.

    :raises ParseError: it is not what its Content-Encoding says.
    :raises Refusal: it is too large, too slow, not whole, or encoded in a way that is not supported.
    """
    return await _read(request, _compression(request))


async def _read(request: web.Request, compressed: encoding.Encoding | None) -> bytes:
    """Return the request's body, decompressed.

    :raises ParseError: it is not what its Content-Encoding says.
    :raises Refusal: it is too large, too slow, or not whole.
    """
    settings = request.app[SERVICE].settings
    limit: int = settings["server.max_body"]
    try:
        if (request.content_length or 0) > limit:
            raise encoding.TooLarge
        if request.content.is_eof():
            body = await request.read()
        else:
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0
            async with asyncio.timeout(settings["server.body_timeout"]):
                body = await request.read()
        if compressed is None:
            return body
        if len(body) <= _IN_THREAD:
            return encoding.decompress(body, compressed, limit)
        return await asyncio.to_thread(encoding.decompress, body, compressed, limit)
    except (web.HTTPRequestEntityTooLarge, encoding.TooLarge):
        raise Refusal(413, InvalidRequest(f"Invalid request: the body is larger than {limit} bytes")) from None
    except TimeoutError:
        raise Refusal(
            408, InvalidRequest("Invalid request: the body took too long to arrive"), Connection="close"
        ) from None
    except (ConnectionError, web.RequestPayloadError):
        raise Refusal(400, InvalidRequest("Invalid request: the body did not arrive whole")) from None


async def _respond(request: web.Request, body: bytes | None, request_id: str) -> web.Response:
    headers = {"X-Request-ID": request_id, "Server": _NAME}
    if body is None:
        return web.Response(status=204, headers=headers)
    if len(body) >= encoding.WORTH:
        headers["Vary"] = "Accept-Encoding"
        chosen = encoding.accepted(request.headers.get("Accept-Encoding"))
        if chosen is not None:
            headers["Content-Encoding"] = chosen
            if len(body) <= _IN_THREAD:
                body = encoding.compress(body, chosen)
            else:
                body = await asyncio.to_thread(encoding.compress, body, chosen)
    return web.Response(body=body, content_type="application/json", headers=headers)


async def _live(request: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


async def _ready(request: web.Request) -> web.Response:
    if request.app[RUNNING].draining:
        return web.json_response({"status": "stopping"}, status=503)
    try:
        async with asyncio.timeout(_READY_TIMEOUT):
            await request.app[SERVICE].storage.ready()
    except (TMError, TimeoutError):
        return web.json_response({"status": "no database"}, status=503)
    return web.json_response({"status": "ready"})


@contextlib.asynccontextmanager
async def listening(
    service: Service, bound: socket.socket, context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve *service*, which is open, on a socket of ``listener.bind``; at the end finish the running calls.

    :param context: for TLS; None for plain HTTP.
    :return: the endpoint's URL.
    """
    settings = service.settings
    app = build_app(service)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_http_logger,
        auto_decompress=False,
        keepalive_timeout=settings["server.keepalive"],
        max_field_size=_MAX_HEADER,
        shutdown_timeout=_CLOSE_TIMEOUT,
    )
    await runner.setup()
    try:
        # the number of connections taken at once, which asyncio confuses with the queue's length: few, so that
        # worker processes share a burst
        site = web.SockSite(runner, bound, ssl_context=context, backlog=1)
        await site.start()
        bound.listen(_QUEUE)
        yield listener.url(bound, settings, context is not None)
        app[RUNNING].draining = True
        await site.stop()
        await app[RUNNING].drain(settings["server.shutdown_grace"])
    finally:
        await runner.cleanup()


def serve(service_factory: Callable[[], Service], settings: "Settings") -> None:
    """Serve until a SIGTERM or SIGINT, in ``server.workers`` processes; a second one ends at once.

    Prints ``listening on URL`` when calls are answered.

    :param service_factory: returns a new service; called in each process.
    :raises ConfigurationError: the address, the TLS files or the service cannot be used.
    """
    if settings["server.workers"] > 1 and settings["storage.url"].endswith(":memory:"):
        raise ConfigurationError("server.workers: each process would have a database of its own in memory; use 1")
    context = listener.context(settings)
    with listener.bind(settings["server.host"], settings["server.port"]) as bound:
        url = listener.url(bound, settings, context is not None)

        def ready() -> None:
            print(f"listening on {url}", flush=True)
            logger.info("listening on %s", url)

        def work(ready: Callable[[], None], lifeline: int | None = None) -> None:
            asyncio.run(_serve(service_factory(), bound, context, ready, lifeline))

        if settings["server.workers"] == 1:
            work(ready)
        else:
            grace = settings["server.shutdown_grace"]
            processes.Supervisor(settings["server.workers"], work, ready, bound, grace).run()


async def _serve(
    service: Service,
    bound: socket.socket,
    context: ssl.SSLContext | None,
    ready: Callable[[], None],
    lifeline: int | None,
) -> None:
    """Serve in this process until a signal, or until *lifeline* (a pipe from the parent) ends."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            logger.error("stopping at once: a second signal came")
            logging.shutdown()
            os._exit(128 + number)
        stop.set()

    # a worker leaves SIGINT, which a terminal sends to everybody, to its parent
    for number in (signal.SIGTERM,) if lifeline is not None else (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if lifeline is not None:
        loop.add_reader(lifeline, _orphaned, loop, lifeline, stop)
    async with service, listening(service, bound, context):
        ready()
        await stop.wait()
        logger.info("stopping")


def _orphaned(loop: asyncio.AbstractEventLoop, lifeline: int, stop: asyncio.Event) -> None:
    loop.remove_reader(lifeline)
    logger.error("stopping: the parent process is gone")
    stop.set()
