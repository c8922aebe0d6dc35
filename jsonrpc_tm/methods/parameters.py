"""Parameters of a transformation: the mutable core ones, and free additional ones that keep their JSON type."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from ..core import fields, values
from ..core.errors import Conflict, InvalidParams, NotFound
from ..core.identity import Owner
from ..core.model import ADDITIONAL_PARAMETERS, CORE_PARAMETERS, MUTABLE_PARAMETERS, TRANSFORMATIONS
from ..core.values import BadValue
from ..plugin.marker import hookimpl
from ..rpc.call import Call
from ..rpc.method import Method
from ..storage.base import Transaction, chunks
from ..storage.where import scalar
from . import status
from .listing import wire
from .log import log_line

STORED_TYPE = "JSON"
"""ParameterType of the rows that this server writes: ParameterValue is JSON text."""
_DIGITS = re.compile(r"[0-9]+\Z", re.ASCII)
_CORE_WORDS = {name.casefold(): name for name in CORE_PARAMETERS}
_OF = " FROM AdditionalParameters WHERE TransformationID = :trans"


class Absent:
    """Stands for a parameter that was not given, where null means something else."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


def transformation_name(value: Any) -> str:
    """Return *value* if a transformation may be called so.

    :raises BadValue: it is empty, too long, or looks like an id.
    """
    name = values.text(value, TRANSFORMATIONS.columns["TransformationName"].length, empty=False)
    if _DIGITS.match(name):
        raise BadValue("Must not be made of digits only.")
    return name


class TransformationName(fields.Field):
    """The name of a new transformation: not empty, not made of digits only."""

    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "[^0-9]"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return transformation_name(value)


def core_value(name: str, value: Any) -> Any:
    """Return *value* as the mutable core parameter *name* stores it.

    :raises BadValue: it does not fit.
    """
    column = TRANSFORMATIONS.columns[name]
    if column.kind == "text":
        text = values.number_as_text(value)
        return transformation_name(text) if name == "TransformationName" else values.text(text, column.length)
    number = scalar(column, value)
    if number is None:
        raise BadValue("Must not be null.")
    if number < 0:
        raise BadValue("Must be at least 0.")
    return number


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: numbers by value, true and false are no numbers, order of keys is nothing."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(item) for pair in value.items() for item in pair)
    return isinstance(value, list) and any(map(_has_nul, value))


def _loaded(row: Mapping[str, Any]) -> Any:
    """Return the value of a row of AdditionalParameters; rows of an adopted database have types of their own."""
    text, kind = row["ParameterValue"], row["ParameterType"]
    if kind == STORED_TYPE:
        return orjson.loads(text)
    return int(text) if kind in ("IntType", "LongType") else text


