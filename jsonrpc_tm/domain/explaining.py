"""Why nothing moves in a transformation: what is counted, and what that means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from ..core.errors import NotFound
from ..core.identity import Transformation
from ..core.statuses import ASSIGNABLE_STATUSES
from . import counters, queries
from .transitions.files import SEPARATOR
from .work import Work

Code = Literal[
    "status",
    "agent_manual",
    "no_files",
    "no_unused_files",
    "all_max_reset",
    "tasks_unclaimed",
    "leases_expired",
    "reserved_without_lease",
    "query_matches_nothing",
    "condition_never_holds",
    "unusable_names",
    "full",
    "nothing_wrong",
]
WORKING = ("Active", "Flush", "Completing")
"""Statuses in which agents make and submit tasks."""
_OVER = {"Processed", "Deleted", "Removed", "Moved"}
_LEASED = (
    "SELECT COUNT(*) AS reserved, SUM(CASE WHEN t.Lease IS NULL THEN 1 ELSE 0 END) AS unleased,"
    " SUM(CASE WHEN t.Lease IS NOT NULL AND (l.Lease IS NULL OR l.LeaseUntil <= :now OR l.Deadline <= :now)"
    " THEN 1 ELSE 0 END) AS expired FROM TransformationTasks t LEFT JOIN Leases l ON l.Lease = t.Lease"
    " WHERE t.TransformationID = :trans AND t.ExternalStatus = 'Reserved'"
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reason.

    :param text: for people.
    :param count: how many files or tasks it is about; 0 where it is about none.
    """

    code: Code
    text: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What a transformation has, and what its row says.

    :param query: its Input query; None without one.
    :param files: numbers by status, *tasks* likewise.
    :param most: MaxNumberOfTasks.
    :param makes_its_own: its type needs no files.
    """

    trans: Transformation
    agent: str
    most: int
    query: Mapping[str, Any] | None
    files: Mapping[str, int]
    tasks: Mapping[str, int]
    unusable: int
    unleased: int
    expired: int
    makes_its_own: bool


async def read(work: Work, trans_name: int | str) -> Facts:
    """Return the facts about a transformation.

    :raises NotFound: it does not exist, or reading it is not allowed.
    """
    trans = await work.seen(trans_name)
    mine = {"trans": trans.id}
    row = await work.tx.fetch_one(
        "SELECT AgentType, MaxNumberOfTasks FROM Transformations WHERE TransformationID = :trans", mine
    )
    assert row is not None
    try:
        query = await queries.load(work, trans, "Input")
    except (NotFound, orjson.JSONDecodeError):
        query = None
    totals = await counters.totals(work.tx, trans.id)
    tasks = {status: number for (kind, status), number in totals.items() if kind == "task"}
    leased: Mapping[str, Any] = {"unleased": 0, "expired": 0}
    if tasks.get("Reserved"):
        leased = await work.tx.fetch_one(_LEASED, {**mine, "now": work.context.timestamp}) or leased
    assignable = ", ".join(f"'{word}'" for word in ASSIGNABLE_STATUSES)
    unusable = await work.tx.fetch_value(
        "SELECT COUNT(*) FROM TransformationFiles f JOIN DataFiles d ON d.FileID = f.FileID"
        f" WHERE f.TransformationID = :trans AND f.Status IN ({assignable}) AND INSTR(d.LFN, :separator) > 0",
        {**mine, "separator": SEPARATOR},
    )
    return Facts(
        trans,
        row["AgentType"],
        row["MaxNumberOfTasks"],
        query,
        {status: number for (kind, status), number in totals.items() if kind == "file"},
        tasks,
        unusable,
        int(leased["unleased"] or 0),
        int(leased["expired"] or 0),
        trans.type.casefold() in {word.casefold() for word in work.parts.settings["transformations.extendable_types"]},
    )


def findings(facts: Facts) -> Iterator[Explanation]:
    """Yield the reasons that the database knows; none where nothing is wrong."""
    trans = facts.trans
    if trans.status not in WORKING:
        yield Explanation("status", f"It is {trans.status}: agents work on what is {', '.join(WORKING)}")
    if facts.agent == "Manual":
        yield Explanation("agent_manual", "Its AgentType is Manual: agents leave it to people")
    yield from _of_files(facts)
    if created := facts.tasks.get("Created"):
        yield Explanation("tasks_unclaimed", f"{created} task(s) wait for somebody who claims them", created)
    if facts.expired:
        yield Explanation(
            "leases_expired", f"{facts.expired} task(s) are Reserved by somebody who went away", facts.expired
        )
    if facts.unleased:
        text = f"{facts.unleased} task(s) are Reserved without a lease: they stay so until somebody says otherwise"
        yield Explanation("reserved_without_lease", text, facts.unleased)
    if facts.unusable:
        text = f"{facts.unusable} file(s) cannot go into a task: their names contain {SEPARATOR!r}"
        yield Explanation("unusable_names", text, facts.unusable)
    number = sum(facts.tasks.values())
    if 0 < facts.most <= number:
        yield Explanation("full", f"It has {number} tasks, and MaxNumberOfTasks is {facts.most}", number)


def _of_files(facts: Facts) -> Iterator[Explanation]:
    if facts.makes_its_own:
        return
    left = {status: number for status, number in facts.files.items() if status not in _OVER and "-" not in status}
    if not facts.files:
        yield Explanation("no_files", "It has no files")
    elif not any(left.get(word) for word in ASSIGNABLE_STATUSES):
        number = sum(facts.files.values())
        yield Explanation("no_unused_files", f"None of its {number} file(s) can go into a new task", number)
    if left and left.keys() == {"MaxReset"}:
        number = left["MaxReset"]
        yield Explanation(
            "all_max_reset", f"All {number} file(s) that are left have failed too often (MaxReset)", number
        )
