"""Sites whose catalog is elsewhere: the catalog ``none``."""

import pytest

from jsonrpc_tm.app import create_service
from jsonrpc_tm.catalog.builtin import BuiltinCatalog
from jsonrpc_tm.catalog.none import NoCatalog
from jsonrpc_tm.core.errors import CatalogError, ConfigurationError
from tests.methods.announced import files_of, want
from tests.methods.driver import NEW

# as DIRAC's client sends it: always with addFiles
ADD = (*NEW, "General", 1, 0, "", 0, 0, True, {"TransformationID": 7, "Site": "A"}, None)
LFN = "/vo/7/x.dat"


@pytest.fixture
async def elsewhere(sqlite_tm):
    sqlite_tm.catalog.current = NoCatalog()
    return sqlite_tm


async def test_c1_a_transformation_with_a_query_is_created_and_gets_what_is_announced(elsewhere):
    assert await elsewhere("addTransformation", "t", *ADD) == 1
    assert await elsewhere("getTransformationStats", 1) == {"Total": 0}
    wanted = {"TransformationID": 7, "Site": "A", "Size": 5}
    files = {LFN: wanted, "/vo/8/y.dat": {**wanted, "TransformationID": 8}, "/vo/none": None, "/vo/odd": "x"}
    answer = await elsewhere("addFile", files, True, who="carol")
    assert answer == {"Successful": {**dict.fromkeys(files, False), LFN: True}, "Failed": {}}
    assert await files_of(elsewhere, 1, "Status") == {LFN: {"Status": "Unused"}}


@pytest.mark.parametrize("given", ["/a", ["/a", "/b", "/a"], {"/a": {}, "/b": {"Site": None, "nested": [1]}}])
async def test_c1_files_without_metadata_are_those_that_lack_every_field(elsewhere, given):
    await want(elsewhere, "any", {"Site": "Any"})
    await want(elsewhere, "missing", {"Site": "Missing"})
    names = list(dict.fromkeys([given] if isinstance(given, str) else given))
    assert await elsewhere("addFile", given) == {"Successful": dict.fromkeys(names, True), "Failed": {}}
    assert await files_of(elsewhere, 1) == {}
    assert list(await files_of(elsewhere, 2)) == names


async def test_c1_set_metadata_takes_any_path_for_a_file(elsewhere):
    await want(elsewhere, "t", {"Site": "A"})
    await elsewhere("setMetadata", "/vo/any/path", {"Site": "A"})
    await elsewhere("setMetadata", "/vo/other/path", {"Site": "B"})
    assert list(await files_of(elsewhere, 1)) == ["/vo/any/path"]


async def test_c1_nothing_is_known(elsewhere):
    assert (await elsewhere.refused("NotFound", "addDirectory", "/vo"))["what"] == "path"
    assert await elsewhere("catalog.find", {"nosuch": 1}) == []
    await elsewhere.refused("NotFound", "catalog.get", "/vo/x")
    await elsewhere.refused("CatalogError", "catalog.addFiles", {"/vo/x": {}})


async def test_c1_messages_name_the_built_in_catalog(sqlite_tm):
    sqlite_tm.catalog.current = BuiltinCatalog(sqlite_tm.service.storage)
    with pytest.raises(CatalogError, match="The server's built-in catalog has no metadata field 'TransformationID'"):
        await sqlite_tm("addTransformation", "t", *ADD)
    with pytest.raises(CatalogError, match="built-in catalog has no"):
        await sqlite_tm("catalog.find", {"nosuch": "Missing"})
    # what is announced is another's word as long as there is a catalog
    await want(sqlite_tm, "t", {"Site": "A"})
    answer = await sqlite_tm("addFile", {LFN: {"Site": "A"}})
    assert (answer["Successful"], list(answer["Failed"])) == ({}, [LFN])


async def test_c1_it_is_configured_by_its_name():
    overrides = {"storage.url": "sqlite://:memory:", "catalog": "none"}
    async with create_service(overrides=overrides) as service:
        assert await service.catalog.find({"a": 1}) == []
    with pytest.raises(ConfigurationError, match="the catalog none has no option path"):
        create_service(overrides={**overrides, "catalog": {"name": "none", "path": "/"}})
