"""Transformations: how they are born, change their status, and lose what they have."""

from collections.abc import Mapping
from typing import Any

from ...core.errors import Forbidden, InvalidState
from ...core.statuses import ACCEPTING_STATUSES
from ...storage.base import CHUNK, one_at_a_time
from .. import counters
from ..parameters import ABSENT, check_expected
from ..transformation_log import note
from ..work import Held, Work, changing
from .status_rules import ask, obey


async def create(work: Work, values: Mapping[str, Any]) -> Held:
    """Make a transformation with status New.

    :param values: by column of Transformations.
    :raises InvalidState: a plugin's rule forbids it.
    """
    ask(work, "transformation", [(None, "New")])
    columns = {**values, "Status": "New"}
    listed, bound = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    trans_id = await work.tx.insert(f"INSERT INTO Transformations ({listed}) VALUES ({bound})", columns)
    await work.tx.execute(
        "INSERT INTO TaskCounters (TransformationID, LastTaskID) VALUES (:trans, 0)", {"trans": trans_id}
    )
    made = work.hold_new(trans_id, columns)
    work.emit("transformation.created", made, name=made.name, kind=made.type)
    return made


def authorize(work: Work, to: str) -> None:
    """Refuse callers who may not set a transformation to a status (setting ``authorization.statuses``).

    ``move`` asks by itself; who can fail otherwise before it asks first, as the right comes before the state.

    :raises Forbidden: the caller has none of the properties.
    """
    if (needs := _needed(work, to)) is not None:
        raise Forbidden(f"To set the status {to} you need one of: {', '.join(needs)}", needs=list(needs))


_CLEARED = (
    "TransformationFileTasks",
    "TaskInputs",
    "TransformationTasks",
    "TransformationFiles",
    "TransformationMetaQueries",
)
_DELETED = ("AdditionalParameters", "TransformationLog", "Transformations")
_ROWS = "SELECT COUNT(*) FROM {table} WHERE TransformationID = :trans"
# not NOT EXISTS: MariaDB makes a list of all files of all others for that
_ONLY_HERE = (
    " FROM TransformationFiles f{by_key} LEFT JOIN TransformationFiles other{by_file}"
    " ON other.FileID = f.FileID AND other.TransformationID <> :trans"
    " WHERE f.TransformationID = :trans AND other.FileID IS NULL"
)
STEPS = {"start": ("Active", "Automatic"), "stop": ("Stopped", "Manual"), "flush": ("Flush", "Automatic")}
"""Status and AgentType that people set together."""
ENDED = ("Cleaning", "Cleaned", "TransformationCleaned", "Deleted", "Archived")
"""Statuses from which a transformation is not started, stopped or flushed again."""


async def step(work: Work, trans: Held, word: str, expected: Any = ABSENT) -> None:
    """Start, stop or flush a transformation: status and AgentType at once; logged.

    :param word: of ``STEPS``.
    :param expected: the status that it should have; ``ABSENT`` for whatever it has.
    :raises Forbidden: see ``authorize``.
    :raises Conflict: *expected* does not hold.
    :raises InvalidState: it has ended, or a plugin's rule forbids it.
    """
    to, agent = STEPS[word]
    authorize(work, to)
    await check_expected(work, trans, "Status", expected)
    if trans.status in ENDED:
        raise InvalidState(f"A transformation that is {trans.status} cannot be {to}", old=trans.status, new=to)
    await move(work, trans, to, agent=agent)


@changing
async def move(work: Work, trans: Held, to: str, *, agent: str | None = None, strict: bool = False) -> None:
    """Set a transformation's status, also to the same word again; logged.

    :param agent: the AgentType to set with it.
    :param strict: the state machine is asked, where the setting ``transformations.strict_statuses`` says so.
    :raises Forbidden: see ``authorize``.
    :raises InvalidState: a plugin's rule forbids it.
    """
    authorize(work, to)
    if strict:
        obey(work, "transformation", [(trans.status, to)])
    ask(work, "transformation", [(trans.status, to)])
    also = "" if agent is None else ", AgentType = :agent"
    await work.tx.execute(
        f"UPDATE Transformations SET Status = :to{also}, LastUpdate = :now WHERE TransformationID = :trans",
        {"to": to, "agent": agent, "now": work.context.timestamp, "trans": trans.id},
    )
    if (trans.status in ACCEPTING_STATUSES) != (to in ACCEPTING_STATUSES):
        work.requeried.add(trans.id)
    await note(work, trans, f"Status updated to {to}")
    if agent is not None:
        await note(work, trans, f"AgentType updated to {agent}")
    work.emit("transformation.status", trans, status=to, old=trans.status)
    if agent is not None:
        work.emit("transformation.parameter", trans, names=["AgentType"])


