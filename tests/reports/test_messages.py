"""What a person reads who prints the error."""

import pytest

from jsonrpc_tm.core.errors import InvalidParams, TMError


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("addTransformation",), "transName: Missing data for required field."),
        (("getTransformations", None, None, None, "CreationDate", None, -1), "limit: Must be at least 0."),
        (("getTransformations", {"NoSuch": 1}), "condDict.NoSuch: Not a column. Valid: TransformationID, "),
        (("getTransformations", {"Status": {"~": 1}}), "condDict.Status.~: Not an operator. Valid: =, !=, in, nin, <"),
        (("getTransformations", {}, None, None, "CreationDate", "NoSuch"), "orderAttribute: 'NoSuch' is not a column"),
        (("addFilesToTransformation", 1, ["/a", ""]), "lfns[1]: Must not be empty."),
        (("ping", 1), "1 given, it takes none."),
        (("getTransformation", 1, 2, 3), "3 given, it takes 2: transName, extraParams."),
        (("setTransformationParameter", 1, "status", "x"), "paramName: 'status' is no parameter; did you mean Status?"),
        (("setTransformationParameter", 1, "GroupSize", "x"), "paramValue: Not a number."),
        (("deleteTasks", 1, 5, 2), "taskMin: Must not be more than taskMax."),
        (("createTransformationMetaQuery", 1, {"a": {"~": 1}}, "Input"), "queryDict.a: "),
        (("getTransformationSummaryWeb", {"FromDate": "x"}, [], 0, 1), "selectDict.FromDate: Not a date-time"),
    ],
)
async def test_e3_the_message_has_the_first_error(sqlite_tm, call, message):
    with pytest.raises(InvalidParams) as caught:
        await sqlite_tm(*call)
    told = str(caught.value)
    assert told == caught.value.message
    begins = (f"Invalid parameters for {call[0]}", "Invalid parameters", "Invalid value for GroupSize")
    assert told.startswith(tuple(f"{begin}: {message}" for begin in begins)), told


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ({"transname": "t"}, "transName"),
        ({"transName": "t", "extraParam": True}, "extraParams"),
        ({"transName": "t", "zz": 1, "extra_params": True}, "extraParams"),
        # what is given already is not what was meant
        ({"transName": "t", "transname": "t"}, None),
        ({"transName": "t", "zz": 1}, None),
    ],
)
async def test_an_unknown_name_of_a_parameter_may_be_a_slip(sqlite_tm, slip, meant):
    data = await sqlite_tm.refused("InvalidParams", "getTransformation", **slip)
    assert data.get("did_you_mean") == meant
    unknown = [name for name in slip if name not in ("transName", "extraParams")]
    assert [*data["errors"]][: len(unknown)] == unknown  # before what is missing
    assert all("Unknown field." in data["errors"][name] for name in unknown)


async def test_e3_what_callers_wrote_is_cut(sqlite_tm):
    for name in ("x" * 10_000, "y" * 200):
        with pytest.raises(InvalidParams) as caught:
            await sqlite_tm("getTransformations", {name: 1})
        assert len(caught.value.message) < 250 and name[:100] in caught.value.message
        assert list(caught.value.data["errors"]["condDict"]) == [name]


def test_e3_other_shapes_of_errors():
    """Plugins may give errors in any shape, or none."""
    assert InvalidParams("No").message == InvalidParams("No", errors={}).message == "No"
    assert InvalidParams("No", errors=["a", "b"]).message == "No: a"
    assert InvalidParams("No", errors={"x": {0: {"y": ["bad"]}}}).message == "No: x[0].y: bad"
    assert isinstance(InvalidParams("No", errors="bad"), TMError)
