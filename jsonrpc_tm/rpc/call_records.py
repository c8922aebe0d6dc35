"""The record of a call."""

import time
from collections.abc import Mapping
from typing import Any

from ..core.context import Context
from ..core.cutting import shortened
from ..core.records import CallRecord
from .method import Method


def record_of(
    context: Context,
    method: Method | str,
    arguments: Mapping[str, Any],
    begin: float,
    outcome: str = "ok",
    reason: str = "",
) -> CallRecord:
    """Return what observers are told of a call.

    :param method: the name where there is no such method.
    :param begin: when the call began, by ``time.perf_counter``.
    """
    return CallRecord(
        method.name if isinstance(method, Method) else method,
        _target(arguments),
        context.identity,
        context.request_id,
        outcome,
        reason,
        time.perf_counter() - begin,
        isinstance(method, Method) and method.changes,
        context.now,
        context.peer,
    )


def _target(arguments: Mapping[str, Any]) -> int | str | None:
    """Return what a call is about: its transformation, else its path, else its first file and how many more; cut."""
    for name in ("transName", "path"):
        if name in arguments:
            target: int | str = arguments[name]
            return shortened(target) if isinstance(target, str) else target
    for name in ("lfns", "fileDicts", "files", "paths"):
        if names := arguments.get(name) or ():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return f"{shortened(str(next(iter(names))))}{more}"
    return None
