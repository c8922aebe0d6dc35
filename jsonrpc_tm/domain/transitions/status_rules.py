"""Plugins' rules on statuses, asked before a change is made; and the one statement that moves rows."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from ...core.errors import InvalidState
from ...storage.base import Parameters
from ..work import Work

StatusKind = Literal["transformation", "file", "task"]


class _Columns(NamedTuple):
    table: str
    status: str
    moved: str


_COLUMNS = {
    "file": _Columns("TransformationFiles", "Status", "LastUpdate"),
    "task": _Columns("TransformationTasks", "ExternalStatus", "LastUpdateTime"),
}


def ask(work: Work, kind: StatusKind, changes: Iterable[tuple[str | None, str]]) -> None:
    """Ask the rules on this kind of status about pairs of an old (None for a new row) and a new status.

    :raises InvalidState: a rule forbids one; the message is the rule's reason.
    """
    rules = [rule.check for rule in work.parts.status_rules if rule.kind == kind]
    for old, new in changes if rules else ():
        for allowed in rules:
            reason = allowed(old, new)
            if reason is not None:
                raise InvalidState(reason, old=old, new=new)


async def ask_rows(work: Work, kind: StatusKind, select: str, parameters: Parameters) -> None:
    """Like ``ask`` for rows of the database; without rules it costs nothing.

    :param select: the columns ``old`` and ``new``, and where they come from.
    :raises InvalidState: a rule forbids a change.
    """
    if any(rule.kind == kind for rule in work.parts.status_rules):
        rows = await work.tx.fetch_all(f"SELECT DISTINCT {select}", parameters)
        ask(work, kind, [(row["old"], row["new"]) for row in rows])


async def move(
    work: Work,
    kind: Literal["file", "task"],
    source: str,
    on: str,
    to: str,
    parameters: Parameters,
    assignments: Mapping[str, str] = {},
    target_first: bool = False,
) -> int:
    """Give the rows ``target`` that match a row ``source`` another status; return how many there were.

    :param source: a table, or a derived table of the dialect; each target matches at most one of its rows.
    :param on: condition over ``target`` and ``source``.
    :param to: the new status, an SQL expression over ``source``.
    :param assignments: further columns to set, as ``Dialect.update_join`` takes them.
    :param target_first: see there.
    :raises InvalidState: a rule forbids a change.
    """
    table, status, moved = _COLUMNS[kind]
    changes = f"target.{status} AS old, {to} AS new FROM {source} AS source JOIN {table} target ON {on}"
    await ask_rows(work, kind, changes, parameters)
    update = work.dialect.update_join(table, source, on, {status: to, **assignments, moved: ":now"}, target_first)
    return await work.tx.execute(update, {**parameters, "now": work.context.timestamp})
