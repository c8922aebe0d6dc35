"""The server's life: its routes, health, the listening socket, signals and worker processes.

With ``endpoint.py`` the only module that knows aiohttp.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ..core.errors import ConfigurationError, TMError
from ..core.records import Route
from ..rpc.service import Service
from . import listener
from . import workers as processes
from .endpoint import RUNNING, SERVICE, Refusal, add_endpoint, caller, read_body

if TYPE_CHECKING:
    from ..settings import Settings

__all__ = ["RUNNING", "SERVICE", "Refusal", "build_app", "caller", "listening", "read_body", "serve"]

logger = logging.getLogger(__name__)

_NAME = "jsonrpc-tm"
# a proxy certificate with its chain, URL-encoded by a balancer, is larger than aiohttp's 8 KiB
_MAX_HEADER = 64 * 1024
# seconds
_READY_TIMEOUT = 5.0
_CLOSE_TIMEOUT = 0.2
# connections that may wait to be taken
_QUEUE = 1024


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


def build_app(service: Service) -> web.Application:
    """Return the application that serves *service*, which the caller opens and closes.

    :raises ConfigurationError: a route has no path, or one that is taken.
    """
    app = web.Application(client_max_size=service.settings["server.max_body"])
    app.on_response_prepare.append(_sign)
    add_endpoint(app, service)
    routes = [
        (Route(verb, path, handler), "the server's health")
        for path, handler in (("/health/live", _live), ("/health/ready", _ready))
        for verb in ("GET", "HEAD")
    ]
    if service.plugins is not None:
        routes += service.plugins.collect("register_routes", settings=service.settings)
    taken = {service.settings["server.path"]: [("*", "server.path")]}
    for route, origin in routes:
        _claim(taken, route, str(origin))
        try:
            app.router.add_route(route.verb, route.path, route.handler)
        except ValueError as error:
            raise ConfigurationError(f"{origin}: {route.path!r} cannot be a route's path: {error}") from None
    return app


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    """Put the server's name in place of aiohttp's and Python's versions."""
    response.headers["Server"] = _NAME


def _claim(taken: dict[str, list[tuple[str, str]]], route: Route, origin: str) -> None:
    """Note a route; aiohttp would leave one of two for the same path without a call, mostly without a word."""
    others = taken.setdefault(route.path, [])
    for verb, other in others:
        if verb == route.verb or "*" in (verb, route.verb):
            raise ConfigurationError(f"the path {route.path!r} is served by both {other} and {origin}")
    others.append((route.verb, origin))


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
    opened = False
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()

    def on_signal(number: int) -> None:
        if stop.is_set():
            logger.error("stopping at once: a second signal came")
            logging.shutdown()
            os._exit(128 + number)
        stop.set()
        if not opened and this is not None:
            this.cancel()  # it may wait long for a database

    # a worker leaves SIGINT, which a terminal sends to everybody, to its parent
    for number in (signal.SIGTERM,) if lifeline is not None else (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if lifeline is not None:
        loop.add_reader(lifeline, _orphaned, loop, lifeline, stop)
    try:
        async with service:
            opened = True
            async with listening(service, bound, context):
                if not stop.is_set():
                    ready()
                await stop.wait()
                logger.info("stopping")
    except asyncio.CancelledError:
        if opened or not stop.is_set():
            raise
        logger.info("stopping before the service was open")


def _orphaned(loop: asyncio.AbstractEventLoop, lifeline: int, stop: asyncio.Event) -> None:
    loop.remove_reader(lifeline)
    logger.error("stopping: the parent process is gone")
    stop.set()
