"""What is known of a call before it is looked at: made once, at the wire, and handed down."""

from dataclasses import dataclass
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
    :param also: columns that a wire adds to rows of transformations; nobody else may ask for them.
    """

    identity: Identity
    request_id: str
    now: datetime
    peer: str | None = None
    also: tuple[str, ...] = ()

    @property
    def author(self) -> str:
        """The caller's name for log lines, events and new transformations."""
        return self.identity.username or "Unknown"

    @property
    def timestamp(self) -> str:
        """``now`` in the stored form."""
        return stored(self.now)
