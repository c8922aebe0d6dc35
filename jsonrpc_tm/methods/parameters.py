"""Parameters of a transformation: the mutable core ones, and free additional ones that keep their JSON type."""

from collections.abc import Iterable
from typing import Any

from ..core import fields, values
from ..core.errors import Conflict, InvalidParams, InvalidState
from ..core.identity import Transformation
from ..core.model import CORE_PARAMETERS, MUTABLE_PARAMETERS, TRANSFORMATIONS
from ..core.values import BadValue
from ..domain import parameters as domain
from ..domain import reports
from ..domain.parameters import ABSENT
from ..domain.transitions import transformations as transitions
from ..domain.work import Held, Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Change, Method, Read
from ..storage.where import invalid, scalar
from .fields import transformation_name

_CORE_WORDS = {name.casefold(): name for name in CORE_PARAMETERS}


def core_value(name: str, value: Any) -> Any:
    """Return *value* as the mutable core parameter *name* stores it.

    :raises BadValue: it does not fit.
    """
    column = TRANSFORMATIONS.columns[name]
    if column.kind == "text":
        text = values.number_as_text(value)
        return transformation_name(text) if name == "TransformationName" else values.text(text, column.length)
    number = scalar(column.kind, value)
    if number is None:
        raise BadValue("Must not be null.")
    if number < 0:
        raise BadValue("Must be at least 0.")
    return number


def has_nul(value: Any) -> bool:
    """Whether a text in some JSON contains U+0000."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(has_nul(item) for pair in value.items() for item in pair)
    return isinstance(value, list) and any(map(has_nul, value))


async def stored(outside: Outside, paramName: str, paramValue: Any) -> Any:
    """Return the value as it is stored; what can be known without the database comes before the right."""
    if paramName in CORE_PARAMETERS:
        if paramName not in MUTABLE_PARAMETERS:
            raise invalid("paramName", [f"{paramName} cannot be set. Can be: {', '.join(MUTABLE_PARAMETERS)}."])
        try:
            return core_value(paramName, paramValue)
        except BadValue as error:
            raise InvalidParams(f"Invalid value for {paramName}", errors={"paramValue": error.messages}) from None
    if (meant := _CORE_WORDS.get(paramName.casefold())) is not None:
        raise InvalidParams(
            "Invalid parameters",
            errors={"paramName": [f"{paramName!r} is no parameter; did you mean {meant}?"]},
            did_you_mean=meant,
        )
    if has_nul(paramValue):
        raise invalid("paramValue", ["Must not contain U+0000."])
    return paramValue


async def set_parameter(
    work: Work, transformation: Held, value: Any, paramName: str, paramValue: Any, expected: Any
) -> None:
    """Set a mutable core parameter, or create or replace an additional one of any JSON value.

    Text core parameters also take a number, which becomes its JSON text; GroupSize and MaxNumberOfTasks also take
    the text of a number. With ``expected`` the present value must equal it as JSON; ``expected: null`` on an
    additional parameter only creates it.

    :raises InvalidParams: a core parameter that cannot be set, a name that is a core parameter's but for case
        (``data.did_you_mean``), or a value that does not fit.
    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it. A status may need a property of its own.
    :raises Conflict: ``expected`` does not hold, or the name is taken.
    :raises InvalidState: a plugin's rule forbids the status.
    """
    if paramName not in CORE_PARAMETERS:
        await domain.set_additional(work, transformation, paramName, value, expected)
        return
    if paramName == "Status":
        transitions.authorize(work, value)
    await domain.check_expected(work, transformation, paramName, expected)
    told = values.number_as_text(paramValue)
    if paramName == "Status":
        await transitions.move(work, transformation, value, strict=True)
    else:
        await domain.set_core(work, transformation, paramName, value, told)


async def additional_only(outside: Outside, paramName: str) -> None:
    """Refuse to delete a core parameter."""
    if paramName in CORE_PARAMETERS:
        raise invalid("paramName", [f"{paramName} is a core parameter; only additional ones can be deleted."])


async def delete_parameter(work: Work, transformation: Held, paramName: str) -> None:
    """Delete an additional parameter.

    :raises InvalidParams: a core parameter.
    :raises NotFound: no such transformation, or it has no such parameter.
    :raises Forbidden: no right on it.
    """
    await domain.delete_additional(work, transformation, paramName)


async def get_parameters(work: Work, transformation: Transformation, parameters: list[str]) -> Any:
    """Return parameters of a transformation, core and additional ones: one value, or a dict when several were asked.

    :raises NotFound: no such transformation, or it has no such parameter.
    """
    found = await reports.parameters(work, transformation, parameters)
    return found[parameters[0]] if len(found) == 1 else found


async def get_additional_parameters(work: Work, transformation: Transformation) -> dict[str, Any]:
    """Return the additional parameters of a transformation by name, values with their JSON types.

    :raises NotFound: no such transformation.
    """
    return await reports.additional_parameters(work, transformation)


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    trans = fields.Transformation(required=True)
    name = fields.Text(32, empty=False, required=True, metadata={"description": "name of the parameter"})
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
        access=Change(),
        prepare=stored,
        errors=(Conflict, InvalidState),
        result=results.NULL,
    )
    yield Method(
        "deleteTransformationParameter",
        delete_parameter,
        {"transName": trans, "paramName": name},
        access=Change(),
        prepare=additional_only,
        result=results.NULL,
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
        access=Read("transName"),
        result=results.said(results.ANYTHING, "one value, or an object of values by name when several were asked"),
    )
    yield Method(
        "getAdditionalParameters",
        get_additional_parameters,
        {"transName": trans},
        access=Read("transName"),
        result=results.mapped(results.ANYTHING, "the values by name"),
    )
