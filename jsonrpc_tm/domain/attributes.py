"""Attributes of files and tasks: JSON by name. Those of a transformation are its additional parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

from ..core.errors import NotFound
from ..core.identity import Transformation
from ..core.model import TRANSFORMATION_TASKS
from ..storage.base import chunks
from . import names, parameters
from .missing import not_there
from .work import Held, Work

ObjectKind = Literal["task", "file"]
_KEY = ("TransformationID", "Kind", "ObjectID", "Name")


async def set_parameters(work: Work, trans: Held, values: Mapping[str, Any]) -> None:
    """Set additional parameters; null removes one, and it does not matter whether it was there. Logged."""
    present = (await parameters.additional(work, [trans.id])).get(trans.id, {})
    given = {name: value for name, value in values.items() if value is not None}
    await parameters.set_many(work, trans, given)
    await parameters.delete_many(work, trans, [name for name in values if name in present.keys() - given.keys()])


async def set_of_objects(
    work: Work, trans: Held, kind: ObjectKind, values: Mapping[str, Any], ids: Sequence[Any]
) -> int:
    """Set attributes of tasks or files of a transformation; null removes one. Return how many there are of these.

    :param ids: TaskIDs or LFNs, none twice.
    :raises NotFound: some are not in the transformation; ``data.missing`` lists them.
    """
    numbers = list((await identify(work, trans, kind, ids)).values())
    if not (numbers and values):
        return len(numbers)
    dialect = work.dialect
    mine = {"trans": trans.id, "kind": kind}
    given = [[name, orjson.dumps(value).decode()] for name, value in values.items() if value is not None]
    pairs = dialect.records("given", name="text", value="text")
    select = (
        "SELECT :trans AS TransformationID, :kind AS Kind, objects.value AS ObjectID, given.name AS Name,"
        f" given.value AS Value FROM {dialect.array('ids', 'int')} AS objects, {pairs} AS given"
    )
    gone = dialect.delete_join(
        "ObjectAttributes",
        f"(SELECT objects.value AS ObjectID, names.value AS Name FROM {dialect.array('ids', 'int')} AS objects"
        f", {dialect.array('names')} AS names)",
        "target.TransformationID = :trans AND target.Kind = :kind AND target.ObjectID = source.ObjectID"
        " AND target.Name = source.Name",
        _KEY,
    )
    for chunk in chunks(sorted(numbers)):
        ids_ = {**mine, "ids": dialect.pack(chunk)}
        await work.tx.execute(gone, {**ids_, "names": dialect.pack(list(values))})
        if given:
            await work.tx.execute(
                f"INSERT INTO ObjectAttributes (TransformationID, Kind, ObjectID, Name, Value) {select}",
                {**ids_, "given": dialect.pack(given)},
            )
    work.emit("transformation.parameter", trans, names=sorted(values), kind=kind, count=len(numbers), ids=numbers)
    return len(numbers)


async def add(work: Work, trans: Held, kind: ObjectKind, values: Mapping[int, Mapping[str, Any]]) -> None:
    """Give new objects their attributes.

    :param values: JSON by TaskID or FileID and name.
    """
    source = work.dialect.records("added", ObjectID="int", Name="text", Value="text")
    rows = [
        (object_id, name, orjson.dumps(value).decode())
        for object_id, own in values.items()
        for name, value in own.items()
    ]
    for chunk in chunks(rows):
        await work.tx.execute(
            "INSERT INTO ObjectAttributes (TransformationID, Kind, ObjectID, Name, Value)"
            f" SELECT :trans, :kind, ObjectID, Name, Value FROM {source} AS added",
            {"trans": trans.id, "kind": kind, "added": work.dialect.pack(chunk)},
        )


async def of_numbers(
    work: Work, trans: Transformation, kind: ObjectKind, numbers: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """Return attributes by TaskID or FileID, and by name; who has none is left out."""
    sql = (
        f"SELECT a.ObjectID, a.Name, a.Value FROM {work.dialect.array('ids', 'int')} AS wanted"
        f" {work.dialect.straight_join} ObjectAttributes a ON a.TransformationID = :trans AND a.Kind = :kind"
        " AND a.ObjectID = wanted.value ORDER BY a.ObjectID, a.Name"
    )
    found: dict[int, dict[str, Any]] = {}
    for chunk in chunks(numbers):
        parameters = {"trans": trans.id, "kind": kind, "ids": work.dialect.pack(chunk)}
        for row in await work.tx.fetch_all(sql, parameters):
            found.setdefault(row["ObjectID"], {})[row["Name"]] = orjson.loads(row["Value"])
    return found


async def identify(work: Work, trans: Transformation, kind: ObjectKind, ids: Sequence[Any]) -> dict[Any, int]:
    """Return TaskIDs or FileIDs by what names them.

    :param ids: TaskIDs or LFNs, none twice.
    :raises NotFound: some are not in the transformation; ``data.missing`` lists them.
    """
    dialect = work.dialect
    if kind == "file":
        joined = " JOIN TransformationFiles f ON f.TransformationID = :trans AND f.FileID = d.FileID"
        rows = await names.by_name(work, ids, "d.LFN, d.FileID", joined, {"trans": trans.id})
        found = {row["LFN"]: row["FileID"] for row in rows}
        if missing := [lfn for lfn in ids if lfn not in found]:
            raise NotFound(
                f"{len(missing)} file(s) are not in transformation {trans.name!r}", what="file", missing=missing
            )
        return found
    there = (
        f"SELECT t.TaskID FROM {dialect.array('ids', 'int')} AS wanted {dialect.straight_join} TransformationTasks t"
        " ON t.TransformationID = :trans AND t.TaskID = wanted.value"
    )
    tasks: dict[Any, int] = {}
    for chunk in chunks(ids):
        present = await work.tx.fetch_column(there, {"trans": trans.id, "ids": dialect.pack(chunk)})
        tasks |= {task_id: task_id for task_id in present}
    if len(tasks) != len(ids):
        raise await not_there(work, trans, TRANSFORMATION_TASKS, "task", ids)
    return tasks


async def of_objects(
    work: Work, trans: Transformation, kind: str, ids: Sequence[Any] | None
) -> dict[str, dict[str, Any]]:
    """Return attributes by what names the object, and by name.

    :param kind: ``transformation`` too.
    :param ids: TaskIDs or LFNs, none twice; None for all that have some.
    :raises NotFound: some are not in the transformation; ``data.missing`` lists them.
    """
    if kind == "transformation":
        return {str(trans.id): (await parameters.additional(work, [trans.id])).get(trans.id, {})}
    of: ObjectKind = "task" if kind == "task" else "file"
    if ids is None:
        found: dict[str, dict[str, Any]] = {}
        label = "CAST(a.ObjectID AS CHAR)" if of == "task" else "d.LFN"
        joined = "" if of == "task" else " JOIN DataFiles d ON d.FileID = a.ObjectID"
        sql = (
            f"SELECT a.Name, a.Value, {label} AS label FROM ObjectAttributes a{joined}"
            " WHERE a.TransformationID = :trans AND a.Kind = :kind ORDER BY a.ObjectID, a.Name"
        )
        for row in await work.tx.fetch_all(sql, {"trans": trans.id, "kind": of}):
            found.setdefault(row["label"], {})[row["Name"]] = orjson.loads(row["Value"])
        return found
    numbers = await identify(work, trans, of, ids)
    own = await of_numbers(work, trans, of, list(numbers.values()))
    return {str(one): own.get(numbers[one], {}) for one in ids}
