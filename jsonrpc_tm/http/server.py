"""The server's life: the listening socket, signals and worker processes.

Outside of ``http/``, only the client and the fetching of tokens' keys know aiohttp.
"""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from aiohttp import web

from ..core.errors import ConfigurationError
from ..core.problems import Problems
from ..rpc.service import Service
from ..settings import Settings, exposure
from . import listener
from . import workers as processes
from .browsers import add_browser_rules
from .connection import HTTPRunner
from .endpoint import LIMITS, RUNNING, add_endpoint
from .entrance import Entrance, EntranceContext
from .events import add_events
from .forwarded import seeing_the_caller
from .health import Readiness
from .loops import loop_factory
from .notify import READY, STOPPING, notify
from .refusal import NAME
from .reload import Reloader
from .routes import add_routes
from .waiting import Waiting

logger = logging.getLogger(__name__)
# seconds that the loop waits for a thread at work, at each of the handful of times that a small call needs Python
# again: of three turns in a row 40 ms with Python's own 0.005, 5 with this
_TURN = 0.0005

# seconds
_CLOSE_TIMEOUT = 0.2
# connections that may wait to be taken
_QUEUE = 1024


def build_app(
    service: Service, readiness: Readiness | None = None, bound: socket.socket | None = None
) -> web.Application:
    """Return the application that serves *service*, which the caller opens and closes.

    :param readiness: what answers for its health; None for a new one.
    :param bound: on which it listens; None where that is not known.
    :raises ConfigurationError: a route has no path, or one that is taken.
    """
    readiness = readiness or Readiness(service, Reloader(service, None))
    app = web.Application(client_max_size=service.settings["server.max_body"])
    app.on_response_prepare.append(_sign)
    add_browser_rules(app, service, bound)
    add_endpoint(app, service)
    app.middlewares.insert(0, seeing_the_caller(service.settings))
    add_routes(app, service, (*readiness.routes(), add_events(app)))
    return app


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    """Put the server's name in place of aiohttp's and Python's versions."""
    response.headers["Server"] = NAME


@contextlib.asynccontextmanager
async def listening(
    service: Service,
    bound: socket.socket,
    context: EntranceContext | None = None,
    reloader: Reloader | None = None,
) -> AsyncIterator[str]:
    """Serve *service*, which is open, on a socket of ``listener.bind``; at the end finish the running calls.

    :param context: for TLS; None for plain HTTP.
    :param reloader: of the service and the context; None for a new one. What changes on disk is read again meanwhile.
    :return: the endpoint's URL.
    """
    settings = service.settings
    reloader = reloader or Reloader(service, context)
    readiness = Readiness(service, reloader)
    app = build_app(service, readiness, bound)
    reloader.applied.append(lambda: app[LIMITS].renew(settings))
    runner = HTTPRunner(
        app,
        access_log=None,
        logger=logger,
        auto_decompress=False,
        keepalive_timeout=settings["server.keepalive"],
        shutdown_timeout=_CLOSE_TIMEOUT,
    )
    await runner.setup()
    watching = asyncio.create_task(reloader.watch(), name="watch files")
    entrance = Entrance(bound, Waiting(settings), runner.connect, context)
    try:
        bound.listen(_QUEUE)
        entrance.open()
        try:
            yield listener.url(bound, settings, context is not None)
            readiness.leaving = True
            if settings["server.drain"]:
                await asyncio.sleep(settings["server.drain"])
            app[RUNNING].stop()
        finally:
            entrance.close()
        bound.close()
        await app[RUNNING].drain(settings["server.shutdown_grace"])
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await entrance.abandon()
        await runner.cleanup()


def check(settings: Settings, service: Service | None = None) -> None:
    """Refuse settings with which a server could not serve; nothing is made, and no port is looked at.

    :param service: as it would be served, not opened.
    :raises ConfigurationError: the message has a line for each problem.
    """
    problems = Problems(settings.located)
    problems.attempt(lambda: _refuse_shared_memory(settings), None)
    problems.attempt(lambda: loop_factory(settings), None)
    exposure.judge(exposure.secrets(settings), "warn")
    problems.attempt(lambda: exposure.judge(exposure.data(settings), settings["server.exposed_files"]), None)
    problems.attempt(lambda: listener.check(settings), None)
    if service is not None:
        problems.attempt(lambda: build_app(service), None)
    problems.tell()


def _refuse_shared_memory(settings: Mapping[str, Any]) -> None:
    if settings["server.workers"] > 1 and settings["storage.url"].endswith(":memory:"):
        raise ConfigurationError("server.workers: each process would have a database of its own in memory; use 1")


def serve(service: Service) -> None:
    """Serve until a SIGTERM or SIGINT, in ``server.workers`` processes; a second one ends at once.

    Prints ``listening on URL`` when calls are answered. At SIGHUP configuration and certificates are read again.

    :param service: not yet opened; each process opens its copy.
    :raises ConfigurationError: the address or the TLS files cannot be used, or the service cannot be opened.
    """
    settings = service.settings
    # until there is something to reload
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _refuse_shared_memory(settings)
    new_loop = loop_factory(settings)
    with listener.opened(settings) as bound:
        context = listener.context(settings, bound)
        url = listener.url(bound, settings, context is not None)

        def ready() -> None:
            with contextlib.suppress(OSError):  # nobody may be there to read it
                # in one piece: without buffers, print writes the line's end by itself, and workers write meanwhile
                sys.stdout.write(f"listening on {url}\n")
                sys.stdout.flush()
            logger.info("listening on %s", url)
            notify(READY)

        reloader = Reloader(service, context)

        def work(ready: Callable[[], None], lifeline: int | None = None) -> None:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(_serve(service, bound, context, reloader, ready, lifeline))

        if settings["server.workers"] == 1:
            work(ready)
        else:
            grace = settings["server.drain"] + settings["server.shutdown_grace"]
            processes.Supervisor(settings["server.workers"], work, ready, bound, grace, reloader).run()


async def _serve(
    service: Service,
    bound: socket.socket,
    context: EntranceContext | None,
    reloader: Reloader,
    ready: Callable[[], None],
    lifeline: int | None,
) -> None:
    """Serve in this process until a signal, or until *lifeline* (a pipe from the parent) ends."""
    sys.setswitchinterval(_TURN)
    stop = asyncio.Event()
    opened = False
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()

    def begin_to_stop() -> None:
        stop.set()
        if not opened and this is not None:
            this.cancel()  # it may wait long for a database

    def on_signal(number: int) -> None:
        if stop.is_set() and lifeline is not None:
            return  # of a worker: its parent counts the signals, and kills
        if stop.is_set():
            logger.error("stopping at once: a second signal came")
            logging.shutdown()
            os._exit(128 + number)
        begin_to_stop()

    # a worker leaves SIGINT, which a terminal sends to everybody, to its parent
    for number in (signal.SIGTERM,) if lifeline is not None else (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    reloads: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        task = loop.create_task(reloader.reload_aside(), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    if lifeline is not None:
        end = functools.partial(loop.call_soon_threadsafe, begin_to_stop)
        processes.end_with_parent(lifeline, end, service.settings["server.shutdown_grace"])
    try:
        async with service:
            opened = True
            async with listening(service, bound, context, reloader):
                # what is there now stays: a full collection would look at all of it again, for some 40 ms each time
                gc.freeze()
                if not stop.is_set():
                    ready()
                await stop.wait()
                logger.info("stopping")
                notify(STOPPING)
    except asyncio.CancelledError:
        if opened or not stop.is_set():
            raise
        logger.info("stopping before the service was open")
