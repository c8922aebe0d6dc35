"""The server's HTTP routes beside JSON-RPC: its health, and those of plugins."""

import functools
import logging
from collections.abc import Iterable

from aiohttp import web

from ..core import errors
from ..core.containment import contained
from ..core.errors import ConfigurationError, TMError
from ..core.identity import Rule
from ..core.records import Route
from ..rpc.method_rules import check_identity, check_properties
from ..rpc.service import Service
from .endpoint import caller, context_of, finished, report
from .refusal import Refusal, request_id_of

logger = logging.getLogger(__name__)

# the callers' other errors are 400
_STATUSES = {
    errors.Unauthenticated.type: 401,
    errors.Forbidden.type: 403,
    errors.NotFound.type: 404,
    errors.Conflict.type: 409,
    errors.InvalidState.type: 409,
    errors.InternalError.type: 500,
    errors.CatalogError.type: 502,
    errors.StorageUnavailable.type: 503,
    errors.Unavailable.type: 503,
}


def add_routes(app: web.Application, service: Service, own: Iterable[Route]) -> None:
    """Add all routes to *app*, which has the endpoint already.

    :param own: the server's.
    :raises ConfigurationError: a route has no path, or one that is taken.
    """
    taken = {service.settings["server.path"]: [("*", "server.path")]}
    for route, origin in (*((route, "the server") for route in own), *service.routes):
        _note_route(taken, route, origin)
        handler = route.handler if route.rule is None else functools.partial(guarded, route, route.rule)
        try:
            app.router.add_route(route.verb, route.path, handler)
        except ValueError as error:
            raise ConfigurationError(f"{origin}: {route.path!r} cannot be a route's path: {error}") from None


def _note_route(taken: dict[str, list[tuple[str, str]]], route: Route, origin: str) -> None:
    """Note a route; aiohttp would leave one of two for the same path without a call, mostly without a word."""
    others = taken.setdefault(route.path, [])
    for verb, other in others:
        if verb == route.verb or "*" in (verb, route.verb):
            raise ConfigurationError(f"the path {route.path!r} is served by both {other} and {origin}")
    others.append((route.verb, origin))


async def guarded(route: Route, rule: Rule, request: web.Request) -> web.StreamResponse:
    """Answer a request to a route with a rule, which is *rule*."""
    request_id = request_id_of(request)
    return await finished(request, request_id, _admitted(route, rule, request, request_id))


async def _admitted(route: Route, rule: Rule, request: web.Request, request_id: str) -> web.StreamResponse:
    """Let the route's handler answer, if the caller may ask.

    :raises Refusal: the caller may not, or the handler failed.
    """
    asked = f"{route.verb} {route.path}"
    try:
        identity = await caller(request, request_id)
        try:
            check_identity(asked, rule, identity)
            check_properties(asked, rule, identity)
        except TMError as error:
            report(request, identity, error, request_id)
            raise
        context = context_of(request, identity, request_id)
        response: web.StreamResponse = await contained(route.handler(request, context))
    except (Refusal, web.HTTPException):
        raise
    except TMError as error:
        status = _STATUSES.get(error.type, 400)
        raise Refusal(status, error, **({"WWW_Authenticate": "Bearer"} if status == 401 else {})) from None
    except Exception:
        logger.exception("the route %s failed", route.path, extra={"request_id": request_id})
        raise Refusal(500, errors.InternalError("Internal error")) from None
    if not isinstance(response, web.StreamResponse):
        logger.error(
            "the route %s gave %r instead of a response", route.path, response, extra={"request_id": request_id}
        )
        raise Refusal(500, errors.InternalError("Internal error"))
    if not response.prepared:
        response.headers.setdefault("X-Request-ID", request_id)
    return response
