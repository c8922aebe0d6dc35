"""What is known of a call before it is looked at: made once, at the wire, and handed down."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from .clock import stored
from .identity import Identity


@dataclass(frozen=True, slots=True)
class Context:
    """One call, or one entry of a batch.

    :param identity: who calls.
    :param request_id: of the request, in answers, logs and events.
    :param now: when the call began (UTC, aware, whole seconds).
    :param peer: address of the peer of the connection, which behind a balancer is the balancer; None without a network.
    :param gone: says whether the caller has gone, so that nobody waits for what is read; None where nobody can tell.
    :param also: columns that a wire adds to rows of transformations; nobody else may ask for them.
    :param url: the address that was asked, as the caller wrote it; empty without a network.
    :param key: the header ``Idempotency-Key`` as it came.
    :param entry: index in a batch.
    :param replays: the framework's own: for each call of a request that has a key and changes something, whether it had
        been made before; all entries of a batch share it.
    """

    identity: Identity
    request_id: str
    now: datetime
    peer: str | None = None
    also: tuple[str, ...] = ()
    gone: Callable[[], bool] | None = None
    url: str = ""
    key: str | None = None
    entry: int | None = None
    replays: list[bool] = field(default_factory=list)

    @property
    def replayed(self) -> bool:
        """Whether all that the request would have changed had been changed by an earlier one (8.6)."""
        return bool(self.replays) and all(self.replays)

    @property
    def author(self) -> str:
        """The caller's name for log lines, events and new transformations."""
        return self.identity.username or "Unknown"

    @property
    def caller(self) -> str:
        """Who calls, for limits that each caller has of its own: the name, without one the address; "" without both."""
        return self.identity.username or (f"[{self.peer}]" if self.peer else "")

    @property
    def timestamp(self) -> str:
        """``now`` in the stored form."""
        return stored(self.now)
