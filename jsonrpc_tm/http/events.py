"""``GET /events``: what was committed, as server-sent events (section 8.7 of the specification)."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from time import monotonic

import orjson
from aiohttp import web

from ..core.context import Context
from ..core.errors import InvalidParams, InvalidRequest, StorageUnavailable, TMError
from ..core.events import EVENT_TYPES
from ..core.records import Route
from ..core.spelling import suggestion
from ..domain import event_reading
from ..domain.event_reading import Logged
from ..rpc.method_rules import EVENTS, check_identity, check_properties
from .connection import Connection
from .endpoint import RUNNING, SERVICE, identified
from .refusal import Refusal
from .routes import guarded

logger = logging.getLogger(__name__)

PATH = "/events"
LOOK = 1.0
"""Seconds for which a caller's rights are good while there are events."""
_RETRY_AFTER = "60"
_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_WORD = re.compile(r"\w+", re.ASCII)
_OWN = {type.partition(".")[0] for type in EVENT_TYPES}
_OPEN = web.AppKey("streams", Counter[str])
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def add_events(app: web.Application) -> Route:
    """Return the route of the events of *app*."""
    app[_OPEN] = Counter()
    return Route("GET", PATH, _answer)


async def _answer(request: web.Request) -> web.StreamResponse:
    # a reload may have changed the rule
    return await guarded(Route("GET", PATH, _listen), request.app[SERVICE].rules[EVENTS], request)


@dataclass(frozen=True, slots=True)
class Following:
    """What a reader wants.

    :param since: the last revision that it has seen; None for events from now on.
    :param types: none for all.
    :param transformations: ids, none for all.
    """

    since: int | None
    types: frozenset[str]
    transformations: frozenset[int]

    @classmethod
    def of(cls, request: web.Request) -> "Following":
        """Return what a request asks for.

        :raises InvalidParams: it is none of what there is.
        """
        query, errors = request.query, dict[str, list[str]]()
        for name in query:
            if name not in ("since", "type", "transformation"):
                errors[name] = ["Unknown field."]
        since = query.getall("since", [])
        if len(since) > 1:
            errors["since"] = ["Must be given once."]
        wrong = [text for text in query.getall("type", []) if not _is_type(text)]
        if wrong:
            hint = suggestion(wrong[0], EVENT_TYPES)
            errors["type"] = [f"No type of event: {wrong[0][:100]!r}{hint}."]
        last = request.headers.get("Last-Event-ID") or (since[0] if since else None)
        found = cls(
            None if last is None else _number("since", last, errors),
            frozenset(query.getall("type", [])),
            frozenset(_number("transformation", text, errors) for text in query.getall("transformation", [])),
        )
        if errors:
            raise InvalidParams(f"Invalid parameters for {PATH}", errors=errors)
        return found

    def takes(self, event: Logged) -> bool:
        """Whether the reader wants an event."""
        if self.types and event.document["type"] not in self.types:
            return False
        return not self.transformations or not self.transformations.isdisjoint(event.concerned)


def _number(name: str, text: str, errors: dict[str, list[str]]) -> int:
    if _NUMBER.fullmatch(text) and int(text) < 2**63:
        return int(text)
    errors.setdefault(name, [f"Not a number from 0: {text[:100]!r}."])
    return 0


def _is_type(text: str) -> bool:
    """Whether events may be of a type: one of ours, or with a plugin's prefix."""
    if text in EVENT_TYPES:
        return True
    prefix, *more = text.split(".")
    return bool(more) and prefix not in _OWN and all(map(_WORD.fullmatch, (prefix, *more)))


async def _listen(request: web.Request, context: Context) -> web.StreamResponse:
    """Send events until the reader, its rights or the server has gone."""
    asked, service, wake = Following.of(request), request.app[SERVICE], asyncio.Event()
    with _counted(request, context), request.app[RUNNING].telling(wake.set):
        if isinstance(request.protocol, Connection):
            request.protocol.on_lost = wake.set
        try:
            last, first = await service.tail.join(wake.set)
            return await _Stream(request, context, asked, wake).run(last, first)
        finally:
            service.tail.leave(wake.set)


@contextmanager
def _counted(request: web.Request, context: Context) -> Iterator[None]:
    """Count a stream of the caller.

    :raises Refusal: it has too many (429).
    """
    streams, caller = request.app[_OPEN], context.caller
    limit: int = request.app[SERVICE].settings["limits.event_streams"]
    if limit and streams[caller] >= limit:
        sentence = f"Invalid request: you have {limit} streams of events already"
        raise Refusal(429, InvalidRequest(sentence, retryable=True), Retry_After=_RETRY_AFTER)
    streams[caller] += 1
    try:
        yield
    finally:
        streams[caller] -= 1
        if not streams[caller]:
            del streams[caller]


