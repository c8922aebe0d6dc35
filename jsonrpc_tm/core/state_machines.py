"""State machines: which moves of a status are allowed, and what comes with them.

A machine is a table of moves; the first one that fits counts. The three below are the default ones (section 8.2 of the
specification); plugins replace them (hook ``register_state_machines``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

MachineKind = Literal["transformation", "file", "task"]
ANY_STATUS = "*"


@dataclass(frozen=True, slots=True)
class StatusMove:
    """A line of the table.

    :param old: the statuses that it begins at; ``*`` for all.
    :param new: the statuses that it leads to; ``*`` for all.
    :param allowed: whether it may be made.
    :param errors: what it adds to a file's ErrorCount.
    :param instead: the status that a file gets whose ErrorCount then is a positive multiple of the setting
        ``transformations.max_reset_count``; None: it never counts.
    """

    old: str | Sequence[str]
    new: str | Sequence[str]
    allowed: bool = True
    errors: int = 0
    instead: str | None = None

    def fits(self, old: str, new: str) -> bool:
        """Whether a move is one of this line's."""
        return _among(old, self.old) and _among(new, self.new)


def _among(status: str, statuses: str | Sequence[str]) -> bool:
    return statuses in (ANY_STATUS, status) or (not isinstance(statuses, str) and status in statuses)


class Moved(NamedTuple):
    """What becomes of a file that is asked to move.

    :param status: the one that it gets.
    :param errors: its new ErrorCount.
    """

    status: str
    errors: int


class StateMachine:
    """A table of moves. What no line fits is allowed, and nothing comes with it.

    :param kind: whose status.
    :param moves: the lines, the first that fits counts.
    """

    def __init__(self, kind: MachineKind, moves: Iterable[StatusMove]) -> None:
        self.kind = kind
        self.moves = tuple(moves)

    def _line(self, old: str, new: str) -> StatusMove:
        return next((line for line in self.moves if line.fits(old, new)), _FREE)

    def allows(self, old: str, new: str) -> bool:
        """Whether a status may become another; the one that is there already is no move."""
        return old == new or self._line(old, new).allowed

    def moved(self, old: str, new: str, errors: int, most: int, *, force: bool = False) -> Moved | None:
        """Return what becomes of a file, None when it may not move or would stay as it is. *old* and *new* differ.

        :param errors: its ErrorCount.
        :param most: ``transformations.max_reset_count``; 0: there is no such limit.
        :param force: makes every move, to no other status; errors are counted all the same.
        """
        line = self._line(old, new)
        counted = errors + line.errors
        if force:
            return Moved(new, counted)
        if not line.allowed:
            return None
        full = line.instead is not None and most > 0 and counted > 0 and counted % most == 0
        moved = Moved(line.instead if full and line.instead is not None else new, counted)
        return None if moved == (old, errors) else moved


_FREE = StatusMove(ANY_STATUS, ANY_STATUS)

FILES = StateMachine(
    "file",
    (
        StatusMove("Processed", ANY_STATUS, allowed=False),
        StatusMove("MaxReset", "Unused", allowed=False),
        StatusMove("Assigned", "Processed"),
        StatusMove("Assigned", "Unused", errors=1, instead="MaxReset"),
        StatusMove("Assigned", ANY_STATUS, errors=1),
        StatusMove(ANY_STATUS, "Unused", instead="MaxReset"),
    ),
)
TASKS = StateMachine("task", (StatusMove(("Done", "Deleted"), ANY_STATUS, allowed=False),))
_CLEANED = ("Cleaned", "TransformationCleaned")
TRANSFORMATIONS = StateMachine(
    "transformation",
    (
        StatusMove("Cleaning", (*_CLEANED, "Archived", "Deleted")),
        StatusMove(_CLEANED, ("Cleaning", "Archived", "Deleted")),
        StatusMove("Archived", ("Cleaning", "Deleted")),
        StatusMove(("Cleaning", *_CLEANED, "Archived", "Deleted"), ANY_STATUS, allowed=False),
    ),
)
DEFAULT_MACHINES: tuple[StateMachine, ...] = (FILES, TASKS, TRANSFORMATIONS)
