"""Plugins' rules on status changes, asked before a change is made."""

from collections.abc import Iterable
from typing import Literal

from ..core.errors import InvalidState
from ..rpc.call import Call
from ..storage.base import Parameters, Transaction

Kind = Literal["transformation", "file", "task"]


def check(call: Call, kind: Kind, changes: Iterable[tuple[str | None, str]]) -> None:
    """Ask the rules on this kind of status about pairs of an old (None for a new row) and a new status.

    :raises InvalidState: a rule forbids one; the message is the rule's reason.
    """
    rules = [rule.check for rule in call.service.status_rules if rule.kind == kind]
    for old, new in changes if rules else ():
        for allowed in rules:
            reason = allowed(old, new)
            if reason is not None:
                raise InvalidState(reason, old=old, new=new)


async def check_rows(tx: Transaction, call: Call, kind: Kind, select: str, parameters: Parameters) -> None:
    """Like ``check`` for rows of the database; without rules it costs nothing.

    :param select: FROM and all that follows, with the columns ``old`` and ``new`` before it.
    :raises InvalidState: a rule forbids a change.
    """
    if any(rule.kind == kind for rule in call.service.status_rules):
        rows = await tx.fetch_all(f"SELECT DISTINCT {select}", parameters)
        check(call, kind, [(row["old"], row["new"]) for row in rows])
