"""Methods that are declared wrongly are found when they are made, and what a method says of itself."""

from typing import Any

import pytest

from jsonrpc_tm.core import fields
from jsonrpc_tm.core.errors import Conflict, Forbidden, InvalidParams, NotFound
from jsonrpc_tm.rpc.method import Change, Method, Read, Write

TRANS = {"transName": fields.Transformation(required=True)}
NAME = {"name": fields.Text(255, required=True)}


async def nothing(work: Any) -> None:
    """Do nothing."""


async def named(work: Any, name: str) -> None:
    """Do nothing."""


async def changing(work: Any, transformation: Any) -> None:
    """Do nothing."""


async def changing_named(work: Any, transformation: Any, name: str) -> None:
    """Do nothing."""


async def with_prepared(work: Any, prepared: Any, name: str) -> None:
    """Do nothing."""


async def taking_the_rest(work: Any, second: str, **rest: Any) -> None:
    """Do nothing."""


async def taking_all(work: Any, transformation: Any, prepared: Any, **rest: Any) -> None:
    """Do nothing."""


async def prepare_all(outside: Any, **rest: Any) -> None:
    """Prepare nothing."""


async def prepare(outside: Any) -> None:
    """Prepare nothing."""


async def prepare_other(outside: Any, other: str) -> None:
    """Prepare nothing."""


async def follow(outside: Any, result: Any, prepared: Any, name: str) -> None:
    """Follow."""


async def follow_other(outside: Any, result: Any, prepared: Any, other: str) -> None:
    """Follow."""


def sync(work: Any) -> None:
    """Do nothing."""


async def generator(work: Any) -> Any:
    """Yield nothing."""
    yield


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"handler": nothing, "params": NAME}, r"the handler takes \[\], the schema has \['name'\]"),
        ({"handler": named}, r"the handler takes \['name'\], the schema has \[\]"),
        (
            {"handler": changing, "params": TRANS},
            r"the handler takes \['transformation'\], the schema has \['transName'\]",
        ),
        ({"handler": named, "params": NAME, "access": Change()}, "it has no parameter transName"),
        ({"handler": changing, "access": Change()}, "it has no parameter transName"),
        (
            {"handler": changing, "params": TRANS, "access": Read("trans")},
            "it has no parameter trans",
        ),
        ({"handler": changing_named, "params": NAME, "access": Change("other")}, "it has no parameter other"),
        (
            {"handler": changing_named, "params": {**TRANS, **NAME}, "access": Write(), "rule": "all"},
            "the handler takes",
        ),
        ({"handler": nothing, "access": Write()}, "what writes without a right on a transformation states its rule"),
        ({"handler": sync}, "is not an async function"),
        ({"handler": generator}, "is not an async function"),
        ({"handler": nothing, "prepare": sync}, "is not an async function"),
        ({"handler": nothing, "access": Write(), "rule": "all", "after": sync}, "is not an async function"),
        ({"handler": named, "params": NAME, "prepare": prepare_other}, "other is no parameter of it"),
        (
            {"handler": named, "params": NAME, "access": Write(), "rule": "all", "after": follow_other},
            "other is no parameter of it",
        ),
        ({"handler": with_prepared, "params": NAME}, "the handler takes"),
        ({"handler": named, "params": NAME, "after": follow}, "it changes nothing that something could follow"),
        ({"handler": named, "params": NAME, "access": Read(), "after": follow}, "it changes nothing"),
        (
            {"handler": changing, "params": TRANS, "access": Change},
            r"access is Read\(\), Write\(\), Change\(\) or None",
        ),
        ({"handler": nothing, "access": "Write", "rule": "all"}, "access is"),
        ({"handler": taking_the_rest, "params": NAME}, r"the handler takes \['second', '\*\*rest'\]"),
        ({"handler": taking_all, "params": {**TRANS, **NAME}, "access": Read("transName")}, "the handler takes"),
        ({"handler": named, "params": NAME, "prepare": prepare_all}, r"\*\*rest is no parameter of it"),
        ({"handler": nothing, "result": "integer"}, "result is a JSON Schema made with jsonrpc_tm.api.results"),
        ({"handler": nothing, "errors": NotFound}, "errors is a tuple of classes of jsonrpc_tm.api.errors"),
        ({"handler": nothing, "errors": (ValueError,)}, "errors is a tuple"),
    ],
)
def test_what_is_declared_wrongly_is_named_when_it_is_made(given: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=rf"method tests\.wrong: .*({says})"):
        Method("tests.wrong", **given)


