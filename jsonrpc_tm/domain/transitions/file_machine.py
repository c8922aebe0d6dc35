"""Files move as the state machine says: what is refused, what is counted, and what is put back."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.state_machines import Moved, StateMachine
from ...storage.base import Batch, chunks
from ...storage.dialect import PackedKind
from ..work import Held, Work
from .sources import prepared
from .status_rules import ask, move

_COLUMNS: dict[str, PackedKind] = {"Status": "word", "ErrorCount": "int"}


@dataclass(frozen=True, slots=True)
class FileMoves:
    """What became of files that were asked to move.

    :param moved: the new status by FileID.
    :param refused: the FileIDs of those that the machine lets not move.
    """

    moved: Mapping[int, str]
    refused: Sequence[int]


async def move_files(work: Work, trans: Held, wanted: Mapping[int, str], *, force: bool = False) -> FileMoves:
    """Move files, each as the state machine allows; errors are counted, and whoever has too many is MaxReset.

    A file that has its status already stays as it is. Files that are not in the transformation are in no answer.

    :param wanted: the status asked for, by FileID.
    :param force: no move is refused, and none leads to MaxReset instead.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    most: int = work.parts.settings["transformations.max_reset_count"]
    rows = await _lock(work, trans, wanted)
    machine = work.parts.machines["file"]
    changes, before, refused = await work.tx.aside(len(rows), _decide, machine, rows, wanted, most, force)
    await _write(work, trans, changes, before, _COLUMNS)
    moved = {file_id: status for file_id, status, _ in changes}
    _tell(work, trans, moved)
    return FileMoves(moved, refused)


def _decide(
    machine: StateMachine, rows: Batch, wanted: Mapping[int, str], most: int, force: bool
) -> tuple[list[tuple[int, str, int]], dict[int, str], list[int]]:
    """Return FileID, new status and ErrorCount of files that move, their old statuses by FileID, and who may not."""
    changes: list[tuple[int, str, int]] = []
    before: dict[int, str] = {}
    refused: list[int] = []
    known: dict[tuple[str, str, int], Moved | None] = {}
    for file_id, old, errors in rows:
        if old == (new := wanted[file_id]):
            continue
        if (key := (old, new, errors)) not in known:
            known[key] = machine.moved(old, new, errors, most, force=force)
        if (became := known[key]) is None:
            refused.append(file_id)
        else:
            changes.append((file_id, *became))
            before[file_id] = old
    return changes, before, refused


async def _lock(work: Work, trans: Held, file_ids: Iterable[int]) -> Batch:
    """Return FileID, Status and ErrorCount of files, locked in one order for all who hold the transformation."""
    dialect = work.dialect
    select = (
        f"SELECT f.FileID, f.Status, f.ErrorCount FROM {dialect.array('ids', 'int')} AS wanted {dialect.straight_join}"
        f" TransformationFiles f{dialect.by_key}"
        f" ON f.TransformationID = :trans AND f.FileID = wanted.value{dialect.for_update}"
    )
    rows: Batch = []
    for chunk in chunks(sorted(file_ids)):
        rows += await work.tx.fetch_rows(select, {"trans": trans.id, "ids": dialect.pack(chunk)})
    return rows


async def _write(
    work: Work,
    trans: Held,
    changes: Sequence[Sequence[Any]],
    before: Mapping[int, str],
    columns: Mapping[str, PackedKind],
) -> None:
    """Write columns of files that are locked, the status first.

    :param changes: a FileID, ascending, and a value for each column.
    :param before: their statuses by FileID.
    :raises InvalidState: a plugin's rule forbids a change; then none was written, for bulk operations go on after that.
    """
    ask(work, "file", ((before[file_id], status) for file_id, status, *_ in changes))
    for source in await prepared(work.tx, changes, locked=True, **columns):
        known = Counter((trans.id, before[file_id], status) for file_id, status, *_ in source.rows)
        on = f"target.TransformationID = :trans AND target.FileID {source.among}"
        others = dict(source.values)
        parameters = {"trans": trans.id, **source.parameters}
        await move(work, "file", source.sql, on, others.pop("Status"), parameters, others, known=known)


def _tell(work: Work, trans: Held, moved: Mapping[int, str]) -> None:
    if moved:
        told = dict(Counter(moved.values()))
        work.emit("files.status", trans, count=len(moved), ids=list(moved), status=told)


async def reset_errors(work: Work, trans: Held, file_ids: Sequence[int]) -> None:
    """Let files begin to count errors anew; those that are MaxReset become Unused.

    :raises InvalidState: a plugin's rule forbids a change.
    """
    if not file_ids:
        return
    dialect = work.dialect
    source = dialect.array("ids", "int")
    mine = "target.TransformationID = :trans AND target.FileID = source.value"
    freed = 0
    for chunk in chunks(sorted(file_ids)):
        parameters = {"trans": trans.id, "ids": dialect.pack(chunk)}
        # first what a rule may refuse: bulk operations go on after that
        freed += await move(work, "file", source, f"{mine} AND target.Status = 'MaxReset'", "'Unused'", parameters)
        anew = dialect.update_join("TransformationFiles", source, mine, {"ErrorCount": "0", "LastUpdate": ":now"})
        await work.tx.execute(anew, {**parameters, "now": work.context.timestamp})
    told = {"status": {"Unused": freed}} if freed else {}
    work.emit("files.status", trans, count=len(file_ids), ids=list(file_ids), **told)


async def put_back(work: Work, trans: Held, states: Mapping[int, Sequence[Any]]) -> None:
    """Give files a status, an ErrorCount and a TaskID back that they had before, whatever the machine says.

    :param states: these three by FileID.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    before = {file_id: status for file_id, status, _ in await _lock(work, trans, states)}
    rows = [(file_id, *states[file_id]) for file_id in before]
    await _write(work, trans, rows, before, {**_COLUMNS, "TaskID": "int"})
    _tell(work, trans, {file_id: status for file_id, (status, *_) in states.items()})
