"""Places at a database's connections, shared out so that nobody's calls keep another's from theirs."""

import asyncio
from collections import OrderedDict, deque
from typing import Generic, TypeVar

from ..core.errors import StorageUnavailable

T = TypeVar("T")


class Turns(Generic[T]):
    """Whose turn it is: what callers want done waits here until there is a place for it.

    A caller gets another place only as long as those it holds are less than a share of its own and the free ones
    together. So one caller alone fills half of the places (with a share of 0.5), the next one half of the rest, and
    somebody new finds one free. Callers that wait take turns.

    :param size: places.
    :param share: the share; 0 and 1 set no limit.
    """

    def __init__(self, size: int, share: float = 0) -> None:
        self.free = size
        self.held: dict[str, int] = {}
        """Places by caller."""
        # by caller, in the order in which they are served next
        self.waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self.share = share or 1

    def may(self, caller: str) -> bool:
        """Whether a caller may have another place now; nobody in particular (``""``) has no limit."""
        held = self.held.get(caller, 0) if caller else 0
        return self.free > 0 and held < self.share * (held + self.free)

    def enter(self, caller: str) -> None:
        """Take a place."""
        self.free -= 1
        self.held[caller] = self.held.get(caller, 0) + 1

    def leave(self, caller: str) -> None:
        """Give a place back."""
        self.free += 1
        self.held[caller] -= 1
        if not self.held[caller]:
            del self.held[caller]

    def add(self, caller: str, item: T) -> None:
        """Let something wait for a place."""
        self.waiting.setdefault(caller, deque()).append(item)

    def remove(self, caller: str, item: T) -> None:
        """Let it wait no more."""
        queue = self.waiting[caller]
        queue.remove(item)
        if not queue:
            del self.waiting[caller]

    def next(self) -> str | None:
        """Return the caller whose turn it is; None where nothing waits that may have a place."""
        return next(filter(self.may, self.waiting), None) if self.free else None

    def take(self) -> tuple[str, T] | None:
        """Take a place for what comes next, and return it and its caller."""
        if (caller := self.next()) is None:
            return None
        queue = self.waiting[caller]
        item = queue.popleft()
        if queue:
            self.waiting.move_to_end(caller)
        else:
            del self.waiting[caller]
        self.enter(caller)
        return caller, item


class Lanes:
    """A number of places for callers, who wait where there is none for them; see ``Turns``.

    :param size: places.
    :param share: the share of one caller.
    :param wait: seconds that a caller waits.
    :param full: what it is told then.
    """

    def __init__(self, size: int, *, share: float = 0, wait: float, full: str) -> None:
        self._size = size
        self._wait = wait
        self._full = full
        self.turns: Turns[asyncio.Future[None]] = Turns(size, share)
        self._emptied = asyncio.Event()
        self._emptied.set()

    @property
    def free(self) -> int:
        """How many places nobody holds."""
        return self.turns.free

    def at_once(self, caller: str) -> bool:
        """Whether *caller* gets a place now."""
        return caller not in self.turns.waiting and self.turns.may(caller)

    async def enter(self, caller: str = "") -> None:
        """Take a place.

        :param caller: who wants it; nobody in particular (``""``) has no limit.
        :raises StorageUnavailable: none came free in time, though the caller holds some or those who hold them do not
            only read.
        """
        turns = self.turns
        self._emptied.clear()
        if self.at_once(caller):
            turns.enter(caller)
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turns.add(caller, place)
        try:
            while not place.done():
                await asyncio.wait([place], timeout=self._wait)
                # what others read ends at the limit of a statement; nobody is sent away because of it
                if not place.done() and (turns.share == 1 or turns.held.get(caller)):
                    raise StorageUnavailable(self._full)
        except BaseException:
            if place.done():
                self.leave(caller)
            else:
                turns.remove(caller, place)
            raise

    def leave(self, caller: str = "") -> None:
        """Give a place back."""
        self.turns.leave(caller)
        while (following := self.turns.take()) is not None:
            following[1].set_result(None)
        if self.free == self._size:
            self._emptied.set()

    async def empty(self) -> None:
        """Return when nobody holds a place."""
        await self._emptied.wait()
