"""How a transformation's files and tasks went on (section 8.3 of the specification)."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.identity import Transformation
from . import counters
from .counters import Counted
from .work import Work

_CHANGES = (
    "(SELECT Kind, Status, Minute, N FROM StatusHistory WHERE TransformationID = :trans AND Minute >= :first"
    " UNION ALL SELECT Kind, Status, Minute, N FROM StatusDeltas WHERE TransformationID = :trans AND Minute >= :first)"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def progress(
    work: Work, trans: Transformation, since: str | None, until: str | None, points: int
) -> dict[str, Any]:
    """Return the numbers of files and tasks by status at moments at which they had changed, oldest first.

    What changed within a minute, or within a longer time of those that make no more than *points*, is told together,
    as it was at its end. With *since* the first point is what there was then.

    :param since: a moment in the stored form, its seconds do not count; None for the beginning.
    :param until: the same; None for now.
    :param points: the most points, 1 or more.
    """
    now = counters.minute(work.context.now) + 1
    end = now if until is None else min(now, _minute(until))
    first = 0 if since is None else _minute(since)
    given = {"trans": trans.id, "first": first, "end": end}
    numbers: dict[tuple[Counted, str], int] = defaultdict(int, await counters.totals(work.tx, trans.id))
    oldest: int | None = await work.tx.fetch_value(f"SELECT MIN(Minute) FROM {_CHANGES} AS changes", given)
    start = first if since is not None else end if oldest is None else oldest
    if start >= end:
        return {"times": [], "files": {}, "tasks": {}}
    room = max(points - (since is not None), 1)
    # cut at multiples of its length, a span touches one piece more than fits into it
    length = 1 if end - start <= room else end if room == 1 else -(-(end - start) // (room - 1))
    changes: dict[int, list[tuple[tuple[Counted, str], int]]] = defaultdict(list)
    # what came after the end is one piece, so that the numbers can be reckoned back from those of now
    piece = f"CASE WHEN Minute >= :end THEN :end ELSE Minute - Minute % {length:d} END"
    for row in await work.tx.fetch_all(
        f"SELECT {piece} AS piece, Kind, Status, CAST(SUM(N) AS SIGNED) AS number FROM {_CHANGES} AS changes"
        " GROUP BY piece, Kind, Status HAVING SUM(N) <> 0",
        given,
    ):
        changes[int(row["piece"])].append(((row["Kind"], row["Status"]), row["number"]))
    for key, number in changes.pop(end, []):
        numbers[key] -= number
    times: list[int] = []
    states: list[dict[tuple[Counted, str], int]] = []
    for beginning in sorted(changes, reverse=True):
        times.append(min(beginning + length, end))
        states.append(dict(numbers))
        for key, number in changes[beginning]:
            numbers[key] -= number
    if since is not None and (points > 1 or not times):
        times.append(start)
        states.append(dict(numbers))
    # at a full minute, what changed in the minute that begins is told with what changed in the one before
    told = {_moment(work, minute): state for minute, state in zip(reversed(times), reversed(states), strict=True)}
    keys = sorted({key for state in told.values() for key, number in state.items() if number})
    return {
        "times": list(told),
        **{
            name: {
                status: [state.get((kind, status), 0) for state in told.values()] for of, status in keys if of == kind
            }
            for name, kind in (("files", "file"), ("tasks", "task"))
        },
    }


def _minute(stored: str) -> int:
    return counters.minute(datetime.fromisoformat(stored).replace(tzinfo=UTC))


def _moment(work: Work, minute: int) -> str:
    """Return the beginning of a minute as answers show it; no moment that is still to come."""
    return f"{min(_EPOCH + timedelta(minutes=minute), work.context.now):%Y-%m-%dT%H:%M:%SZ}"
