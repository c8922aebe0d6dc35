"""Places at a database's connections, shared out so that nobody's calls keep another's from theirs."""

import asyncio
from collections import OrderedDict, deque

from ..core.errors import StorageUnavailable


class Lanes:
    """A number of places for callers, who wait where there is none for them.

    A caller gets another place only as long as those it holds are less than a share of its own and the free ones
    together. So one caller alone fills half of the places (with a share of 0.5), the next one half of the rest, and
    somebody new finds one free. Callers that wait take turns.

    :param size: places.
    :param share: the share; 0 and 1 set no limit.
    :param wait: seconds that a caller waits.
    :param full: what it is told then.
    """

    def __init__(self, size: int, *, share: float = 0, wait: float, full: str) -> None:
        self.free = self._size = size
        self._share = share or 1
        self._wait = wait
        self._full = full
        self._held: dict[str, int] = {}
        # by caller, in the order in which they are served next
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._emptied = asyncio.Event()
        self._emptied.set()

    async def enter(self, caller: str = "") -> None:
        """Take a place.

        :param caller: who wants it; nobody in particular (``""``) has no limit.
        :raises StorageUnavailable: none came free in time, though the caller holds some or those who hold them do not
            only read.
        """
        if self._may(caller) and caller not in self._waiting:
            self._take(caller)
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._waiting.setdefault(caller, deque())
        queue.append(place)
        try:
            while not place.done():
                await asyncio.wait([place], timeout=self._wait)
                # what others read ends at the limit of a statement; nobody is sent away because of it
                if not place.done() and (self._share == 1 or self._held.get(caller)):
                    raise StorageUnavailable(self._full)
        except BaseException:
            if place.done():
                self.leave(caller)
            else:
                queue.remove(place)
                if not queue:
                    self._waiting.pop(caller, None)
            raise

    def leave(self, caller: str = "") -> None:
        """Give a place back."""
        self.free += 1
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]
        while self.free and (following := next(filter(self._may, self._waiting), None)) is not None:
            queue = self._waiting[following]
            place = queue.popleft()
            if queue:
                self._waiting.move_to_end(following)
            else:
                del self._waiting[following]
            self._take(following)
            place.set_result(None)
        if self.free == self._size:
            self._emptied.set()

    async def empty(self) -> None:
        """Return when nobody holds a place."""
        await self._emptied.wait()

    def _may(self, caller: str) -> bool:
        held = self._held.get(caller, 0) if caller else 0
        return self.free > 0 and held < self._share * (held + self.free)

    def _take(self, caller: str) -> None:
        self.free -= 1
        self._emptied.clear()
        self._held[caller] = self._held.get(caller, 0) + 1
