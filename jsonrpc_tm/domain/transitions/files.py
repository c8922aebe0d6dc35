"""Files of transformations: how they come, change their status and go."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ...core.errors import InvalidState
from ...core.model import INHERITED_TASK_FACTOR as FACTOR
from ...core.model import TRANSFORMATION_FILES
from ...core.statuses import ASSIGNABLE_STATUSES, ENDED_TASK_STATES
from ...storage.base import Row, chunks
from ...storage.dialect import PackedKind
from ...storage.inserts import insert
from .. import names
from ..missing import not_there
from ..work import Held, Work, changing
from .sources import prepared
from .status_rules import ask, bear, move

SUFFIX = "-inherited"
SEPARATOR = ";"
"""Stands between the names in a task's InputVector."""
SLICE = 10_000
"""Rows that are got ready at a time: some 10 ms of the event loop on MariaDB, and others go on while it writes them."""
_STATUS_LENGTH = TRANSFORMATION_FILES.columns["Status"].length
_ENDED = ", ".join(f"'{state}'" for state in ENDED_TASK_STATES)
# who bears files holds the transformation alone, and has read under this lock which ones are there
_BEAR = "INSERT INTO TransformationFiles (TransformationID, FileID, Status, LastUpdate, InsertedTime)"
_BORN = "'Unused', :now, :now"
# removed files are not inherited
_PARENTS = "FROM TransformationFiles WHERE TransformationID = :parent AND Status <> 'Removed'"
_HISTORY: Mapping[str, PackedKind] = {"FileID": "int", "TaskID": "int"}
_KEPT = "INSTR(Status, '-') > 0"


@changing
async def add_named(work: Work, trans: Held, lfns: Collection[str]) -> dict[str, str]:
    """Make files files of a transformation and return what happened to each: ``Added`` or ``Present``.

    Unknown LFNs become DataFiles, their FileIDs in the order of *lfns*. A file that is there as Deleted stays so: only
    the catalog brings it back, see ``announce``.

    :raises InvalidState: a plugin's rule forbids it.
    """
    given = await work.tx.aside(len(lfns), _once, lfns)
    joined = " LEFT JOIN TransformationFiles f ON f.TransformationID = :trans AND f.FileID = d.FileID"
    known = await names.by_name(work, given, "d.LFN, d.FileID, f.Status", joined, {"trans": trans.id})
    ids, present, new = await work.tx.aside(len(given), _tell_apart, given, known)
    if new:
        ids |= await register(work, new)
    added, outcome = await work.tx.aside(len(given), _outcome, given, ids, present)
    if added:
        ask(work, "file", [(None, "Unused")])
        insert = f"{_BEAR} SELECT :trans, value, {_BORN} FROM {work.dialect.array('ids', 'int')} AS added"
        # in one order for all: a foreign key locks the file
        for chunk in chunks(sorted(added)):
            parameters = {"trans": trans.id, "ids": work.dialect.pack(chunk), "now": work.context.timestamp}
            await work.tx.execute(insert, parameters)
        work.count("file", trans.id, "Unused", len(added))
        work.emit("files.added", trans, count=len(added), ids=added)
    return outcome


def _once(lfns: Iterable[str]) -> list[str]:
    # by a generator: a step of C, 0.14 s for 500,000 names, would keep other threads waiting
    return list(dict.fromkeys(lfn for lfn in lfns))


def _tell_apart(given: Sequence[str], known: Sequence[Row]) -> tuple[dict[str, int], set[str], list[str]]:
    """Return the FileIDs of known names, which of them are in the transformation, and the names that nobody knows."""
    ids = {row["LFN"]: row["FileID"] for row in known}
    present = {row["LFN"] for row in known if row["Status"] is not None}
    return ids, present, [lfn for lfn in given if lfn not in ids]


def _outcome(given: Sequence[str], ids: Mapping[str, int], present: set[str]) -> tuple[list[int], dict[str, str]]:
    """Return the FileIDs of those that are not in the transformation, and what happens to each name."""
    added = [ids[lfn] for lfn in given if lfn not in present]
    return added, {lfn: "Present" if lfn in present else "Added" for lfn in given}


