"""The server without a wire: methods, storage, catalog, policy and the one way to make a call."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..catalog.base import Catalog
from ..core.errors import Forbidden, InternalError, TMError, Unauthenticated
from ..core.identity import ANONYMOUS, Authenticator, Identity, Policy
from ..core.records import CallRecord, Event, StatusRule
from ..storage.base import Storage
from .call import Call
from .method import Method, Registry, Rule

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment, UTC, aware, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass
class Service:
    """Everything a call needs. Built by ``app.build_service``; ``async with`` opens and closes it.

    :param rules: the rule of each method, configuration applied; not to be changed afterwards.
    :param clock: returns the present moment, UTC, aware.
    """

    settings: Mapping[str, Any]
    registry: Registry
    rules: Mapping[str, Rule]
    storage: Storage
    policy: Policy
    users: Any = None
    clock: Clock = utc_now
    authenticators: tuple[Authenticator, ...] = ()
    status_rules: tuple[StatusRule, ...] = ()
    listeners: tuple[Callable[[Event], None], ...] = ()
    observers: tuple[Callable[[CallRecord], None], ...] = ()
    lifetimes: tuple[Callable[["Service"], Any], ...] = ()
    plugins: Any = None
    catalog: Catalog = field(init=False)
    started: datetime = field(init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False, repr=False)

    async def __aenter__(self) -> "Service":
        self.started = self.clock()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.storage)
            await stack.enter_async_context(self.catalog)
            for lifetime in self.lifetimes:
                await stack.enter_async_context(lifetime(self))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def call(
        self,
        name: str,
        params: Sequence[Any] | Mapping[str, Any] | None = None,
        identity: Identity = ANONYMOUS,
        request_id: str | None = None,
    ) -> Any:
        """Call a method and return its result. The checks come in the order of section 2 of the specification.

        :param request_id: taken over into answers, logs and events; made up when None.
        :raises TMError: the call is refused or failed; it changed nothing.
        """
        request_id = request_id or uuid.uuid4().hex
        begin = time.perf_counter()
        outcome, reason = "ok", ""
        arguments: Mapping[str, Any] = {}
        method: Method | None = None
        now = self.clock()
        try:
            method = self.registry.get(name)
            rule = self.rules[name]
            _identify(method, rule, identity)
            arguments = method.load(params)
            _permit(method, rule, identity)
            call = Call(self, method, identity, request_id, now, logger)
            result = await method.handler(call, **arguments)
            if method.right and not call.authorised:
                raise RuntimeError(f"{name} did not check the right on its transformation")
        except TMError as error:
            outcome, reason = error.type, "; ".join([error.message, *getattr(error, "__notes__", ())])
            raise
        except asyncio.CancelledError:
            outcome, reason = "Cancelled", "the call was cancelled"
            raise
        except Exception as error:
            outcome, reason = InternalError.type, type(error).__name__
            logger.exception("%s failed", name, extra={"request_id": request_id})
            raise InternalError("Internal error") from error
        finally:
            record = CallRecord(
                method.name if method else name[:100],
                _target(arguments),
                identity,
                request_id,
                outcome,
                reason,
                time.perf_counter() - begin,
                method is not None and method.changes,
                now,
            )
            self.report(record)
        if method.changes and self.listeners:
            event = Event(name, record.target, arguments, result, identity, request_id, now)
            _tell(self.listeners, event)
        return result

    def report(self, record: CallRecord) -> None:
        """Tell the observers of a call, or of a request that was refused before any call (method ``""``)."""
        _tell(self.observers, record)


def _target(arguments: Mapping[str, Any]) -> int | str | None:
    """Return what a call is about: its transformation, else its path, else its first file and how many more."""
    for name in ("transName", "path"):
        if name in arguments:
            target: int | str = arguments[name]
            return target
    for name in ("lfns", "fileDicts", "files", "paths"):
        if names := list(arguments.get(name) or ()):
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return f"{names[0]}{more}"
    return None


def _identify(method: Method, rule: Rule, identity: Identity) -> None:
    if identity.refused is not None:
        raise Forbidden(identity.refused, needs=["membership of the group"])
    if rule != "all" and not identity.authenticated:
        reason = identity.reason or "unknown caller"
        raise Unauthenticated(f"{method.name} needs an identity: {reason}", reason=reason)


def _permit(method: Method, rule: Rule, identity: Identity) -> None:
    if isinstance(rule, tuple) and not identity.has_any(rule):
        raise Forbidden(f"{method.name} needs one of: {', '.join(rule)}", needs=list(rule))


def _tell(functions: Sequence[Callable[[Any], None]], message: Any) -> None:
    for function in functions:
        try:
            function(message)
        except Exception:
            # the call is over: a broken observer must not change its outcome
            logger.exception("%r failed", function)
