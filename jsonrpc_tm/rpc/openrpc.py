"""The OpenRPC document of a server: its methods, described by the very objects that validate and guard their calls."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from marshmallow import missing

from .. import __version__
from ..core import errors
from ..core.fields import Field, JSONSchema
from ..core.identity import Rule
from ..settings.types import is_url
from .method import Method, Registry

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
        errors.Unavailable,
        errors.CatalogError,
    )
}
_JSON = (str, int, float, bool, type(None), list, dict)


class Document(Mapping[str, Any]):
    """An OpenRPC document that is kept as its text: answers are made of this, and who looks inside gets a copy.

    :param rest: the text of the object without its ``servers``.
    :param url: of the server.
    """

    def __init__(self, rest: bytes, url: str) -> None:
        self._rest = rest
        self.text = b'{"servers":%b,%b' % (orjson.dumps([{"name": "this server", "url": url}]), rest[1:])

    def at(self, url: str) -> "Document":
        """Return the same document of a server with another URL; only this part is made anew."""
        return Document(self._rest, url)

    def __getitem__(self, key: str) -> Any:
        return orjson.loads(self.text)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(orjson.loads(self.text))

    def __len__(self) -> int:
        return len(orjson.loads(self.text))


def address(settings: Mapping[str, Any], asked: str) -> str:
    """Return the URL that callers are told: the configured one, else the address that was asked.

    :param asked: as the caller wrote it; where it is none, or no URL, the server's own on this machine is returned.
    """
    if (public := settings["server.public_url"]) is not None:
        return str(public)
    if is_url(asked):
        return asked
    scheme = "http" if settings["server.tls.mode"] == "off" else "https"
    port = f":{settings['server.port']}" if settings["server.port"] else ""
    return f"{scheme}://localhost{port}{settings['server.path']}"


def document(registry: Registry, rules: Mapping[str, Rule], settings: Mapping[str, Any]) -> Document:
    """Return the OpenRPC document of all methods of a server, plugins included."""
    content = {
        "openrpc": VERSION,
        "info": {
            "title": "jsonrpc-tm",
            "version": __version__,
            "description": "The books of transformations: which files go into which tasks, and what became of them.",
            "license": {"name": "Apache-2.0"},
        },
        "methods": [_method(method, rules[method.name]) for method in registry],
        "components": {"errors": {name: _error(kind) for name, kind in _ERRORS.items()}},
    }
    return Document(orjson.dumps(content), address(settings, ""))


def _method(method: Method, rule: Rule) -> dict[str, Any]:
    return {
        "name": method.name,
        "summary": method.doc.partition("\n")[0],
        "description": method.doc,
        "paramStructure": "either",
        "params": [_parameter(name, field) for name, field in method.params.items()],
        "result": _result(method.result),
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


def _result(schema: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(schema)
    description = plain.pop("description", "")
    return {"name": "result", "description": description, "schema": plain}


def _failures(method: Method, rule: Rule) -> list[str]:
    """Return the types of the errors that the method may answer with."""
    found: list[type[errors.TMError]] = [] if rule == "all" else [errors.Unauthenticated]
    # a claimed group that is not the caller's is Forbidden for every method
    found += [errors.Forbidden, *method.raises]
    if method.access is not None:
        found.append(errors.StorageUnavailable)
    found.append(errors.InternalError)
    return list(dict.fromkeys(error.type for error in found))


def _error(kind: type[errors.TMError]) -> Mapping[str, Any]:
    message = (kind.__doc__ or "").partition("\n")[0].partition(";")[0].rstrip(".")
    return {"code": kind.code, "message": message, "data": {"type": kind.type}}
