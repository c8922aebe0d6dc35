"""Plugins' rules on statuses, asked before a change is made; the statements that move rows; and what is counted."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ...core.errors import InvalidState
from ...core.state_machines import MachineKind
from ...storage.base import Parameters
from ..counters import Counted
from ..work import Work


class _Columns(NamedTuple):
    table: str
    status: str
    moved: str


_COLUMNS = {
    "file": _Columns("TransformationFiles", "Status", "LastUpdate"),
    "task": _Columns("TransformationTasks", "ExternalStatus", "LastUpdateTime"),
}


def ask(work: Work, kind: MachineKind, changes: Iterable[tuple[str | None, str]]) -> None:
    """Ask the rules on this kind of status about pairs of an old (None for a new row) and a new status.

    :raises InvalidState: a rule forbids one; the message is the rule's reason.
    """
    rules = [rule.check for rule in work.parts.status_rules if rule.kind == kind]
    for old, new in changes if rules else ():
        for allowed in rules:
            reason = allowed(old, new)
            if reason is not None:
                raise InvalidState(reason, old=old, new=new)


def obey(work: Work, kind: MachineKind, changes: Iterable[tuple[str, str]]) -> None:
    """Refuse what the state machine forbids, where the setting ``transformations.strict_statuses`` says so.

    :param changes: pairs of an old and a new status.
    :raises InvalidState: one is forbidden.
    """
    if not work.parts.settings["transformations.strict_statuses"]:
        return
    for old, new in changes:
        if not work.parts.machines[kind].allows(old, new):
            raise InvalidState(f"A {kind} that is {old} may not become {new}", old=old, new=new)


async def move(
    work: Work,
    kind: Counted,
    source: str,
    on: str,
    to: str,
    parameters: Parameters,
    assignments: Mapping[str, str] = {},
    target_first: bool = False,
    by_key: bool = True,
    strict: bool = False,
    known: Mapping[tuple[int, str, str], int] | None = None,
) -> int:
    """Give the rows ``target`` that match a row ``source`` another status; return how many there were.

    The rules are asked, and the counters hear of it.

    :param source: a table, or a derived table of the dialect; each target matches at most one of its rows.
    :param on: condition over ``target`` and ``source``.
    :param to: the new status, an SQL expression over ``source``.
    :param assignments: further columns to set, as ``Dialect.update_join`` takes them.
    :param target_first: see there.
    :param by_key: the targets are found by their primary key. Along an index of statuses a row that somebody else
        moves meanwhile would be missed.
    :param strict: the state machine is asked too, see ``obey``.
    :param known: the numbers of rows by TransformationID, old and new status, where the caller has locked them all.
    :raises InvalidState: a rule, or the machine, forbids a change.
    """
    table, status, moved = _COLUMNS[kind]
    dialect = work.dialect
    by_key = by_key and not target_first
    if known is None:
        # locked, so that what is counted is what is moved: others may hold the same transformation
        tables = dialect.joined(table, source, target_first, by_key)
        rows = await work.tx.fetch_all(
            f"SELECT target.TransformationID AS holder, target.{status} AS former, {to} AS next, COUNT(*) AS number"
            f" FROM {tables} ON {on} GROUP BY holder, former, next{dialect.for_update}",
            parameters,
        )
        known = {(row["holder"], row["former"], row["next"]): row["number"] for row in rows}
    if not known:
        return 0
    changes = [(old, new) for _, old, new in known]
    if strict:
        obey(work, kind, changes)
    ask(work, kind, changes)
    for (holder, old, new), number in known.items():
        work.count(kind, holder, old, -number)
        work.count(kind, holder, new, number)
    # a task that becomes Created is nobody's; first, as MySQL assigns from left to right
    lease = {"Lease": f"CASE WHEN {to} = 'Created' THEN NULL ELSE target.Lease END"} if kind == "task" else {}
    assigned = {**lease, **assignments, status: to, moved: ":now"}
    update = dialect.update_join(table, source, on, assigned, target_first, by_key)
    # as many as were counted: all of them are locked
    await work.tx.soon(update, {**parameters, "now": work.context.timestamp})
    return sum(known.values())


async def bear(work: Work, kind: Counted, select: str, parameters: Parameters) -> None:
    """Ask the rules about rows that are about to be made, and let the counters hear of them.

    :param select: the columns ``trans`` and ``new`` of each, as a query.
    :raises InvalidState: a rule forbids it.
    """
    rows = await work.tx.fetch_all(
        f"SELECT trans, new, COUNT(*) AS number FROM ({select}) AS born GROUP BY trans, new", parameters
    )
    ask(work, kind, [(None, row["new"]) for row in rows])
    for row in rows:
        work.count(kind, row["trans"], row["new"], row["number"])
