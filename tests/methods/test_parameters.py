"""Core and additional parameters: types, lengths, compare-and-set."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.core.model import CORE_PARAMETERS, MUTABLE_PARAMETERS
from jsonrpc_tm.domain.parameters import same

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RELAXED = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


async def value(tm, name):
    return await tm("getTransformationParameters", 1, name)


@pytest.mark.parametrize("name", MUTABLE_PARAMETERS)
async def test_mutable_core_parameters_are_set_and_move_last_update(sqlite_tm, name):
    await sqlite_tm.add()
    new = 12 if name in ("GroupSize", "MaxNumberOfTasks") else "new"
    for second in (1, 2):  # the same value again counts
        sqlite_tm.later()
        assert await sqlite_tm("setTransformationParameter", 1, name, new) is None
        assert await value(sqlite_tm, name) == new
        assert await value(sqlite_tm, "LastUpdate") == f"2024-10-15T12:00:0{second}Z"
    line = "Body updated" if name == "Body" else f"{name} updated to {new}"
    assert await sqlite_tm.log() == ["Created transformation 1", line, line]


@pytest.mark.parametrize("name", [name for name in CORE_PARAMETERS if name not in MUTABLE_PARAMETERS])
async def test_the_other_core_parameters_are_fixed(sqlite_tm, name):
    await sqlite_tm.add()
    before = await sqlite_tm.dump()
    for who in ("manager", "visitor"):  # a wrong parameter comes before the right
        await sqlite_tm.refused("InvalidParams", "setTransformationParameter", 1, name, "x", who=who)
        await sqlite_tm.refused("InvalidParams", "deleteTransformationParameter", 1, name, who=who)
    assert await sqlite_tm.dump() == before


@pytest.mark.parametrize("name", MUTABLE_PARAMETERS)
async def test_mutable_core_parameters_cannot_be_deleted(sqlite_tm, name):
    await sqlite_tm.add()
    await sqlite_tm.refused("InvalidParams", "deleteTransformationParameter", 1, name)


@pytest.mark.parametrize(
    ("name", "given", "stored", "told"),
    [
        ("GroupSize", "7.25", 7.25, "7.25"),
        ("GroupSize", "1e2", 100.0, "1e2"),
        ("GroupSize", 5, 5.0, "5"),
        ("GroupSize", 0, 0.0, "0"),
        ("MaxNumberOfTasks", "12", 12, "12"),
        ("MaxNumberOfTasks", "012", 12, "012"),
        ("MaxNumberOfTasks", 2**63 - 1, 2**63 - 1, str(2**63 - 1)),
        ("Description", 12, "12", "12"),
        ("Description", 1.5, "1.5", "1.5"),
        ("Description", 1.0, "1.0", "1.0"),
        ("Description", -(2**63) + 1, "-9223372036854775807", "-9223372036854775807"),
        ("Status", 7, "7", "7"),
        ("TransformationName", 1.5, "1.5", "1.5"),
        ("TransformationFamily", "f" * 64, "f" * 64, "f" * 64),
        ("LongDescription", "l" * 65535, "l" * 65535, "l" * 225 + "..."),
        ("Body", 5, "5", None),
    ],
)
async def test_coercions(sqlite_tm, name, given, stored, told):
    await sqlite_tm.add()
    await sqlite_tm("setTransformationParameter", 1, name, given)
    answer = await value(sqlite_tm, name)
    assert (answer, type(answer)) == (stored, type(stored))
    assert (await sqlite_tm.log())[-1] == ("Body updated" if told is None else f"{name} updated to {told}")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("GroupSize", "abc"),
        ("GroupSize", ""),
        ("GroupSize", "nan"),
        ("GroupSize", "1e999"),
        ("GroupSize", "1_0"),
        ("GroupSize", -1),
        ("GroupSize", "-0.5"),
        ("GroupSize", None),
        ("GroupSize", True),
        ("GroupSize", [1]),
        ("MaxNumberOfTasks", 1.7),
        ("MaxNumberOfTasks", 5.0),
        ("MaxNumberOfTasks", "5.0"),
        ("MaxNumberOfTasks", -1),
        ("MaxNumberOfTasks", "-1"),
        ("MaxNumberOfTasks", " 1"),
        ("MaxNumberOfTasks", "9" * 20),
        ("MaxNumberOfTasks", None),
        ("MaxNumberOfTasks", False),
        ("Description", None),
        ("Description", True),
        ("Description", ["a"]),
        ("Description", {"a": 1}),
        ("Description", "d" * 256),
        ("Description", "a\0b"),
        ("LongDescription", "l" * 65536),
        ("AgentType", "a" * 33),
        ("Status", "s" * 33),
        ("TransformationFamily", "f" * 65),
        ("Body", None),
        ("Body", "\0"),
        ("TransformationName", ""),
        ("TransformationName", "99"),
        ("TransformationName", 99),
        ("TransformationName", "n" * 256),
    ],
)
async def test_values_that_do_not_fit_change_nothing(sqlite_tm, name, wrong):
    await sqlite_tm.add()
    before = await sqlite_tm.dump()
    data = await sqlite_tm.refused("InvalidParams", "setTransformationParameter", 1, name, wrong)
    assert list(data["errors"]) == ["paramValue"]
    assert await sqlite_tm.dump() == before


async def test_what_is_wrong_with_a_number(sqlite_tm):
    await sqlite_tm.add()
    for name, wrong, said in (
        ("GroupSize", None, "Must not be null."),
        ("MaxNumberOfTasks", "5.0", "Not an integer of 64 bits."),
        ("MaxNumberOfTasks", -1, "Must be at least 0."),
    ):
        data = await sqlite_tm.refused("InvalidParams", "setTransformationParameter", 1, name, wrong)
        assert data["errors"] == {"paramValue": [said]}


@pytest.mark.parametrize("name", ["", "p" * 33, "a\0", 5, None, ["a"]])
async def test_names_of_parameters(sqlite_tm, name):
    await sqlite_tm.add()
    await sqlite_tm.refused("InvalidParams", "setTransformationParameter", 1, name, 1)
    await sqlite_tm.refused("InvalidParams", "deleteTransformationParameter", 1, name)


async def test_renaming(tm):
    await tm.add("t")
    await tm.add("u")
    await tm("setTransformationParameter", "t", "TransformationName", "t")
    await tm.refused("Conflict", "setTransformationParameter", "t", "TransformationName", "u")
    await tm("setTransformationParameter", "t", "TransformationName", "U")
    await tm.refused("NotFound", "getTransformation", "t")
    assert await tm.log("U") == [
        "Created transformation 1",
        "TransformationName updated to t",
        "TransformationName updated to U",
    ]


@RELAXED
@given(JSON, JSON)
async def test_additional_parameters_keep_any_json(sqlite_tm, one, other):
    tm = sqlite_tm
    if not await tm("getTransformations"):
        await tm.add()
    await tm("setTransformationParameter", 1, "P", one)
    got = await value(tm, "P")
    assert same(got, one)
    assert type(got) is type(one)
    if same(one, other) and other is not None:
        await tm("setTransformationParameter", 1, "P", "new", other)
        assert await value(tm, "P") == "new"
    else:
        await tm.refused("Conflict", "setTransformationParameter", 1, "P", "new", other)
        assert same((await tm("getTransformation", 1, True))["P"], one)


async def test_additional_parameters_on_both_engines(tm):
    await tm.add()
    values = {"a": 1, "A": "ü😀\\'\"", "á": None, "a ": [1.0, {"b": True}], "big": 2**63 - 1, "long": "x" * 100_000}
    for name, one in values.items():
        await tm("setTransformationParameter", 1, name, None)
        await tm("setTransformationParameter", 1, name, one)
    assert await tm("getAdditionalParameters", 1) == values
    assert await tm("getTransformationParameters", 1, ["a", "Status", "a "]) == {
        "a": 1,
        "Status": "New",
        "a ": values["a "],
    }
    await tm("deleteTransformationParameter", 1, "a")
    await tm.refused("NotFound", "deleteTransformationParameter", 1, "a")
    del values["a"]
    assert await tm("getAdditionalParameters", 1) == values
    assert (await tm.log())[-1] == "Removed additional parameter a"
    assert (await tm.log())[1:3] == ["Added additional parameter a"] * 2
    assert await value(tm, "LastUpdate") == "2024-10-15T12:00:00Z"


@pytest.mark.parametrize("wrong", ["a\0b", ["\0"], {"a": {"\0": 1}}, [{"a": ["\0"]}]])
async def test_u0000_is_refused_at_any_depth(sqlite_tm, wrong):
    await sqlite_tm.add()
    await sqlite_tm.refused("InvalidParams", "setTransformationParameter", 1, "P", wrong)
    await sqlite_tm("setTransformationParameter", 1, "P", "\\u0000")


@pytest.mark.parametrize(
    ("name", "present", "expected"),
    [
        ("Status", "New", "New"),
        ("GroupSize", 1, 1.0),
        ("GroupSize", 1, 1),
        ("MaxNumberOfTasks", 0, 0),
        ("Body", "", ""),
        ("P", 1, 1.0),
        ("P", {"a": 1, "b": [2]}, {"b": [2.0], "a": 1}),
        ("P", False, False),
    ],
)
async def test_expected_equals_by_value(sqlite_tm, name, present, expected):
    await sqlite_tm.add()
    await sqlite_tm("setTransformationParameter", 1, name, present)
    await sqlite_tm("setTransformationParameter", 1, name, present, expected)


@pytest.mark.parametrize(
    ("name", "present", "expected"),
    [
        ("Status", "New", "new"),
        ("Status", "New", None),
        ("Status", "New", ["New"]),
        ("GroupSize", 1, "1"),
        ("GroupSize", 1, True),
        ("P", 1, True),
        ("P", 0, False),
        ("P", [1, 2], [2, 1]),
        ("P", [1], [1, 1]),
        ("P", {"a": 1}, {"a": 1, "b": 2}),
        ("P", "1", 1),
        ("P", 1, None),
        ("P", None, None),
    ],
)
async def test_another_value_than_expected_is_a_conflict(sqlite_tm, name, present, expected):
    await sqlite_tm.add()
    await sqlite_tm("setTransformationParameter", 1, name, present)
    before = await sqlite_tm.dump()
    await sqlite_tm.refused("Conflict", "setTransformationParameter", 1, name, 7, expected)
    assert await sqlite_tm.dump() == before


async def test_expected_null_only_creates(sqlite_tm):
    await sqlite_tm.add()
    await sqlite_tm("setTransformationParameter", 1, "P", 1, None)
    await sqlite_tm.refused("Conflict", "setTransformationParameter", 1, "P", 2, None)
    await sqlite_tm.refused("Conflict", "setTransformationParameter", 1, "Q", 2, 1)
    assert await sqlite_tm("getAdditionalParameters", 1) == {"P": 1}


async def test_who_may_change_parameters(sqlite_tm):
    tm = sqlite_tm
    await tm.add("t", who="carol")
    for who in ("dave", "alice", "visitor"):
        for name in ("t", "nosuch"):
            await tm.refused("Forbidden", "setTransformationParameter", name, "P", 1, who=who)
            await tm.refused("Forbidden", "deleteTransformationParameter", name, "P", who=who)
    for who in ("carol", "manager"):
        await tm("setTransformationParameter", "t", "P", 1, who=who)
        await tm("deleteTransformationParameter", "t", "P", who=who)
        await tm.refused("NotFound", "deleteTransformationParameter", "t", "P", who=who)
    lines = await tm("getTransformationLogging", "t")
    assert [line["Author"] for line in lines] == ["carol", "carol", "carol", "manager", "manager"]


async def test_reading_parameters(sqlite_tm):
    tm = sqlite_tm
    await tm.add()
    await tm("setTransformationParameter", 1, "P", 1)
    assert await tm("getTransformationParameters", 1, []) == {}
    assert await tm("getTransformationParameters", 1, ["P", "P"]) == 1
    assert await tm("getTransformationParameters", 1, ["P", "Status", "P"]) == {"P": 1, "Status": "New"}
    for missing in ("", "p", ["P", "Q"], "AuthorDN", "x" * 300):
        data = await tm.refused("NotFound", "getTransformationParameters", 1, missing)
        assert data["missing"]
    for wrong in (None, 5, [5], {"P": 1}, [["P"]], "\0"):
        await tm.refused("InvalidParams", "getTransformationParameters", 1, wrong)
    await tm.refused("NotFound", "getTransformationParameters", "nosuch", [])


async def test_values_of_an_adopted_database_are_read_by_their_type(tm):
    await tm.add()
    rows = [("Text", "[1]", "StringType"), ("Int", "7", "IntType"), ("Long", "8", "LongType")]

    async def insert(tx):
        for name, text, kind in rows:
            await tx.execute(
                "INSERT INTO AdditionalParameters (TransformationID, ParameterName, ParameterValue, ParameterType)"
                " VALUES (1, :name, :text, :kind)",
                {"name": name, "text": text, "kind": kind},
            )

    await tm.storage.storage.run("test", insert)
    assert await tm("getAdditionalParameters", 1) == {"Text": "[1]", "Int": 7, "Long": 8}
