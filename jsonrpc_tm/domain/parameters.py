"""Parameters of a transformation: the mutable core ones, and free additional ones that keep their JSON type."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from ..core.errors import Conflict, NotFound
from ..core.identity import Transformation
from ..core.model import ADDITIONAL_PARAMETERS, CORE_PARAMETERS
from ..storage.base import chunks
from .rows import TRANSFORMATION_SQL, Rows, only
from .transformation_log import note
from .work import Held, Work

STORED_TYPE = "JSON"
"""ParameterType of the rows that this server writes: ParameterValue is JSON text."""
_OF = " FROM AdditionalParameters WHERE TransformationID = :trans"


class Absent:
    """Stands for a parameter that was not given, where null means something else."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: numbers by value, true and false are no numbers, order of keys is nothing."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _loaded(row: Mapping[str, Any]) -> Any:
    """Return the value of a row of AdditionalParameters; rows of an adopted database have types of their own."""
    text, kind = row["ParameterValue"], row["ParameterType"]
    if kind == STORED_TYPE:
        return orjson.loads(text)
    return int(text) if kind in ("IntType", "LongType") else text


async def additional(work: Work, trans_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the additional parameters of transformations, by id and name; those that have none are left out."""
    tx = work.tx
    found: dict[int, dict[str, Any]] = {}
    for chunk in chunks(trans_ids):
        rows = await tx.fetch_all(
            "SELECT p.TransformationID, p.ParameterName, p.ParameterValue, p.ParameterType"
            f" FROM {tx.dialect.array('ids', 'int')} AS wanted {tx.dialect.straight_join} AdditionalParameters p"
            " ON p.TransformationID = wanted.value ORDER BY p.TransformationID, p.ParameterName",
            {"ids": tx.dialect.pack(chunk)},
        )
        for row in rows:
            found.setdefault(row["TransformationID"], {})[row["ParameterName"]] = _loaded(row)
    return found


async def core(work: Work, trans: Transformation, columns: Iterable[str]) -> dict[str, Any]:
    """Return core parameters of a transformation that exists, dates in the form of answers."""
    shown = {name: TRANSFORMATION_SQL[name] for name in columns}
    (row,) = await Rows(shown, "Transformations t", only(work, trans, "t.")).run(work)
    return row


async def of_all(work: Work, trans_ids: Sequence[int], name: str) -> dict[int, Any]:
    """Return one parameter of transformations, core as it is stored, by id; those that have none are left out."""
    if name not in CORE_PARAMETERS:
        return {one: values[name] for one, values in (await additional(work, trans_ids)).items() if name in values}
    source = f"{work.dialect.array('ids', 'int')} AS wanted {work.dialect.straight_join} Transformations t"
    sql = f"SELECT t.TransformationID, t.{name} FROM {source} ON t.TransformationID = wanted.value"
    found: dict[int, Any] = {}
    for chunk in chunks(trans_ids):
        rows = await work.tx.fetch_all(sql, {"ids": work.dialect.pack(chunk)})
        found.update((trans_id, value) for trans_id, value in (row.values() for row in rows))
    return found


async def refuse_taken(work: Work, name: str, trans: Transformation | None = None) -> None:
    """Refuse a name that another transformation has; a race for it is decided by the unique key and comes here again.

    :param trans: the transformation that may have it already.
    :raises Conflict: it is taken.
    """
    found = await work.tx.fetch_value(
        "SELECT TransformationID FROM Transformations WHERE TransformationName = :name", {"name": name}
    )
    if found is not None and (trans is None or found != trans.id):
        raise Conflict(f"The name {name!r} is taken", reason="name taken")


async def check_expected(work: Work, trans: Held, name: str, expected: Any) -> None:
    """Refuse to go on when a core parameter is not what the caller expects.

    :param expected: JSON; ``ABSENT`` for whatever it is.
    :raises Conflict: it is another value.
    """
    if expected is not ABSENT and not same((await core(work, trans, [name]))[name], expected):
        raise Conflict(f"{name} is not what was expected")


async def set_core(work: Work, trans: Held, name: str, value: Any, told: Any) -> None:
    """Set a mutable core parameter other than Status, which ``transitions`` moves.

    :param value: as the column stores it.
    :param told: as the log tells it.
    :raises Conflict: a name that is taken.
    """
    if name == "TransformationName":
        await refuse_taken(work, value, trans)
    await work.tx.execute(
        f"UPDATE Transformations SET {name} = :value, LastUpdate = :now WHERE TransformationID = :trans",
        {"value": value, "now": work.context.timestamp, "trans": trans.id},
    )
    await note(work, trans, "Body updated" if name == "Body" else f"{name} updated to {told}")
    work.emit("transformation.parameter", trans, names=[name])


async def set_additional(work: Work, trans: Held, name: str, value: Any, expected: Any = ABSENT) -> None:
    """Create or replace an additional parameter.

    :param value: any JSON.
    :param expected: the present value; null: it must not be there; ``ABSENT``: whatever it is.
    :raises Conflict: *expected* does not hold.
    """
    if expected is not ABSENT:
        key = {"trans": trans.id, "name": name}
        row = await work.tx.fetch_one(f"SELECT ParameterValue, ParameterType{_OF} AND ParameterName = :name", key)
        if (row is None) != (expected is None) or (row is not None and not same(_loaded(row), expected)):
            raise Conflict(f"{name} is not what was expected")
    await set_many(work, trans, {name: value})


async def set_many(work: Work, trans: Held, values: Mapping[str, Any]) -> None:
    """Create or replace additional parameters, any JSON by name."""
    if not values:
        return
    columns = list(ADDITIONAL_PARAMETERS.columns)
    rows = [
        {
            "TransformationID": trans.id,
            "ParameterName": name,
            "ParameterValue": orjson.dumps(value).decode(),
            "ParameterType": STORED_TYPE,
        }
        for name, value in values.items()
    ]
    sql = work.dialect.upsert("AdditionalParameters", columns, ADDITIONAL_PARAMETERS.key, columns[2:])
    await work.tx.executemany(sql, rows)
    await note(work, trans, *(f"Added additional parameter {name}" for name in values))
    work.emit("transformation.parameter", trans, names=list(values))


async def delete_additional(work: Work, trans: Held, name: str) -> None:
    """Delete an additional parameter.

    :raises NotFound: there is none of that name.
    """
    if not await delete_many(work, trans, [name]):
        raise NotFound(f"Transformation {trans.name!r} has no parameter {name!r}", what="parameter", missing=[name])


async def delete_many(work: Work, trans: Held, names: Sequence[str]) -> int:
    """Delete additional parameters; return how many there were, which are all or none."""
    if not names:
        return 0
    dialect = work.dialect
    on = "target.TransformationID = :trans AND target.ParameterName = source.value"
    sql = dialect.delete_join("AdditionalParameters", dialect.array("names"), on, ADDITIONAL_PARAMETERS.key)
    deleted = await work.tx.execute(sql, {"trans": trans.id, "names": dialect.pack(list(names))})
    if deleted:
        await note(work, trans, *(f"Removed additional parameter {name}" for name in names))
        work.emit("transformation.parameter", trans, names=list(names))
    return deleted