async def optional(work: Any, name: Any = 1) -> None:
    """Do nothing."""


def test_what_a_handler_needs_is_required() -> None:
    made = Method("tests.needs", named, {"name": fields.Integer()})
    assert made.params["name"].required
    with pytest.raises(InvalidParams, match="name: Missing data"):
        made.load([])
    assert made.load([2]) == {"name": 2}
    trans = Method("tests.needs", changing, {"transName": fields.Transformation()}, access=Change())
    with pytest.raises(InvalidParams, match="transName: Missing data"):
        trans.load(None)
    for handler, one in ((optional, fields.Integer()), (named, fields.Integer(load_default=3))):
        assert not Method("tests.needs", handler, {"name": one}).params["name"].required


def test_writing_names_no_transformation() -> None:
    with pytest.raises(TypeError):
        Write("transName")  # type: ignore[call-arg]


def test_what_is_declared_rightly() -> None:
    Method("tests.right", with_prepared, NAME, prepare=prepare)
    Method("tests.right", named, NAME, prepare=prepare)
    Method("tests.right", changing_named, {**NAME, **TRANS}, access=Change())
    Method("tests.right", changing_named, {**NAME, "parent": fields.Transformation()}, access=Read("parent"))
    Method("tests.right", named, NAME, access=Write(), rule="all", after=follow)
    Method("tests.right", taking_the_rest, {**NAME, "second": fields.Text(), "third": fields.Text()})
    Method("tests.right", taking_all, {**TRANS, **NAME}, access=Read("transName"), prepare=prepare)


@pytest.mark.parametrize(
    ("method", "right", "changes", "raises"),
    [
        (Method("a", nothing), False, False, ()),
        (Method("a", named, NAME, access=Read()), False, False, (InvalidParams,)),
        (Method("a", changing, TRANS, access=Read("transName")), False, False, (InvalidParams, NotFound)),
        (Method("a", nothing, access=Write(), rule="all", errors=(Conflict,)), False, True, (Conflict,)),
        (
            Method("a", changing, TRANS, access=Change(), errors=(Conflict, NotFound)),
            True,
            True,
            (InvalidParams, Forbidden, NotFound, Conflict),
        ),
    ],
)
def test_what_a_method_says_of_itself(method: Method, right: bool, changes: bool, raises: tuple[Any, ...]) -> None:
    assert (method.right, method.changes, method.raises) == (right, changes, raises)
    assert method.doc == "Do nothing."


async def renaming(work: Any, **rest: Any) -> None:
    """Do nothing."""


PLAIN = {"name": fields.Text(255, required=True), "more": fields.Text(), "many": fields.Text(load_default="x")}


@pytest.mark.parametrize(
    ("params", "given", "loaded"),
    [
        (PLAIN, ["a"], {"name": "a", "many": "x"}),
        (PLAIN, {"name": "a", "more": "b"}, {"name": "a", "more": "b", "many": "x"}),
        ({}, None, {}),
        ({"name": fields.Text(data_key="Name")}, {"Name": "a"}, {"name": "a"}),
        ({"name": fields.Text(attribute="other")}, {"name": "a"}, {"other": "a"}),
        ({"a.b": fields.Text()}, {"a.b": "x"}, {"a": {"b": "x"}}),
    ],
)
def test_parameters_are_loaded_as_the_schema_does(params: Any, given: Any, loaded: Any) -> None:
    method = Method("x_do", renaming, params)
    assert method.load(given) == loaded


def test_all_that_is_wrong_is_told() -> None:
    with pytest.raises(InvalidParams) as caught:
        Method("x_do", renaming, PLAIN).load({"more": 1, "other": 2})
    assert set(caught.value.data["errors"]) == {"name", "more", "other"}
