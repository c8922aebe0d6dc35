"""``rpc.discover``: a valid OpenRPC document that says what the methods really accept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from jsonrpc_tm.api import Method
from jsonrpc_tm.app import create_service
from jsonrpc_tm.core import fields
from jsonrpc_tm.core.errors import InvalidParams
from jsonrpc_tm.rpc.method import Change
from jsonrpc_tm.rpc.service import Service
from tests.http.fakes import make_service

FOLDER = Path(__file__).parent / "openrpc"


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def resource(name: str) -> Resource[Any]:
    return Resource(contents=load(name), specification=DRAFT7)


@pytest.fixture(scope="module")
def meta_schema() -> jsonschema.Draft7Validator:
    json_schema = resource("json-schema.json")
    registry = Registry().with_resources(
        [("https://meta.json-schema.tools", json_schema), ("https://meta.json-schema.tools/", json_schema)]
    )
    return jsonschema.Draft7Validator(load("meta-schema.json"), registry=registry)


@pytest.fixture(scope="module")
def service() -> Service:
    return create_service(None, {}, {"storage.url": "sqlite://:memory:"})


@pytest.fixture(scope="module")
def described(service: Service) -> dict[str, Any]:
    # as it goes over the wire
    return json.loads(service.document.text)


def test_the_document_is_openrpc(meta_schema: jsonschema.Draft7Validator, described: dict[str, Any]) -> None:
    assert [error.message for error in meta_schema.iter_errors(described)] == []


def test_the_meta_schema_is_in_force(meta_schema: jsonschema.Draft7Validator, described: dict[str, Any]) -> None:
    for broken in (
        {**described, "openrpc": "9"},
        {**described, "methods": [{**described["methods"][0], "params": 1}]},
        {**described, "methods": [{**described["methods"][0], "result": {"name": "x", "schema": {"type": 1}}}]},
        {**described, "more": 1},
    ):
        assert not meta_schema.is_valid(broken)


def test_every_method_is_there_and_says_something(service: Service, described: dict[str, Any]) -> None:
    methods = {method["name"]: method for method in described["methods"]}
    assert set(methods) == {method.name for method in service.registry}
    assert {"ping", "echo", "rpc.discover", "addTransformation", "getCounters"} <= set(methods)
    for name, method in methods.items():
        assert method["summary"].endswith("."), name
        assert method["result"]["description"], name
        assert [parameter["name"] for parameter in method["params"]] == list(service.registry.get(name).params)


def parameters(service: Service, described: dict[str, Any]) -> Iterator[tuple[Method, dict[str, Any]]]:
    for method in described["methods"]:
        for parameter in method["params"]:
            yield service.registry.get(method["name"]), parameter


def test_schemas_are_json_schema_and_accept_their_defaults(service: Service, described: dict[str, Any]) -> None:
    for method, parameter in parameters(service, described):
        schema = parameter["schema"]
        jsonschema.Draft7Validator.check_schema(schema)
        assert parameter["required"] == method.params[parameter["name"]].required
        if "default" in schema:
            assert not parameter["required"]
            jsonschema.validate(schema["default"], schema, jsonschema.Draft7Validator)


def test_a_choice_that_may_be_null_has_null_in_its_schema() -> None:
    schema = fields.Choice("a", "b", allow_none=True).json_schema()
    assert [jsonschema.Draft7Validator(schema).is_valid(value) for value in ("a", None, "c")] == [True, True, False]


VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2**63 - 1, 1.5, "", "x", "12", "2024-10-15", "ASC", "Input", "é" * 300,
    [], ["x"], [1], [[1]], [None], {}, {"Status": "Active"}, {"1": "Unused"}, {"1": ["Unused", True]}, {"a": {"<": 1}},
)  # fmt: skip


def test_what_validates_a_call_also_passes_its_schema(service: Service, described: dict[str, Any]) -> None:
    """A client that checks its parameters against the document is never kept from a call the server would take."""
    compared = 0
    for method, parameter in parameters(service, described):
        validator = jsonschema.Draft7Validator(parameter["schema"])
        for value in VALUES:
            try:
                method.load({parameter["name"]: value})
                taken = True
            except InvalidParams as error:
                taken = parameter["name"] not in error.data["errors"]
            if taken:
                compared += 1
                assert validator.is_valid(value), (method.name, parameter, value)
    assert compared > 500


def test_rules_rights_and_errors() -> None:
    async def change(work: Any, transformation: Any) -> None:
        """Change it."""

    service = make_service(
        Method("a.change", change, {"transName": fields.Transformation(required=True)}, access=Change()),
        rules={"a.change": ("Managing", "Sharing")},
    )
    methods = {method["name"]: method for method in service.document["methods"]}
    method = methods["a.change"]
    assert (method["x-rule"], method["x-right"], method["x-changes"]) == (["Managing", "Sharing"], True, True)
    assert (methods["echo"]["x-rule"], methods["echo"]["x-right"]) == ("all", False)
    known = service.document["components"]["errors"]
    used = [error["$ref"].rsplit("/")[-1] for error in method["errors"]]
    assert set(used) <= set(known)
    assert {"Forbidden", "NotFound", "Unauthenticated"} <= set(used)
    assert {known[name]["code"] for name in ("Forbidden", "NotFound", "Unauthenticated")} == {-32003, -32004, -32001}


async def test_it_is_open_to_everybody() -> None:
    async with create_service(None, {}, {"storage.url": "sqlite://:memory:"}) as service:
        found = await service.call(service.context(), "rpc.discover")
        assert found == service.document
        # whoever changes it has changed a copy
        found["methods"].clear()
        assert found["methods"]
