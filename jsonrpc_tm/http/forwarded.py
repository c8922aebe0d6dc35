"""The caller's address behind balancers: what they tell is taken from those that the configuration lists."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ..core.addresses import Peers, address, host, within
from .endpoint import PEER


def seeing_the_caller(settings: Mapping[str, Any]) -> Middleware:
    """Return what lets ``request.remote`` be the address of the caller, where a listed balancer tells it."""

    @web.middleware
    def see(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        balancers: Peers = settings["server.balancers"]
        if balancers and (peer := request.remote) is not None and within(peer, balancers):
            caller = _caller(_told(request, settings["server.forwarded_header"]), balancers)
            if caller is not None:
                request[PEER] = peer
                request = request.clone(remote=caller)
        return handler(request)

    return see


def _told(request: web.Request, header: str) -> Sequence[str]:
    """Return the addresses that a request came through, the caller's first."""
    if header == "Forwarded":
        return [element.get("for", "") for element in request.forwarded]
    return ",".join(request.headers.getall(header, ())).split(",")


def _caller(told: Sequence[str], balancers: Peers) -> str | None:
    """Return the last address that is no balancer's: what stands before it, the caller may have written itself."""
    found: str | None = None
    for text in reversed(told):
        try:
            found = str(address(host(text.strip())))
        except ValueError:
            break
        if not within(found, balancers):
            break
    return found
