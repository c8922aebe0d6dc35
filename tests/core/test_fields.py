"""What each kind of parameter accepts and loads, and that its JSON Schema says so."""

import jsonschema
import marshmallow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError, missing
from marshmallow.validate import Range

from jsonrpc_tm.core import fields, values
from jsonrpc_tm.methods import files, parameters, service, tasks, transformations

BIG = 2**63 - 1
INTEGERS = [0, 1, -1, BIG, -BIG]
NOT_INTEGERS = [1.0, "x", True, None, [], {}, 2**63, -(2**63)]


def accepts(field, good, bad):
    for given_, loaded in good:
        got = field.deserialize(given_)
        assert (got, type(got)) == (loaded, type(loaded))
    for given_ in bad:
        with pytest.raises(ValidationError):
            field.deserialize(given_)


def same(*values):
    return [(value, value) for value in values]


def test_integers():
    accepts(fields.Integer(), same(*INTEGERS), ["1", *NOT_INTEGERS])
    accepts(fields.Integer(2, 3), same(2, 3), [1, 4])
    accepts(fields.Count(), same(0, BIG), [-1, "0", *NOT_INTEGERS])
    accepts(fields.Count(5), same(0, 5), [6])
    accepts(fields.PositiveInteger(), same(1), [0])
    accepts(fields.Size(), same(0, 0.0, 2.5, BIG), [-1, -0.5, "1", True, None, float("inf"), float("nan")])


def test_identifiers():
    texts = [("12", 12), ("-12", -12), ("007", 7), ("0" * 250 + "1", 1), (str(BIG), BIG)]
    bad = ["", "-", "+1", "1.0", " 1", "1\n", "1_0", "\N{ARABIC-INDIC DIGIT ONE}", str(2**63), "9" * 5000, "0" * 300]
    accepts(fields.Id(), [*same(*INTEGERS), *texts], [*bad, *NOT_INTEGERS])
    accepts(fields.Id(0), [(0, 0), ("1", 1)], [-1, "-1"])
    accepts(fields.Ids(), [(1, [1]), ("2", [2]), ([], []), ([1, "2", 1], [1, 2, 1])], [[1.0], [[1]], None, "x", {}])


def test_a_transformation_is_an_id_or_a_name():
    names = ["t", "", " 1", "1.0", "1e3", "-5", "-0", "-" + "9" * 20, "--1", "\N{ARABIC-INDIC DIGIT ONE}", "x" * 1000]
    accepts(
        fields.Transformation(),
        [*same(*INTEGERS, *names), ("12", 12), ("0", 0)],
        ["a\0", "9" * 20, *(value for value in NOT_INTEGERS if value != "x")],
    )


def test_texts():
    accepts(fields.Text(3), same("", "abc", "日😀 "), ["abcd", "a\0", None, 5, True, ["a"], {}])
    accepts(fields.Text(3, empty=False), same("a"), [""])
    accepts(fields.Text(None), same("x" * 100_000), [None])
    accepts(fields.Choice("a", "b"), same("a"), ["A", "", None, ["a"], 1])
    accepts(fields.Boolean(), same(True, False), [1, 0, "true", None])
    accepts(fields.Object(), same({}, {"a": 1}), [[], "x", None])


def test_lists_of_texts():
    accepts(fields.Texts(3), same([], ["a", "a"]), ["a", {"a": 1}, None, [""], ["abcd"], ["a\0"], [1], [None], [["a"]]])
    accepts(fields.Texts(3, minimum=1), same(["a"]), [[]])
    accepts(fields.Texts(3, single=True, empty=True), [("a", ["a"]), ("", [""]), ([""], [""])], ["abcd", {"a": 1}])
    accepts(fields.Texts(3, keys=True), [({"a": 1, "b": 2}, ["a", "b"])], [{"": 1}, {"abcd": 1}])
    accepts(fields.OrderBy(), [("a", ["a"]), (["a", "b:DESC"], ["a", "b:DESC"]), ([], []), ("", [""])], [1, {}, [1]])
    assert fields.OrderBy().deserialize(None) is None


