"""Long lists of files are got ready slice by slice, with one outcome."""

import pytest

from jsonrpc_tm.core.errors import InvalidState, NotFound
from jsonrpc_tm.domain.transitions import files


@pytest.fixture
async def lfns(tm, monkeypatch):
    """Seven files of the transformation ``t``, for slices of two."""
    monkeypatch.setattr(files, "SLICE", 2)
    await tm("addTransformation", "t", "", "", "Processing", "Standard", "Manual", "")
    names = [f"/vo/{number}" for number in range(7)]
    await tm("addFilesToTransformation", "t", names)
    return names


async def statuses(tm):
    return {row["LFN"]: row["Status"] for row in await tm("getTransformationFiles", {"TransformationID": 1})}


async def test_files_are_reported(tm, lfns):
    wanted = {lfn: "Processed" if number % 3 else "Assigned" for number, lfn in enumerate(lfns)}
    await tm("setFileStatus", "t", wanted, True)
    assert await statuses(tm) == wanted
    with pytest.raises(NotFound):
        await tm("setFileStatusForTransformation", "t", {**dict.fromkeys("1234567", "MaxReset"), "99": "Unused"})
    assert await statuses(tm) == wanted, "all or none"


async def test_files_go_into_tasks(tm, lfns):
    order = [lfns[number] for number in (6, 0, 3, 5, 1)]
    tasks = await tm("addTasks", "t", [{"lfns": order[:3]}, {"lfns": order[3:]}])
    rows = await tm("getTransformationFiles", {"TransformationID": 1})
    assert {row["LFN"]: row["TaskID"] for row in rows if row["TaskID"]} == {
        **dict.fromkeys(order[:3], tasks[0]),
        **dict.fromkeys(order[3:], tasks[1]),
    }
    with pytest.raises(InvalidState) as refused:
        await tm("addTasks", "t", [{"lfns": [*lfns, "/other"]}])
    assert set(refused.value.data["files"]) == {*order, "/other"}
