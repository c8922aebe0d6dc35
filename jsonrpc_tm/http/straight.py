"""The short way of calls: neither aiohttp's router nor its signals, nor a chain of middlewares made for each of them.

Of a call that does nothing, some 220 µs, the long way is 20. Who is asked about a request on it is asked here, too.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from ..core.containment import contained
from .endpoint import SERVICE, answer_request, not_found_middleware

Way = Callable[[Any], Awaitable[web.StreamResponse]]


def straight(app: web.Application, long_way: Way) -> Way:
    """Return what answers requests: calls by the short way, all others by *long_way*.

    :param app: whose middlewares are asked; it has the endpoint.
    """
    settings = app[SERVICE].settings
    if settings["server.origins"]:  # what their pages may read is told on the long way
        return long_way
    path = settings["server.path"]
    handler: Way = _answer
    for middleware in reversed(app.middlewares):
        if middleware is not not_found_middleware:
            handler = functools.partial(middleware, handler=handler)

    def way(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        # with parameters, or spelled in another way, it is for the router to say what is meant
        return handler(request) if request.raw_path == path else long_way(request)

    return way


def _answer(request: web.Request) -> Awaitable[web.StreamResponse]:
    # as ``not_found_middleware`` does: parameters of plugins' methods are theirs to read
    return contained(answer_request(request))


def requests(app: web.Application) -> Callable[..., web.Request]:
    """Return what makes requests that know their application without having been on the long way."""

    class Request(web.Request):
        @property
        def app(self) -> web.Application:
            return app

    most = app[SERVICE].settings["server.max_body"]
    return functools.partial(Request, loop=asyncio.get_running_loop(), client_max_size=most)