async def register(work: Work, lfns: Sequence[str]) -> dict[str, int]:
    """Make names that nobody knows DataFiles, their FileIDs in the given order; return the FileIDs.

    :param lfns: unknown to this transaction, none twice.
    :raises InvalidParams: a name is not as ``files.pattern`` wants it.
    """
    await names.refuse_unfit(work, lfns)
    ids: dict[str, int] = {}
    for chunk in chunks(lfns):
        made = await work.tx.insert_texts("DataFiles", "LFN", chunk, {"Status": "New"}, "FileID")
        ids.update(zip(chunk, made, strict=True))
    return ids


async def announce(work: Work, wanted: Collection[tuple[Held, Collection[int]]]) -> list[dict[str, Any]]:
    """Give announced files to the transformations that want them; those that were Deleted there begin anew.

    The history keeps the tasks in which these were.

    :param wanted: transformations, each with the FileIDs that it wants.
    :return: those that were in a task which has not ended: TransformationID, TaskID and FileID.
    :raises InvalidState: a plugin's rule forbids it.
    """
    source = work.dialect.records("pairs", trans="int", file="int")
    on = "target.TransformationID = source.trans AND target.FileID = source.file"
    there = (
        "SELECT target.TransformationID, target.TaskID, target.FileID, target.Status"
        f" FROM {source} AS source {work.dialect.straight_join} TransformationFiles target ON {on}"
    )
    insert = f"{_BEAR} SELECT trans, file, {_BORN} FROM {source} AS pairs"
    anew = {"ErrorCount": "0", "TaskID": "NULL", "UsedSE": "'Unknown'"}
    out_of_tasks: list[dict[str, Any]] = []
    size = sum(len(file_ids) for _, file_ids in wanted)
    every = await work.tx.aside(
        size, lambda: [(trans.id, file_id) for trans, file_ids in wanted for file_id in sorted(file_ids)]
    )
    for chunk in chunks(every):
        rows = await work.tx.fetch_all(there, {"pairs": work.dialect.pack(chunk)})
        present = {(row["TransformationID"], row["FileID"]) for row in rows}
        if born := [pair for pair in chunk if pair not in present]:
            ask(work, "file", [(None, "Unused")])
            await work.tx.execute(insert, {"pairs": work.dialect.pack(born), "now": work.context.timestamp})
            for trans_id, number in Counter(trans_id for trans_id, _ in born).items():
                work.count("file", trans_id, "Unused", number)
        if removed := [row for row in rows if row["Status"] == "Deleted"]:
            pairs = work.dialect.pack([[row["TransformationID"], row["FileID"]] for row in removed])
            await move(work, "file", source, on, "'Unused'", {"pairs": pairs}, anew)
            out_of_tasks += await _in_running_tasks(work, [row for row in removed if row["TaskID"] is not None])
    return out_of_tasks


