"""Calls that only read end when nobody waits for their answer any more."""

import asyncio
from types import TracebackType
from typing import Any, ClassVar

from ..core.context import Context
from ..core.errors import InternalError

LOOK_SECONDS = 0.2
"""How often it is looked for the callers of what takes long."""


class Unattended(InternalError):
    """The caller went away while its answer was made."""

    type: ClassVar[str] = "Cancelled"


class Attendance:
    """Looks from time to time whether the callers of running calls are still there; one timer serves all of them."""

    def __init__(self) -> None:
        self.present: set[Attended] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: "Attended") -> None:
        """Look for the caller of *call* from now on, until it is taken out of ``present``."""
        self.present.add(call)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        for call in [call for call in self.present if call.gone()]:
            self.present.discard(call)
            call.end()
        if self.present:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)


class Attended:
    """A block that ends when the caller of *context* goes away; what it only waits for, such as a change, goes on.

    Leaving it then raises ``Unattended``: further entries of the caller's batch, which may change something, go on.
    """

    __slots__ = ("_attendance", "_left", "_task", "gone")

    def __init__(self, attendance: Attendance, context: Context) -> None:
        self.gone: Any = context.gone
        self._attendance = attendance
        self._left = False

    def __enter__(self) -> None:
        if self.gone is not None:
            self._task = asyncio.current_task()
            self._attendance.add(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.gone is None:
            return
        self._attendance.present.discard(self)
        # somebody else may have cancelled the task as well
        if self._left and self._task is not None and not self._task.uncancel() and kind is asyncio.CancelledError:
            raise Unattended("The caller has gone") from None

    def end(self) -> None:
        """Cancel what the block awaits."""
        self._left = True
        if self._task is not None:
            self._task.cancel()
