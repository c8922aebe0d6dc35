"""What listeners are told of a committed transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

EVENT_TYPES = (
    "transformation.created",
    "transformation.status",
    "transformation.parameter",
    "transformation.cleaned",
    "transformation.deleted",
    "query.created",
    "query.deleted",
    "files.added",
    "files.status",
    "files.removed",
    "files.announced",
    "tasks.created",
    "tasks.status",
    "tasks.deleted",
)
"""What the core's events are called; those of plugins carry the plugin's prefix."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a committed transaction changed; one a call and type.

    :param type: one of ``EVENT_TYPES``, or a plugin's own word with its prefix.
    :param transformation: id; None where several are concerned, or none.
    :param data: ``count``, ``ids`` (the first 1,000), ``status`` …, as ``docs/plugins.md`` lists them.
    :param author: the caller's name.
    :param time: when the call began (UTC, aware).
    """

    type: str
    transformation: int | None
    data: Mapping[str, Any]
    author: str
    request_id: str
    time: datetime
