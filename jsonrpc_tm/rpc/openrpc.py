"""The OpenRPC document of a server: its methods, described by the very objects that validate and guard their calls."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from marshmallow import missing

from .. import __version__
from ..core import errors
from ..core.fields import Field, JSONSchema
from .method import Method, Rule

if TYPE_CHECKING:
    from .service import Service

VERSION = "1.3.2"

_ERRORS: dict[str, type[errors.TMError]] = {
    kind.type: kind
    for kind in (
        errors.ParseError,
        errors.InvalidRequest,
        errors.MethodNotFound,
        errors.InvalidParams,
        errors.InternalError,
        errors.Unauthenticated,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.InvalidState,
        errors.StorageUnavailable,
        errors.CatalogError,
    )
}
_JSON = (str, int, float, bool, type(None), list, dict)


def document(service: "Service") -> dict[str, Any]:
    """Return the OpenRPC document of all methods of *service*, plugins included."""
    return {
        "openrpc": VERSION,
        "info": {
            "title": "jsonrpc-tm",
            "version": __version__,
            "description": "The books of transformations: which files go into which tasks, and what became of them.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": [{"name": "this server", "url": service.settings["server.path"]}],
        "methods": [_method(method, service.rules[method.name]) for method in service.registry],
        "components": {"errors": {name: _error(kind) for name, kind in _ERRORS.items()}},
    }


def _method(method: Method, rule: Rule) -> dict[str, Any]:
    return {
        "name": method.name,
        "summary": method.doc.partition("\n")[0],
        "description": method.doc,
        "paramStructure": "either",
        "params": [_parameter(name, field) for name, field in method.params.items()],
        "result": {"name": "result", "description": method.result, "schema": dict(method.schema)},
        "errors": [{"$ref": f"#/components/errors/{name}"} for name in _failures(method, rule)],
        # who may call it: all, authenticated, or properties of which one is needed
        "x-rule": list(rule) if isinstance(rule, tuple) else rule,
        # whether it needs the right on the transformation transName, and whether it changes anything
        "x-right": method.right,
        "x-changes": method.changes,
    }


def _parameter(name: str, field: Field) -> dict[str, Any]:
    schema: JSONSchema = field.json_schema()
    parameter: dict[str, Any] = {"name": name, "required": field.required, "schema": schema}
    if "description" in schema:
        parameter["description"] = schema.pop("description")
    default = field.load_default
    if callable(default):
        default = default()
    if default is not missing and isinstance(default, _JSON):
        schema["default"] = default
    return parameter


def _failures(method: Method, rule: Rule) -> Iterator[str]:
    """Yield the types of the errors that the method answers with, as far as they can be told from outside."""
    yield "InvalidParams"
    if rule != "all":
        yield "Unauthenticated"
    yield "Forbidden"
    if "transName" in method.params:
        yield "NotFound"
    if method.changes:
        yield from ("Conflict", "InvalidState", "CatalogError")
    yield from ("StorageUnavailable", "InternalError")


def _error(kind: type[errors.TMError]) -> Mapping[str, Any]:
    message = (kind.__doc__ or "").partition("\n")[0].partition(";")[0].rstrip(".")
    return {"code": kind.code, "message": message, "data": {"type": kind.type}}