async def additional(tx: Transaction, trans_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the additional parameters of transformations, by id and name; those that have none are left out."""
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


async def core(tx: Transaction, trans_id: int, columns: Iterable[str] = CORE_PARAMETERS) -> dict[str, Any]:
    """Return core parameters of a transformation that exists, dates in the form of answers."""
    row = await tx.fetch_one(
        f"SELECT {', '.join(columns)} FROM Transformations WHERE TransformationID = :trans", {"trans": trans_id}
    )
    assert row is not None
    return wire([row], TRANSFORMATIONS)[0]


async def set_parameter(call: Call, transName: int | str, paramName: str, paramValue: Any, expected: Any) -> None:
    """Set a mutable core parameter, or create or replace an additional one of any JSON value.

    Text core parameters also take a number, which becomes its JSON text; GroupSize and MaxNumberOfTasks also take
    the text of a number. With ``expected`` the present value must equal it as JSON; ``expected: null`` on an
    additional parameter only creates it.

    :raises InvalidParams: a core parameter that cannot be set, a name that is a core parameter's but for case
        (``data.did_you_mean``), or a value that does not fit.
    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises Conflict: ``expected`` does not hold, or the name is taken.
    :raises InvalidState: a plugin's rule forbids the status.
    """
    if paramName in CORE_PARAMETERS:
        if paramName not in MUTABLE_PARAMETERS:
            raise _invalid("paramName", f"{paramName} cannot be set. Can be: {', '.join(MUTABLE_PARAMETERS)}.")
        try:
            value = core_value(paramName, paramValue)
        except BadValue as error:
            raise InvalidParams(f"Invalid value for {paramName}", errors={"paramValue": error.messages}) from None
    elif (meant := _CORE_WORDS.get(paramName.casefold())) is not None:
        raise InvalidParams(
            f"{paramName} is no parameter of a transformation; did you mean {meant}?",
            errors={"paramName": [f"Differs from {meant} by case only."]},
            did_you_mean=meant,
        )
    elif _has_nul(paramValue):
        raise _invalid("paramValue", "Must not contain U+0000.")

    async def body(tx: Transaction, owner: Owner) -> None:
        if paramName in CORE_PARAMETERS:
            await _set_core(tx, call, owner, paramName, value, expected)
            told = values.number_as_text(paramValue)
            message = "Body updated" if paramName == "Body" else f"{paramName} updated to {told}"
        else:
            await _set_additional(tx, owner, paramName, paramValue, expected)
            message = f"Added additional parameter {paramName}"
        await log_line(tx, call, owner.id, message)

    await call.change(transName, body)


async def _set_core(tx: Transaction, call: Call, owner: Owner, name: str, value: Any, expected: Any) -> None:
    if expected is not ABSENT:
        present = (await core(tx, owner.id, [name]))[name]
        if not same(present, expected):
            raise Conflict(f"{name} is not what was expected")
    if name == "TransformationName":
        await refuse_taken(tx, value, owner.id)
    if name == "Status":
        status.check(call, "transformation", [(owner.status, value)])
    await tx.execute(
        f"UPDATE Transformations SET {name} = :value, LastUpdate = :now WHERE TransformationID = :trans",
        {"value": value, "now": call.timestamp, "trans": owner.id},
    )


async def refuse_taken(tx: Transaction, name: str, trans_id: int | None = None) -> None:
    """Refuse a name that another transformation has; a race for it is decided by the unique key and comes here again.

    :param trans_id: the transformation that may have it already.
    :raises Conflict: it is taken.
    """
    found = await tx.fetch_value(
        "SELECT TransformationID FROM Transformations WHERE TransformationName = :name", {"name": name}
    )
    if found is not None and found != trans_id:
        raise Conflict(f"The name {name!r} is taken")


async def _set_additional(tx: Transaction, owner: Owner, name: str, value: Any, expected: Any) -> None:
    key = {"trans": owner.id, "name": name}
    if expected is not ABSENT:
        row = await tx.fetch_one(f"SELECT ParameterValue, ParameterType{_OF} AND ParameterName = :name", key)
        if (row is None) != (expected is None) or (row is not None and not same(_loaded(row), expected)):
            raise Conflict(f"{name} is not what was expected")
    columns = list(ADDITIONAL_PARAMETERS.columns)
    await tx.execute(
        tx.dialect.upsert("AdditionalParameters", columns, ADDITIONAL_PARAMETERS.key, columns[2:]),
        {
            "TransformationID": owner.id,
            "ParameterName": name,
            "ParameterValue": orjson.dumps(value).decode(),
            "ParameterType": STORED_TYPE,
        },
    )


def _invalid(parameter: str, message: str) -> InvalidParams:
    return InvalidParams(f"Invalid parameter {parameter}", errors={parameter: [message]})


async def delete_parameter(call: Call, transName: int | str, paramName: str) -> None:
    """Delete an additional parameter.

    :raises InvalidParams: a core parameter.
    :raises NotFound: no such transformation, or it has no such parameter.
    :raises Forbidden: no right on it.
    """
    if paramName in CORE_PARAMETERS:
        raise _invalid("paramName", f"{paramName} is a core parameter; only additional ones can be deleted.")

    async def body(tx: Transaction, owner: Owner) -> None:
        deleted = await tx.execute(f"DELETE{_OF} AND ParameterName = :name", {"trans": owner.id, "name": paramName})
        if not deleted:
            raise NotFound(f"Transformation {transName!r} has no parameter {paramName!r}")
        await log_line(tx, call, owner.id, f"Removed additional parameter {paramName}")

    await call.change(transName, body)


async def get_parameters(call: Call, transName: int | str, parameters: list[str]) -> Any:
    """Return parameters of a transformation, core and additional ones: one value, or a dict when several were asked.

    :raises NotFound: no such transformation, or it has no such parameter.
    """
    names = list(dict.fromkeys(parameters))
    columns = [name for name in names if name in CORE_PARAMETERS]

    async def body(tx: Transaction) -> dict[str, Any]:
        owner = await call.find(tx, transName)
        found = await core(tx, owner.id, columns) if columns else {}
        if len(columns) < len(names):
            found = {**(await additional(tx, [owner.id])).get(owner.id, {}), **found}
        return found

    found = await call.read(body)
    missing = [name for name in names if name not in found]
    if missing:
        first = ", ".join(map(repr, missing[:10]))[:400]
        raise NotFound(f"Transformation {transName!r} has no parameter {first}", missing=missing)
    return found[names[0]] if len(names) == 1 else {name: found[name] for name in names}


async def get_additional_parameters(call: Call, transName: int | str) -> dict[str, Any]:
    """Return the additional parameters of a transformation by name, values with their JSON types.

    :raises NotFound: no such transformation.
    """

    async def body(tx: Transaction) -> dict[str, Any]:
        owner = await call.find(tx, transName)
        return (await additional(tx, [owner.id])).get(owner.id, {})

    return await call.read(body)


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    trans = fields.Transformation(required=True)
    name = fields.Text(32, empty=False, required=True, metadata={"description": "name of the parameter"})
    null = {"type": "null"}
    yield Method(
        "setTransformationParameter",
        set_parameter,
        {
            "transName": trans,
            "paramName": name,
            "paramValue": fields.Any_(required=True, metadata={"description": "the new value"}),
            "expected": fields.Any_(
                load_default=ABSENT, metadata={"description": "the present value; the call fails if it is another"}
            ),
        },
        result="null",
        right=True,
        schema=null,
    )
    yield Method(
        "deleteTransformationParameter",
        delete_parameter,
        {"transName": trans, "paramName": name},
        result="null",
        right=True,
        schema=null,
    )
    yield Method(
        "getTransformationParameters",
        get_parameters,
        {
            "transName": trans,
            "parameters": fields.Texts(
                65535, single=True, empty=True, required=True, metadata={"description": "one name or a list of names"}
            ),
        },
        result="one value, or an object of values by name when several were asked",
    )
    yield Method(
        "getAdditionalParameters",
        get_additional_parameters,
        {"transName": trans},
        result="object of values by name",
        schema={"type": "object"},
    )
