"""Connections: the address of the peer, and answers to what is no HTTP request.

aiohttp answers that itself, before any handler: in its own name, as text, with what came.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from ..core.addresses import normal
from ..core.errors import InternalError, InvalidRequest
from .endpoint import ONLY_CONTINUE, SERVICE
from .refusal import Refusal, refuse, request_id_of
from .sending import send
from .straight import requests, straight
from .waiting import Accepted

# a proxy certificate with its chain, URL-encoded by a balancer, is larger than aiohttp's 8 KiB
_MAX_HEADER = 64 * 1024
_MAX_URL = 8 * 1024
_MAX_HEADERS = 128


class Connection(web.RequestHandler):
    """One connection."""

    accepted: Accepted
    _peer: Any = None
    _paused_reading = False
    _ends = False
    on_lost: Callable[[], None] | None = None
    """Called when the connection is lost."""

    @property
    def busy(self) -> bool:
        """Whether a request is there."""
        return self._current_request is not None or bool(self._messages)

    @property
    def used(self) -> bool:
        """Whether there was ever one."""
        return self._request_count > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        found = transport.get_extra_info("peername")
        self._peer = (normal(found[0]), *found[1:]) if isinstance(found, tuple) else found

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        super().connection_lost(exc)
        self.accepted.left()
        if self.on_lost is not None:
            self.on_lost()

    @property
    def peername(self) -> Any:
        """The address of the peer, in the normal form: ``request.remote`` is made of it."""
        return self._peer

    def pause_reading(self) -> None:
        """Let what comes wait in the socket."""
        self._paused_reading = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on; aiohttp asks for it after every body, and would parse once more what has not come.

        Its parser may have kept something that nobody else asks for, but not after the last body that is whole.
        """
        request = self._current_request
        whole = request is not None and request.content.is_eof() and not self._messages
        if self._paused_reading or (resume_parser and not whole):
            self._paused_reading = False
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Take what came; a body that goes on as no body does ends for its reader, who would wait for the rest.

        What comes after that which is no HTTP is for nobody: aiohttp would keep each piece, with its error, for as long
        as the request before it takes.
        """
        if self._ends:
            return
        super().data_received(data)
        if self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
            self._ends = True
            request = self._current_request
            if request is not None and not request.content.is_eof():
                request.content.set_exception(web.RequestPayloadError("the body is malformed"))
                request.content.feed_eof()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request, or what a handler failed at, with a JSON-RPC error; the connection then ends.

        :raises ConnectionError: another answer has begun.
        """
        request_id = request_id_of(request)
        if isinstance(exc, HttpProcessingError):
            refusal = _refusal(exc)
        else:
            self.logger.error("a route failed", exc_info=exc, extra={"request_id": request_id})
            refusal = Refusal(status, InternalError("Internal error"))
        if request.writer.output_size:
            raise ConnectionError("another answer has begun")
        response = refuse(request, refusal, request_id)
        response.force_close()
        return response


def _refusal(error: HttpProcessingError) -> Refusal:
    """Return what is told of an error of aiohttp's parser; never its own words, which repeat what came."""
    match error:
        case LineTooLong(args=(_, limit, *_)) if limit == _MAX_URL:
            return Refusal(414, InvalidRequest(f"Invalid request: the URL is longer than {limit} bytes"))
        case LineTooLong():
            return Refusal(431, InvalidRequest(f"Invalid request: a header is longer than {_MAX_HEADER} bytes"))
        case HttpProcessingError(message="Too many headers received"):
            return Refusal(431, InvalidRequest(f"Invalid request: there are more than {_MAX_HEADERS} headers"))
        case HttpProcessingError(message=message) if message.startswith("Duplicate '"):
            return Refusal(400, InvalidRequest("Invalid request: a header that may be there once is there twice"))
        case HttpProcessingError(message="Missing 'Host' header in request."):
            return Refusal(400, InvalidRequest("Invalid request: the header Host is missing"))
        case HttpProcessingError(message="Received HTTPS traffic on an HTTP port"):
            return Refusal(400, InvalidRequest("Invalid request: this port speaks HTTP without TLS"))
    return Refusal(400, InvalidRequest("Invalid request: what came is not HTTP"))


class HTTPRunner(web.AppRunner):
    """Serves an application on connections of the kind above."""

    async def _make_server(self) -> "Connections":
        made = await super()._make_server()
        limits = {"max_line_size": _MAX_URL, "max_field_size": _MAX_HEADER, "max_headers": _MAX_HEADERS}
        options: dict[str, Any] = {**self._kwargs, **limits}
        handler = _answered(straight(self.app, _sent(made.request_handler, self.app[SERVICE].settings)))
        return Connections(handler, request_factory=requests(self.app), **options)

    def connect(self, accepted: Accepted) -> Connection:
        """Return the HTTP end of a connection; the runner must be set up."""
        assert isinstance(self.server, Connections)
        return self.server.connect(accepted)


def _sent(handler: Any, settings: Mapping[str, Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return *handler* with its answers sent as those of calls are: aiohttp would wait for ever for their reader."""

    async def sent(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        if isinstance(response, web.StreamResponse):  # what is none, aiohttp complains of
            await send(request, response, settings["server.write_timeout"])
            return _Out(response)
        return response

    return sent


class _Out(web.StreamResponse):
    """Stands for an answer that is out, or lost: aiohttp would begin anew, with a file, or what was kept until then."""

    def __init__(self, response: web.StreamResponse) -> None:
        super().__init__(status=response.status)
        self._kept_alive = response.keep_alive

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays."""
        return self._kept_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing."""


def _answered(handler: Any) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Return *handler* with an answer of ours to what aiohttp refuses before it."""

    async def expected(request: web.BaseRequest) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPExpectationFailed:
            response = refuse(request, Refusal(417, InvalidRequest(ONLY_CONTINUE)), request_id_of(request))
        return response

    return lambda request: expected(request) if hdrs.EXPECT in request.headers else handler(request)


class Connections(web.Server):
    """Makes the connections of a server."""

    def connect(self, accepted: Accepted) -> Connection:
        """Return the HTTP end of a connection."""
        made = Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)
        made.accepted = accepted
        # aiohttp's parser counts one too many after a request in two parts, and stops before the queue seems full
        made._max_msg_queue_size -= 1
        accepted.conversation = made
        return made