def test_the_last_key_seen():
    accepts(fields.After(), [(1, [1]), ("2", [2])], [[1], [1, 2], 1.0, "x", {}, True])
    accepts(fields.After(pair=True), [(1, [1]), ([1, "2"], [1, 2])], [[1], [1, 2, 3], [], [1, None], "x"])
    assert fields.After(pair=True).deserialize(None) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-10-15", "2024-10-15 00:00:00"),
        ("2024-10-15 12:34:56", "2024-10-15 12:34:56"),
        ("2024-10-15T12:34:56", "2024-10-15 12:34:56"),
        ("2024-10-15T12:34:56Z", "2024-10-15 12:34:56"),
        ("2024-10-15 12:34", "2024-10-15 12:34:00"),
        ("2024-10-15T12:34:56.999999999", "2024-10-15 12:34:56"),
        ("2024-10-15T12:34:56.5+02:00", "2024-10-15 10:34:56"),
        ("2024-10-15T01:00:00+0200", "2024-10-14 23:00:00"),
        ("2024-10-15T01:00:00+02", "2024-10-14 23:00:00"),
        ("2024-12-31T23:30:00-01:00", "2025-01-01 00:30:00"),
        ("0001-01-01", "0001-01-01 00:00:00"),
        ("", None),
    ],
)
def test_moments(text, moment):
    assert fields.DateTime().deserialize(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "2024-02-30",
        "2024-13-01",
        "2024-10-15T25:00:00",
        "2024-10-15T12:60:00",
        "2024-10-15T12",
        "20241015",
        "2024-W42-2",
        "2024-10-15Z",
        "2024-10-15 12:34:56 ",
        "2024-10-15T12:34:56+25:00",
        "0001-01-01T00:00:00+01:00",
        "\N{ARABIC-INDIC DIGIT TWO}024-10-15",
        "2024-10-15\n",
        5,
        True,
        ["2024-10-15"],
    ],
)
def test_what_is_no_moment(text):
    with pytest.raises(ValidationError):
        fields.DateTime().deserialize(text)


def test_numbers_as_text():
    assert [values.number_as_text(value) for value in (5, -7, 1.5, 1.0, True, None, "5")] == [
        "5",
        "-7",
        "1.5",
        "1.0",
        True,
        None,
        "5",
    ]


def test_a_parameter_must_be_a_field_of_ours():
    from marshmallow import fields as others

    with pytest.raises(TypeError, match=r"use a field of jsonrpc_tm\.api\.fields"):
        fields.check({"a": others.Integer()})


METHODS = [
    method for module in (transformations, parameters, files, tasks, service) for method in module.register_methods()
]
WORDS = st.sampled_from(["", "t", "1", "-1", "01", "a\0", "Status", "Col:DESC", "2024-10-15", "x" * 256, "x" * 17])
SCALARS = WORDS | st.integers(-2, 3) | st.sampled_from([None, True, False, 1.5, 2.0, BIG])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=2), max_leaves=5
)


@settings(max_examples=60, deadline=None)
@given(VALUES)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_json_schema_takes_whatever_the_parameter_takes(method, value):
    for field in method.params.values():
        try:
            field.deserialize(value)
        except ValidationError:
            continue
        jsonschema.validate(value, field.json_schema(), jsonschema.Draft7Validator)


@pytest.mark.parametrize("unusual", [{"validate": [Range(2)]}, {"pre_load": [repr]}, {"post_load": [str]}])
@pytest.mark.parametrize("value", [1, None, missing])
def test_what_is_unusual_is_left_to_marshmallow(unusual, value):
    def outcome(field):
        try:
            return field.deserialize(value)
        except ValidationError as error:
            return error.messages

    class Plain(fields.Field):
        """Integers, as marshmallow alone would have them."""

        deserialize = marshmallow.fields.Field.deserialize

        def _deserialize(self, value, *_, **__):
            if type(value) is not int:
                raise ValidationError("Not an integer.")
            return value

    assert outcome(fields.Integer(**unusual)) == outcome(Plain(**unusual))