async def _in_running_tasks(work: Work, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows whose task has not ended; an inherited file's task is its parent's."""
    own = {(row["TransformationID"], row["TaskID"]) for row in rows}
    tasks = sorted(own | {divmod(task_id, FACTOR) for _, task_id in own if task_id >= FACTOR})
    sql = (
        f"SELECT t.TransformationID, t.TaskID FROM {work.dialect.records('tasks', trans='int', task='int')} AS wanted"
        f" {work.dialect.straight_join} TransformationTasks t"
        " ON t.TransformationID = wanted.trans AND t.TaskID = wanted.task"
        f" WHERE t.ExternalStatus NOT IN ({_ENDED})"
    )
    running: set[tuple[int, int]] = set()
    for chunk in chunks(tasks):
        found = await work.tx.fetch_all(sql, {"tasks": work.dialect.pack([list(task) for task in chunk])})
        running.update((task["TransformationID"], task["TaskID"]) for task in found)
    return [
        {name: row[name] for name in ("TransformationID", "TaskID", "FileID")}
        for row in rows
        if (row["TransformationID"], row["TaskID"]) in running or divmod(row["TaskID"], FACTOR) in running
    ]


async def revive(work: Work, file_ids: Sequence[int]) -> None:
    """Let files that were removed be New again in DataFiles: the catalog says that they are there."""
    update = work.dialect.update_join(
        "DataFiles", work.dialect.array("ids", "int"), "target.FileID = source.value", {"Status": "'New'"}
    )
    for chunk in chunks(file_ids):
        await work.tx.execute(update, {"ids": work.dialect.pack(chunk)})


async def remove(work: Work, having: Sequence[Held], file_ids: Sequence[int]) -> None:
    """Mark files as Deleted in DataFiles and in every transformation that has them.

    :param having: the transformations that have them.
    :param file_ids: of files that this transaction has locked.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    source, on = work.dialect.array("ids", "int"), "target.FileID = source.value"
    update = work.dialect.update_join("DataFiles", source, on, {"Status": "'Deleted'"})
    for chunk in chunks(file_ids):
        parameters = {"ids": work.dialect.pack(chunk)}
        await move(work, "file", source, on, "'Deleted'", parameters, by_key=False)
        await work.tx.execute(update, parameters)


@changing
async def report(work: Work, trans: Held, changes: Mapping[int, tuple[str, int]]) -> None:
    """Set the status of files, all or none.

    :param changes: by FileID, the new status and what is added to ErrorCount.
    :raises NotFound: files that are not in the transformation; ``data.missing`` lists them.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    # in one order for all who hold the transformation at the same time
    for part in chunks(sorted(changes), SLICE):
        rows = [(file_id, *changes[file_id]) for file_id in part]
        for source in await prepared(work.tx, rows, Status="word", Errors="int"):
            on = f"target.TransformationID = :trans AND target.FileID {source.among}"
            parameters = {"trans": trans.id, **source.parameters}
            counted = {"ErrorCount": f"target.ErrorCount + {source.values['Errors']}"}
            to = source.values["Status"]
            if await move(work, "file", source.sql, on, to, parameters, counted, strict=True) != len(source.rows):
                raise await not_there(work, trans, TRANSFORMATION_FILES, "file", list(changes))
    if changes:
        told = dict(Counter(status for status, _ in changes.values()))
        work.emit("files.status", trans, count=len(changes), ids=list(changes), status=told)


async def assignable(work: Work, trans: Held, lfns: Sequence[str], more: str = "") -> list[Row]:
    """Lock files of a transformation that may go into a new task; return FileID and Status of each, and *more*.

    A name with ``;`` may not: it would be two in the task's InputVector.

    :param lfns: none twice.
    :param more: an SQL expression and its name, which is to be found out on the way; ``:trans`` is the transformation.
    :raises InvalidState: some may not; ``data.files`` says why for each.
    """
    rows: list[Row] = []
    wrong: dict[str, str] = {}
    for part in chunks(lfns, SLICE):
        found = {row["LFN"]: row for row in await names.lock_by_name(work, trans, part, more)}
        for lfn in part:
            if lfn not in found:
                wrong[lfn] = "not in the transformation"
            elif found[lfn]["Status"] not in ASSIGNABLE_STATUSES:
                wrong[lfn] = found[lfn]["Status"]
            elif SEPARATOR in lfn:
                wrong[lfn] = f"not usable in a task: its name contains {SEPARATOR!r}"
            else:
                rows.append(found[lfn])
    if wrong:
        first = "; ".join(f"{lfn} is {state}" for lfn, state in list(wrong.items())[:10])
        raise InvalidState(f"{len(wrong)} of {len(lfns)} file(s) cannot be assigned: {first}", files=wrong)
    return rows


async def assign(work: Work, trans: Held, given: Sequence[tuple[int, int, str, str]]) -> None:
    """Give files, which are locked and assignable, to tasks and write the history.

    :param given: FileID, TaskID, the storage element that becomes the file's UsedSE, and the status; no file twice.
    :raises InvalidState: a plugin's rule forbids it.
    """
    own = {"TransformationID": ":trans"}
    for part in chunks(given, SLICE):
        rows, before, history = await work.tx.aside(len(part), _in_order, part)
        for source in await prepared(work.tx, rows, locked=True, TaskID="int", UsedSE="word"):
            on = f"target.TransformationID = :trans AND target.FileID {source.among}"
            known = await work.tx.aside(len(source.rows), _moves, trans.id, before, source.rows)
            parameters = {"trans": trans.id, **source.parameters}
            await move(work, "file", source.sql, on, "'Assigned'", parameters, source.values, known=known)
        await insert(work.tx.soon, work.dialect, "TransformationFileTasks", _HISTORY, history, own, {"trans": trans.id})
    if given:
        ids = await work.tx.aside(len(given), lambda: sorted(file_id for file_id, *_ in given))
        work.emit("files.status", trans, count=len(ids), ids=ids, status={"Assigned": len(ids)})


def _in_order(
    given: Sequence[tuple[int, int, str, str]],
) -> tuple[list[tuple[int, int, str]], dict[int, str], list[tuple[int, int]]]:
    """Return FileID, TaskID and UsedSE, the statuses by FileID, and FileID and TaskID, in the order of FileIDs."""
    rows = sorted(given)
    return [row[:3] for row in rows], {row[0]: row[3] for row in rows}, [row[:2] for row in rows]


def _moves(trans_id: int, before: Mapping[int, str], rows: Iterable[Sequence[Any]]) -> dict[tuple[int, str, str], int]:
    """Count the files that become Assigned, by what they were."""
    return Counter((trans_id, before[file_id], "Assigned") for file_id, *_ in rows)


async def free(work: Work, trans: Held, tasks: str, bounds: Mapping[str, int]) -> None:
    """Make the files of tasks Unused, with no task and UsedSE Unknown; the history of these tasks goes.

    An inherited file's TaskID is its parent's task: only this transformation's own tasks count.

    :param tasks: condition over TransformationID and TaskID that picks the tasks.
    :param bounds: its parameters.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    own = f"(SELECT TaskID FROM TransformationTasks WHERE {tasks})"
    on = "target.TransformationID = :trans AND target.TaskID = source.TaskID"
    anew = {"TaskID": "NULL", "UsedSE": "'Unknown'"}
    # no index has a file's task: were the tasks read first, each of them would have all files read
    freed = await move(work, "file", own, on, "'Unused'", bounds, anew, target_first=True)
    await work.tx.execute(f"DELETE FROM TransformationFileTasks WHERE {tasks}", bounds)
    if freed:
        work.emit("files.status", trans, count=freed, status={"Unused": freed})


async def inherit(work: Work, parent: Held, child: Held) -> None:
    """Copy a parent's files to its new child (section 6.6 of the specification).

    A file's status gets ``-inherited`` and its TaskID the parent's id in front, unless it was inherited itself.

    :raises InvalidState: a status would become longer than its column, or a plugin's rule forbids it.
    """
    dialect = work.dialect
    inherited = dialect.concat("Status", f"'{SUFFIX}'")
    status = f"CASE WHEN {_KEPT} THEN Status ELSE {inherited} END"
    parameters = {"child": child.id, "parent": parent.id, "now": work.context.timestamp}
    too_long = await work.tx.fetch_value(
        f"SELECT Status {_PARENTS} AND {dialect.characters(status)} > {_STATUS_LENGTH} LIMIT 1", parameters
    )
    if too_long is not None:
        raise InvalidState(f"Files with status {too_long!r} cannot be inherited: {too_long + SUFFIX!r} is too long")
    await bear(work, "file", f"SELECT :child AS trans, {status} AS new {_PARENTS}", parameters)
    task_id = f"CASE WHEN {_KEPT} OR TaskID >= {FACTOR} THEN TaskID ELSE :parent * {FACTOR} + TaskID END"
    copied = await work.tx.execute(
        "INSERT INTO TransformationFiles (TransformationID, FileID, Status, ErrorCount, TaskID, TargetSE, UsedSE,"
        f" LastUpdate, InsertedTime) SELECT :child, FileID, {status}, 0, {task_id}, TargetSE, UsedSE, :now, :now"
        f" {_PARENTS}",
        parameters,
    )
    if copied:
        work.emit("files.added", child, count=copied, parent=parent.id)