def may_set(work: Work, to: str) -> bool:
    """Whether ``authorize`` lets the caller set a transformation to a status."""
    return _needed(work, to) is None


def _needed(work: Work, to: str) -> tuple[str, ...] | None:
    """Return the properties of which the caller lacks all; None where it may."""
    needs: tuple[str, ...] | None = work.parts.settings["authorization.statuses"].get(to)
    return None if needs is None or work.context.identity.has_any(needs) else needs


async def clear(work: Work, trans: Held) -> dict[str, int]:
    """Take away files, their history, tasks and meta queries; files that no other transformation has are forgotten.

    :return: the number of rows gone, by table.
    """
    mine = {"trans": trans.id}
    totals = await counters.totals(work.tx, trans.id)
    only, number = await _only_here(work, trans)
    if number < sum(number for (kind, _), number in totals.items() if kind == "file"):
        # two that are cleaned at the same time would each leave what they share to the other
        await one_at_a_time(work.tx, "shared files")
        only, _ = await _only_here(work, trans)
    for (kind, status), number in totals.items():
        work.count(kind, trans.id, status, -number)
    for table in ("ObjectAttributes", "Leases"):
        await work.tx.execute(f"DELETE FROM {table} WHERE TransformationID = :trans", mine)
    gone = {
        table: await work.tx.execute(f"DELETE FROM {table} WHERE TransformationID = :trans", mine) for table in _CLEARED
    }
    if gone["TransformationMetaQueries"]:
        work.requeried.add(trans.id)
    forget = work.dialect.delete_unreferred("DataFiles", "ids")
    gone["DataFiles"] = sum([await work.tx.execute(forget, {"ids": packed}) for packed in only])
    return gone


async def _only_here(work: Work, trans: Held) -> tuple[list[str], int]:
    """Return the FileIDs that no other transformation has, as packed lists that the database makes; and their number.

    100,000 of them took MariaDB's clients 0.2 s of the event loop otherwise.
    """
    dialect = work.dialect
    only = _ONLY_HERE.format(by_key=dialect.by_key, by_file=dialect.by_file)
    some = f"SELECT f.FileID{only} AND f.FileID > :after ORDER BY f.FileID LIMIT {CHUNK}"
    sql = f"SELECT {dialect.packed('FileID')} AS packed, MAX(FileID) AS last, COUNT(*) AS number FROM ({some}) AS only"
    found: list[str] = []
    after = number = 0
    while (row := await work.tx.fetch_one(sql, {"trans": trans.id, "after": after})) and row["packed"] is not None:
        found.append(row["packed"])
        after = row["last"]
        number += row["number"]
    return found, number


async def would_clear(work: Work, trans: Held) -> dict[str, int]:
    """Return the number of rows that ``clear`` would take away, by table."""
    mine = {"trans": trans.id}
    gone = {table: await work.tx.fetch_value(_ROWS.format(table=table), mine) for table in _CLEARED}
    only = _ONLY_HERE.format(by_key=work.dialect.by_key, by_file=work.dialect.by_file)
    gone["DataFiles"] = await work.tx.fetch_value(f"SELECT COUNT(*){only}", mine)
    return gone


async def would_delete(work: Work, trans: Held) -> dict[str, int]:
    """Return the number of rows that ``delete`` would take away, by table."""
    mine = {"trans": trans.id}
    own = {table: await work.tx.fetch_value(_ROWS.format(table=table), mine) for table in _DELETED}
    return await would_clear(work, trans) | own


async def delete(work: Work, trans: Held) -> None:
    """Delete a transformation and everything of it, its log included."""
    await clear(work, trans)
    work.counts.clear()
    for table in (*counters.TABLES, "TaskCounters", *_DELETED):
        await work.tx.execute(f"DELETE FROM {table} WHERE TransformationID = :trans", {"trans": trans.id})
    work.emit("transformation.deleted", trans, name=trans.name)
