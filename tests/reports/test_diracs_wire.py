"""Rules that hold for what DIRAC's own clients say, too."""

import pytest
import trustme

from jsonrpc_tm.auth import devcerts
from tests.auth import pki
from tests.dirac.conftest import BASE, Dirac, serving


@pytest.fixture
async def dirac(tmp_path):
    """A server; ``admin`` is a manager's proxy."""
    statuses = {"Cleaning": ["Cleaner"], "Completed": ["Cleaner"]}
    async with serving(tmp_path / "tls", **{"authorization.statuses": statuses}) as (url, folder, service):
        made = devcerts.Folder(folder)
        ca = trustme.CA.from_pem(made.ca.read_bytes(), made.key("ca").read_bytes())
        dirac = Dirac(url, made.ca, tmp_path, service)
        dirac.admin = pki.proxy(pki.user(ca, f"{BASE}adminuser"), group="dirac_prod").write(tmp_path, "admin")
        yield dirac


async def test_c5_operators_in_diracs_wire(dirac):
    async def value(method, *params):
        return (await dirac.call(dirac.admin, method, *params)).value

    await value("addTransformation", "t", "d", "l", "Processing", "Standard", "Manual", "")
    await value("addFilesToTransformation", 1, ["/a", "/b", "/c"])
    await value("setFileStatusForTransformation", 1, {1: ["Problematic", True], 2: ["Processed", False]})

    async def names(condition):
        return [row["LFN"] for row in await value("getTransformationFiles", condition)]

    assert await names({"ErrorCount": {">": 0}}) == ["/a"]
    assert await names({"Status": {"!=": "Processed"}, "LFN": {"like": "/_"}}) == ["/a", "/c"]
    assert await names({"TaskID": {"=": None}, "LFN": {"nin": ["/a"]}}) == ["/b", "/c"]
    refused = await dirac.call(dirac.admin, "getTransformationFiles", {"ErrorCount": {"$gt": 0}})
    assert not refused.json["OK"] and "$gt" in refused.json["Message"]
    # the author by DN, which is no column of ours
    mine, nobody = f"{BASE}adminuser", "/CN=nobody"
    for condition, number in (({"=": mine}, 1), ({"!=": mine}, 0), ({"in": [nobody, mine]}, 1), ({"nin": nobody}, 1)):
        assert len(await value("getTransformations", {"AuthorDN": condition})) == number
    for condition in ({"like": "/O=%"}, {"=": 1}, {}):
        assert not (await dirac.call(dirac.admin, "getTransformations", {"AuthorDN": condition})).json["OK"]


async def test_c4_a_status_in_diracs_wire(dirac):
    first = await dirac.call(dirac.admin, "addTransformation", "t", "d", "l", "Processing", "Standard", "Manual", "")
    assert first.value == 1
    for call in (("setTransformationParameter", 1, "Status", "Cleaning"), ("completeTransformation", 1)):
        refused = await dirac.call(dirac.admin, *call)
        assert refused.json["Errno"] == 13 and "Cleaner" in refused.json["Message"]
    assert (await dirac.call(dirac.admin, "getTransformationParameters", 1, "Status")).value == "New"
