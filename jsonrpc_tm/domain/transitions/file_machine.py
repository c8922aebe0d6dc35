"""Files move as the state machine says: what is refused, what is counted, and what is put back."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.state_machines import Moved
from ...storage.base import chunks
from ..work import Held, Work
from .status_rules import move

_ON = "target.TransformationID = :trans AND target.FileID = source.FileID"
_CHANGES = {"FileID": "int", "Status": "text", "Errors": "int"}


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
    dialect, machine = work.dialect, work.parts.machines["file"]
    most: int = work.parts.settings["transformations.max_reset_count"]
    source = dialect.array("ids", "int")
    select = (
        f"SELECT f.FileID, f.Status, f.ErrorCount FROM {source} AS wanted {dialect.straight_join}"
        f" TransformationFiles f{dialect.by_key}"
        f" ON f.TransformationID = :trans AND f.FileID = wanted.value{dialect.for_update}"
    )
    moved: dict[int, str] = {}
    refused: list[int] = []
    # in one order for all who hold the transformation at the same time
    for chunk in chunks(sorted(wanted)):
        rows = await work.tx.fetch_all(select, {"trans": trans.id, "ids": dialect.pack(chunk)})
        known: dict[tuple[str, str, int], Moved | None] = {}
        changes: list[list[Any]] = []
        numbers: Counter[tuple[int, str, str]] = Counter()
        for row in rows:
            file_id, old, errors = row.values()
            if old == (new := wanted[file_id]):
                continue
            if (key := (old, new, errors)) not in known:
                known[key] = machine.moved(old, new, errors, most, force=force)
            if (became := known[key]) is None:
                refused.append(file_id)
            else:
                changes.append([file_id, *became])
                numbers[trans.id, old, became.status] += 1
                moved[file_id] = became.status
        await _write(work, trans, changes, known=numbers)
    _tell(work, trans, moved)
    return FileMoves(moved, refused)


async def _write(
    work: Work,
    trans: Held,
    changes: Sequence[Sequence[Any]],
    task: bool = False,
    known: Mapping[tuple[int, str, str], int] | None = None,
) -> None:
    """Write status and ErrorCount of files, and the TaskID too; *known* as for ``move``."""
    if not changes:
        return
    columns: dict[str, Any] = {**_CHANGES, "Task": "int"} if task else _CHANGES
    counted = {"ErrorCount": "source.Errors", "TaskID": "source.Task"} if task else {"ErrorCount": "source.Errors"}
    parameters = {"trans": trans.id, "changes": work.dialect.pack(changes)}
    source = work.dialect.records("changes", **columns)
    await move(work, "file", source, _ON, "source.Status", parameters, counted, known=known)


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
        await work.tx.execute(dialect.update_join("TransformationFiles", source, mine, {"ErrorCount": "0"}), parameters)
    told = {"status": {"Unused": freed}} if freed else {}
    work.emit("files.status", trans, count=len(file_ids), ids=list(file_ids), **told)


async def put_back(work: Work, trans: Held, states: Mapping[int, Sequence[Any]]) -> None:
    """Give files a status, an ErrorCount and a TaskID back that they had before, whatever the machine says.

    :param states: these three by FileID.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    for chunk in chunks(sorted(states)):
        await _write(work, trans, [[file_id, *states[file_id]] for file_id in chunk], task=True)
    _tell(work, trans, {file_id: status for file_id, (status, *_) in states.items()})
