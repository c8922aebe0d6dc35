"""What the server tells plugins, and what plugins hand over: plain records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .identity import PEER, Identity


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed; sent after the commit.

    :param method: the method that changed it.
    :param target: the transformation, else the path or the first file named by the call; None where it names none.
    :param params: the call's parameters by name, as loaded.
    :param result: what the caller got.
    """

    method: str
    target: int | str | None
    params: Mapping[str, Any]
    result: Any
    identity: Identity
    request_id: str
    time: datetime


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call with its outcome, refused ones too.

    :param outcome: ``ok`` or the error's ``data.type``.
    :param reason: the error's message; empty for ``ok``.
    :param duration: seconds.
    :param changes: whether the method changes something (false for an unknown one).
    :param address: of the peer of the connection, which behind a balancer is the balancer; None without a network.
    """

    method: str
    target: int | str | None
    identity: Identity
    request_id: str
    outcome: str
    reason: str
    duration: float
    changes: bool
    time: datetime
    address: str | None = field(default_factory=PEER.get)


@dataclass(frozen=True, slots=True)
class StatusRule:
    """Restricts changes of a status.

    :param kind: whose status.
    :param check: given the old (None for a new row) and the new status, the reason why not; None when allowed.
    """

    kind: Literal["transformation", "file", "task"]
    check: Callable[[str | None, str], str | None]


@dataclass(frozen=True, slots=True)
class Route:
    """A further HTTP route.

    :param verb: HTTP method.
    :param path: absolute path.
    :param handler: aiohttp handler; ``request.app[jsonrpc_tm.http.server.SERVICE]`` is the service.
    """

    verb: str
    path: str
    handler: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a plugin's own tables.

    :param owner: the plugin; its migrations are numbered on their own.
    :param version: 1, 2, 3 …
    :param statements: SQL statements by engine (``sqlite``, ``mysql``).
    """

    owner: str
    version: int
    statements: Mapping[str, tuple[str, ...]]
