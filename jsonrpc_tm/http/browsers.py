"""What a browser may be made to do: it shows its user's certificate, and reaches what its user reaches, for any page.

Sources: the Fetch standard (Origin, CORS) and Fetch Metadata (Sec-Fetch-*).
"""

import functools
import socket
from collections.abc import Awaitable, Mapping
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from ..core.addresses import host, is_loopback
from ..core.errors import Forbidden
from ..core.identity import ANONYMOUS
from ..rpc.service import Service
from .endpoint import count, refused, report
from .refusal import Refusal, request_id_of
from .tls import ReloadingContext

_SITE, _MODE, _DESTINATION = "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"
_OWN_PAGES = ("same-origin", "none")
# what pages may read of an answer beside its body
_SHOWN = "X-Request-ID, Retry-After, WWW-Authenticate, Idempotency-Replayed"
# seconds
_PREFLIGHT_KEPT = "600"


def add_browser_rules(app: web.Application, service: Service, bound: socket.socket | None) -> None:
    """Let *app* refuse what pages of other sites make a browser send, but for those of ``server.origins``.

    :param bound: on which it listens; None where that is not known.
    """
    rules = _Rules(service.settings, bound)
    app.middlewares.append(rules.middleware)
    if service.settings["server.origins"]:
        app.on_response_prepare.append(rules.sign)


class _Rules:
    def __init__(self, settings: Mapping[str, Any], bound: socket.socket | None) -> None:
        self._origins: frozenset[str] = frozenset(settings["server.origins"])
        self._hosts = {settings["server.host"], *(host(name) for name in settings["server.hosts"])}
        # no browser opens a Unix socket
        by_name = bound is not None and bound.family != socket.AF_UNIX
        self._only_loopback = bound is not None and by_name and is_loopback(bound.getsockname()[0])
        # as they came: parsing one costs more than a small call's other checks together
        self._known = functools.lru_cache(1000)(self._is_known)

    @web.middleware
    def middleware(self, request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        """Answer what is refused, and preflight requests of listed origins."""
        headers = request.headers
        if hdrs.ORIGIN in headers or _SITE in headers or not self._known(headers.get(hdrs.HOST)):
            return self._examined(request, handler)
        return handler(request)

    async def _examined(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        reason = self._foreign_page(request) or self._foreign_host(request)
        if reason is not None:
            request_id = request_id_of(request)
            refusal = Refusal(403, Forbidden(f"Forbidden: {reason}"))
            try:
                count(request, ANONYMOUS, request_id)
                report(request, ANONYMOUS, refusal.error, request_id)
            except Refusal as excess:
                refusal = excess
            return await refused(request, refusal, request_id)
        asks_first = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if asks_first and request.headers.get(hdrs.ORIGIN) in self._origins:
            return web.Response(status=204)
        return await handler(request)

    async def sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let pages of listed origins read an answer."""
        varies = response.headers.get(hdrs.VARY)
        response.headers[hdrs.VARY] = hdrs.ORIGIN if varies is None else f"{varies}, {hdrs.ORIGIN}"
        origin = request.headers.get(hdrs.ORIGIN)
        if origin not in self._origins:
            return
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _SHOWN
        if request.method == hdrs.METH_OPTIONS:
            for asked, allowed in (
                (hdrs.ACCESS_CONTROL_REQUEST_METHOD, hdrs.ACCESS_CONTROL_ALLOW_METHODS),
                (hdrs.ACCESS_CONTROL_REQUEST_HEADERS, hdrs.ACCESS_CONTROL_ALLOW_HEADERS),
            ):
                if asked in request.headers:
                    response.headers[allowed] = request.headers[asked]
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _PREFLIGHT_KEPT

    def _foreign_page(self, request: web.Request) -> str | None:
        """Return why a request is refused that a page of another site sent; None when it is not."""
        origins = request.headers.getall(hdrs.ORIGIN, [])
        if len(origins) == 1 and origins[0] in self._origins:
            return None
        if origins and not (len(origins) == 1 and _is_own(origins[0], request)):
            return f"pages of {origins[0][:100]!r} may not call this server; server.origins lists those that may"
        if request.headers.get(_SITE, "none") in _OWN_PAGES or _opens_page(request):
            return None
        return "pages of other sites may not call this server; server.origins lists those that may"

    def _foreign_host(self, request: web.Request) -> str | None:
        """Return why a request is refused that came to loopback by another name: a site's name may lead here, too."""
        asked = request.headers.get(hdrs.HOST)
        if asked is None or self._known(asked):
            return None
        context = None if request.transport is None else request.transport.get_extra_info("sslcontext")
        names = context.certificate.names if isinstance(context, ReloadingContext) else ()
        name = host(asked)
        if name in names or f"*.{name.partition('.')[2]}" in names:
            return None
        return f"this server is not called {asked[:100]!r}; server.hosts lists further names"

    def _is_known(self, asked: str | None) -> bool:
        if not self._only_loopback or asked is None:
            return True
        name = host(asked)
        return is_loopback(name) or name in self._hosts


def _is_own(origin: str, request: web.Request) -> bool:
    """Whether a page came from where its request goes: a balancer may have ended its TLS, nobody adds TLS."""
    scheme, _, authority = origin.partition("://")
    if scheme not in ("http", "https") or (request.secure and scheme == "http"):
        return False
    asked = request.headers.get(hdrs.HOST, "").lower()
    return authority.lower() == asked.removesuffix(":443" if scheme == "https" else ":80") != ""


def _opens_page(request: web.Request) -> bool:
    """Whether somebody follows a link to a page: it is shown to nobody but them."""
    headers = request.headers
    navigates = headers.get(_MODE) == "navigate" and headers.get(_DESTINATION) == "document"
    return navigates and request.method == hdrs.METH_GET
