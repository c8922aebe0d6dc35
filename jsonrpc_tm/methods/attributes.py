"""Attributes of transformations, files and tasks: any JSON by name (section 8.2 of the specification)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from ..core import fields, values
from ..core.errors import InvalidParams
from ..core.identity import Transformation
from ..core.values import BadValue
from ..domain import attributes as domain
from ..domain.work import Held, Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Change, Method, Read
from ..storage.where import invalid
from .parameters import additional_only, has_nul, stored

Kind = Literal["transformation", "task", "file"]
_NAME = 255


def _ids(kind: str, ids: Sequence[Any] | None) -> list[Any] | None:
    """Return identifiers of a kind of objects, each once.

    :raises InvalidParams: they do not fit.
    """
    if kind == "transformation":
        if ids is not None:
            raise invalid("ids", ["A transformation is named by transName alone."])
        return None
    if ids is None:
        return None
    read: list[Any] = []
    for position, one in enumerate(ids):
        try:
            read.append(values.identifier(one) if kind == "task" else values.text(one, 255, empty=False))
        except BadValue as error:
            raise InvalidParams("Invalid ids", errors={"ids": {position: error.messages}}) from None
    return list(dict.fromkeys(read))


async def chosen(outside: Outside, kind: str, attributes: Mapping[str, Any], ids: Sequence[Any] | None) -> Any:
    """Read the identifiers and the attributes; what can be known without the database comes before the right."""
    read = _ids(kind, ids)
    if kind != "transformation":
        if read is None:
            raise invalid("ids", [f"Which {kind}s?"])
        for name, value in attributes.items():
            if not 0 < len(name) <= _NAME or "\0" in name:
                raise invalid("attributes", [f"A name has 1 to {_NAME} characters."])
            if has_nul(value):
                raise invalid("attributes", ["Must not contain U+0000."])
        return read
    for name, value in attributes.items():
        if not 0 < len(name) <= _PARAMETER_NAME:
            raise invalid("attributes", [f"The name of a parameter has 1 to {_PARAMETER_NAME} characters."])
        await additional_only(outside, name)
        await stored(outside, name, value)
    return None


_PARAMETER_NAME = 32


async def set_attributes(
    work: Work,
    transformation: Held,
    prepared: list[Any] | None,
    kind: Kind,
    attributes: dict[str, Any],
    ids: list[Any] | None,
) -> int:
    """Set attributes of a transformation, or of tasks or files of it; null removes one. Return of how many objects.

    Those of a transformation are its additional parameters. A claimed task's Parameters are the transformation's,
    overlaid by those that all its files share, overlaid by its own.

    :raises InvalidParams: *ids* are missing, or are given for a transformation; a name that cannot be.
    :raises NotFound: no such transformation, or tasks or files that are not in it, which ``data.missing`` lists.
    :raises Forbidden: no right on it.
    """
    if prepared is None or kind == "transformation":
        await domain.set_parameters(work, transformation, attributes)
        return 1
    return await domain.set_of_objects(work, transformation, kind, attributes, prepared)


async def known(outside: Outside, kind: str, ids: Sequence[Any] | None) -> Any:
    """Read the identifiers."""
    return _ids(kind, ids)


async def get_attributes(
    work: Work, transformation: Transformation, prepared: list[Any] | None, kind: Kind, ids: list[Any] | None
) -> dict[str, dict[str, Any]]:
    """Return attributes of a transformation, or of tasks or files of it: ``{id: {name: value}}``.

    Without *ids* those of all objects that have some.

    :raises InvalidParams: *ids* for a transformation.
    :raises NotFound: no such transformation, or tasks or files that are not in it, which ``data.missing`` lists.
    """
    return await domain.of_objects(work, transformation, kind, prepared)


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    trans = fields.Transformation(required=True)
    kind = fields.Choice(*get_args(Kind), required=True, metadata={"description": "whose attributes"})
    ids = fields.Members(
        allow_none=True,
        load_default=None,
        metadata={"description": "ids of tasks or names of files; absent for a transformation"},
    )
    yield Method(
        "setAttributes",
        set_attributes,
        {
            "transName": trans,
            "kind": kind,
            "attributes": fields.Object(required=True, metadata={"description": "JSON by name; null removes"}),
            "ids": ids,
        },
        access=Change(),
        prepare=chosen,
        result=results.said(results.INTEGER, "the number of objects"),
    )
    yield Method(
        "getAttributes",
        get_attributes,
        {"transName": trans, "kind": kind, "ids": ids},
        access=Read("transName"),
        prepare=known,
        result=results.mapped(results.mapped(results.ANYTHING), "{id: {name: value}}"),
    )
