"""Slips that were accepted and came to light much later, if ever."""

import pytest

from jsonrpc_tm.core.model import CORE_PARAMETERS

SEMICOLON = "/vo/x.dat;1"


async def test_c2_a_name_with_a_semicolon_goes_into_no_task(tm):
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/vo/x.dat;1", "/vo/x.dat;2", "/vo/y.dat"])
    before = await tm.dump()
    data = await tm.refused("InvalidState", "addTaskForTransformation", 1, ["/vo/y.dat", SEMICOLON])
    assert list(data["files"]) == [SEMICOLON]
    assert "';'" in data["files"][SEMICOLON]
    assert await tm.dump() == before
    assert await tm("addTaskForTransformation", 1, ["/vo/y.dat"]) == 1
    (task,) = await tm("getTransformationTasks", {"TransformationID": 1}, inputVector=True)
    assert task["InputVector"].split(";") == ["/vo/y.dat"]


async def test_c2_every_reason_is_told_at_once(sqlite_tm):
    tm = sqlite_tm
    await tm.add()
    await tm("addFilesToTransformation", 1, ["/a;b", "/used"])
    await tm("addTaskForTransformation", 1, ["/used"])
    data = await tm.refused("InvalidState", "addTaskForTransformation", 1, ["/a;b", "/used", "/no;where", "/where"])
    reasons = data["files"]
    assert (reasons["/used"], reasons["/where"]) == ("Assigned", "not in the transformation")
    assert "';'" in reasons["/a;b"] and reasons["/no;where"] == "not in the transformation"


@pytest.mark.parametrize("change", [str.lower, str.upper, str.swapcase])
async def test_c3_a_core_parameter_in_another_case_is_a_slip(sqlite_tm, change):
    tm = sqlite_tm
    await tm.add()
    before = await tm.dump()
    for name in CORE_PARAMETERS:
        data = await tm.refused("InvalidParams", "setTransformationParameter", 1, change(name), "Active")
        assert data["did_you_mean"] == name
        assert list(data["errors"]) == ["paramName"]
    # also where the caller only wants to create it
    await tm.refused("InvalidParams", "setTransformationParameter", 1, "status", "Active", expected=None)
    assert await tm.dump() == before


async def test_c3_an_adopted_one_stays_readable_and_deletable(sqlite_tm):
    tm = sqlite_tm
    await tm.add()
    sql = "INSERT INTO AdditionalParameters VALUES (1, 'status', '\"Active\"', 'JSON')"
    await tm.execute(sql)
    assert await tm("getAdditionalParameters", 1) == {"status": "Active"}
    assert await tm("getTransformationParameters", 1, ["status", "Status"]) == {"status": "Active", "Status": "New"}
    await tm.refused("InvalidParams", "setTransformationParameter", 1, "status", "Active", expected="Active")
    await tm("deleteTransformationParameter", 1, "status")
    assert await tm("getAdditionalParameters", 1) == {}