class _Stream:
    """One reader's events.

    :param wake: set when there may be something to do.
    """

    def __init__(self, request: web.Request, context: Context, asked: Following, wake: asyncio.Event) -> None:
        self._request = request
        self._service = request.app[SERVICE]
        self._context = context
        self._asked = asked
        self._wake = wake
        self._position = self._told = 0
        self._looked = monotonic()
        self._response = web.StreamResponse(headers={**_HEADERS, "X-Request-ID": context.request_id})

    async def run(self, last: int, first: int) -> web.StreamResponse:
        """Send events, and return when that has come to its end.

        :param last: the last revision.
        :param first: the first one that is kept.
        """
        since = self._asked.since
        self._position = self._told = last if since is None else since
        await self._response.prepare(self._request)
        with suppress(ConnectionError):
            try:
                if first - 1 <= self._position <= last:
                    # whoever loses the connection before the first event knows where it was
                    await self._write(b": events\nid: %d\n\n" % self._position)
                else:
                    await self._resync()
                while self._goes_on() and await self._may_listen():
                    await self._step()
            except (StorageUnavailable, TimeoutError):
                pass  # the reader comes again, and goes on where it was
        return self._response

    def _goes_on(self) -> bool:
        gone = self._context.gone
        return not (self._request.app[RUNNING].draining or (gone is not None and gone()))

    async def _step(self) -> None:
        """Send what there is, or wait for it."""
        self._wake.clear()
        found = await self._service.tail.after(self._position)
        if not found:
            heartbeat: float = self._service.settings["events.heartbeat"]
            try:
                async with asyncio.timeout(heartbeat):
                    await self._wake.wait()
            except TimeoutError:
                # whoever comes again after long need not look at what it did not want
                place = b"id: %d\n" % self._position if self._told < self._position else b""
                self._told = self._position
                await self._write(b": nothing new\n" + place + b"\n")
                self._looked = 0
        elif found[0].revision != self._position + 1:
            await self._resync()
        else:
            await self._send(found)
            self._position = found[-1].revision

    async def _resync(self) -> None:
        """Say that events are missing; what comes from now on is told."""
        wake = self._wake.set
        self._position, _ = await self._service.tail.join(wake)
        self._told = self._position
        text = b"event: resync\nid: %d\ndata: %b\n\n"
        await self._write(text % (self._position, orjson.dumps({"revision": self._position})))

    async def _send(self, found: list[Logged]) -> None:
        wanted = [event for event in found if self._asked.takes(event)]
        if wanted and self._service.policy.readable(self._context.identity) is not None:
            outside = self._service.outside(self._context, EVENTS)
            ids = {trans for event in wanted for trans in event.concerned}
            readable = await outside.read(event_reading.readable, ids)
            seen = (event.seen_by(readable) for event in wanted)
            wanted = [event for event in seen if event is not None and self._asked.takes(event)]
        if wanted:
            self._told = wanted[-1].revision
            await self._write(b"".join(b"id: %d\ndata: %b\n\n" % (event.revision, event.text) for event in wanted))

    async def _write(self, text: bytes) -> None:
        """Write to the reader.

        :raises TimeoutError: it takes nothing; the connection has been closed.
        """
        patience: float = self._service.settings["server.write_timeout"]
        try:
            async with asyncio.timeout(patience or None):
                await self._response.write(text)
        except TimeoutError:
            facts = {"address": self._request.remote, "request_id": self._context.request_id}
            logger.info("closing a connection: its events were not read", extra=facts)
            if self._request.transport is not None:
                self._request.transport.abort()
            raise

    async def _may_listen(self) -> bool:
        """Whether the caller still may: certificates and tokens end, and rights are taken away."""
        if monotonic() - self._looked < LOOK:
            return True
        self._looked = monotonic()
        before = self._context.identity
        rule = self._service.rules[EVENTS]
        try:
            identity = await identified(self._request)
            check_identity(PATH, rule, identity)
            check_properties(PATH, rule, identity)
        except TMError as error:
            logger.info("a stream of events ends: %s", error.message, extra={"request_id": self._context.request_id})
            return False
        self._context = replace(self._context, identity=identity, now=self._service.clock())
        return (identity.username, identity.group) == (before.username, before.group)
