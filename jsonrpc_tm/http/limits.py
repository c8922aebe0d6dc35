"""How many calls a caller may make, how often somebody may show bad credentials, how much may be in flight.

Each process counts for itself.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic
from typing import IO, Any

from ..core.addresses import subscriber
from ..core.errors import Unavailable
from ..core.identity import Identity

MOST = 10_000
"""Most callers that are counted at a time."""


class TooMany(Exception):
    """A limit is reached.

    :param seconds: after which it is worth trying again, 1 or more.
    :param again: whether the same was refused already, and nothing admitted since: once is enough for records.
    """

    def __init__(self, message: str, seconds: int, again: bool) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.again = again


class Buckets:
    """Token buckets: each key may do *per_minute* things at once, and gets them back over a minute.

    :param per_minute: 0 for no limit.
    :param message: what who is refused is told, before the limit.
    """

    def __init__(self, per_minute: int, message: str, clock: Callable[[], float] = monotonic) -> None:
        self.size = per_minute
        self._rate = per_minute / 60
        self._message = message
        self._clock = clock
        # of those who did something: what is left, and when that was
        self.left: dict[object, tuple[float, float]] = {}
        # those of them that were refused since
        self._refused: set[object] = set()

    def resize(self, per_minute: int) -> None:
        """Allow *per_minute* from now on."""
        self.size, self._rate = per_minute, per_minute / 60

    def check(self, key: object) -> None:
        """Refuse when nothing is left for *key*.

        :raises TooMany: the limit is reached.
        """
        left = self._now(key)
        if self.size and left < 1:
            again = key in self._refused
            self._refused.add(key)
            raise TooMany(
                f"{self._message}: more than {self.size} a minute", max(1, math.ceil((1 - left) / self._rate)), again
            )

    def take(self, key: object, number: int = 1) -> None:
        """Count *number* things; what is taken beyond the limit has to be waited for."""
        if self.size and number:
            left = self._now(key) - number
            if key not in self.left and len(self.left) >= MOST:
                self._forget()
            self.left[key] = left, self._clock()
            self._refused.discard(key)

    def _now(self, key: object) -> float:
        left, when = self.left.get(key, (self.size, 0.0))
        return min(self.size, left + (self._clock() - when) * self._rate)

    def _forget(self) -> None:
        """Drop those who have everything back, else everybody: memory is bounded, whoever comes."""
        self.left = {key: value for key, value in self.left.items() if self._now(key) < self.size}
        if len(self.left) >= MOST:
            self.left.clear()
        self._refused.intersection_update(self.left)


class RateLimits:
    """The limits of a server: the settings ``calls_per_minute``, ``anonymous_calls`` and ``failures_per_minute``."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._calls = Buckets(settings["limits.calls_per_minute"], "too many calls")
        self._anonymous = Buckets(settings["limits.anonymous_calls"], "too many calls without credentials")
        self._failures = Buckets(settings["limits.failures_per_minute"], "too many bad credentials from this address")

    def renew(self, settings: Mapping[str, Any]) -> None:
        """Go by *settings* from now on; what was counted stays."""
        self._calls.resize(settings["limits.calls_per_minute"])
        self._anonymous.resize(settings["limits.anonymous_calls"])
        self._failures.resize(settings["limits.failures_per_minute"])

    def arrived(self, remote: str | None) -> None:
        """Refuse a request from an address that showed too many bad credentials.

        :raises TooMany: it did.
        """
        if self._failures.left:
            self._failures.check(_place(remote))

    def failed(self, remote: str | None) -> None:
        """Count bad credentials."""
        self._failures.take(_place(remote))

    def calls(self, identity: Identity, remote: str | None, number: int = 1) -> None:
        """Count calls; callers without a name are counted by address.

        :raises TooMany: the caller's limit was reached before these.
        """
        if identity.anonymous:
            key = _place(remote)
            self._anonymous.check(key)
            self._anonymous.take(key, number)
        else:
            key = identity.username or identity.dn or identity.subject
        if self._calls.size:
            self._calls.check(key)
            self._calls.take(key, number)


class Budget:
    """The bytes in flight of all callers: bodies that were read, decompressed, and answers that are not out yet; or
    those of them that wait on the disk.

    Callers without credentials have half of it together: whoever sends and reads slowly holds what is in flight, and
    the others must not wait for strangers.

    :param limit: the setting that has the most, 0 for any number.
    """

    def __init__(self, settings: Mapping[str, Any], limit: str = "limits.memory") -> None:
        self._settings = settings
        self._limit = limit
        # bodies are decompressed in threads
        self.lock = Lock()
        self.used = 0
        self.strangers = 0
        """What callers without credentials have of it."""

    def check(self, number: int, held: int, stranger: bool = False) -> None:
        """Refuse *number* bytes more for a request that holds some; alone it gets whatever it wants.

        :param stranger: whether its caller showed no credentials.
        :raises Unavailable: other requests have too many already.
        """
        limit: int = self._settings[self._limit]
        if limit and (
            (self.used + number > limit and self.used > held)
            or (stranger and self.strangers + number > limit // 2 and self.strangers > held)
        ):
            raise Unavailable(f"The server has too much in flight at the moment ({self._limit})")


class Share:
    """What one request has of a budget; ``with`` gives it back at the end.

    :param disk: the budget of what waits on the disk; None where nobody counts that.
    """

    stranger = False
    """Whether the caller showed no credentials; to be said before anything is taken."""

    def __init__(self, budget: Budget, disk: Budget | None = None) -> None:
        self.files: list[IO[bytes]] = []
        """What the answer is kept in until it is out; closed by whoever sends it."""
        self.disk = None if disk is None else Share(disk)
        self._budget = budget
        self._held = self._answers = 0
        self._lock = budget.lock

    def __enter__(self) -> "Share":
        return self

    def __exit__(self, *exc: object) -> None:
        self._count(-self._held)
        if self.disk is not None:
            self.disk.__exit__()

    def close_files(self) -> None:
        """Close all files; in a thread."""
        for file in self.files:
            with contextlib.suppress(OSError):  # the end of what found no room on the disk
                file.close()

    def take(self, number: int) -> None:
        """Take *number* bytes, which come.

        :raises Unavailable: see ``Budget.check``.
        """
        with self._lock:
            self._budget.check(number, self._held, self.stranger)
            self._add(number)

    def answer(self, number: int, needed: bool) -> None:
        """Take the *number* bytes of an answer, or of a part of it.

        :param needed: it is sent in any case.
        :raises Unavailable: see ``Budget.check``; it is not sent then.
        """
        if needed:
            self._count(number)
        else:
            self.take(number)
        self._answers += number

    def release(self, number: int) -> None:
        """Give back *number* bytes, which are out."""
        self._count(-number)

    def send(self, number: int) -> None:
        """Count the whole answer, *number* bytes; parts of it may have been taken before."""
        if number != self._answers:
            self._count(number - self._answers)

    def _count(self, number: int) -> None:
        with self._lock:
            self._add(number)

    def _add(self, number: int) -> None:
        self._held += number
        self._budget.used += number
        if self.stranger:
            self._budget.strangers += number


def _place(remote: str | None) -> str | None:
    return None if remote is None else subscriber(remote)
