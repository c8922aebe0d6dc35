"""``files.pattern``: which names new files may have, on every way in."""

import logging

import pytest

from jsonrpc_tm.catalog.builtin import BuiltinCatalog
from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.settings import load
from tests.docs.blocks import blocks
from tests.methods.announced import files_of, want
from tests.methods.driver import Driver

PATTERN = r"(/[^/\s;]+)+"
ODD = ["/vo//x", "a/b", "/x\n", "LFN:/x", "/x;1", "/x/"]
CATALOG = {
    "fields": {"kind": "string"},
    "directories": {"/": {"kind": "x"}, "/vo": {}},
    "files": {lfn: {"kind": "x"} for lfn in ("/vo/good", "/vo/known odd", "/vo/new odd")},
}


@pytest.fixture
async def strict(storage):
    """A server with the pattern, and a file that was known before."""
    tm = Driver(storage, DictCatalog(CATALOG), settings={"files.pattern": PATTERN})
    async with tm.service:
        await tm.execute("INSERT INTO DataFiles (LFN, Status) VALUES ('/vo/known odd', 'New')")
        await tm.add("old")
        yield tm


async def test_c9_odd_names_are_refused_where_files_are_named(strict):
    before = await strict.dump()
    for odd in ODD:
        data = await strict.refused("InvalidParams", "addFilesToTransformation", "old", ["/vo/new", odd])
        assert data["errors"] == {"lfns": {odd: [f"The name does not match {PATTERN}."]}}
    assert await strict.dump() == before
    await strict.add("t")
    assert (await strict("addFilesToTransformation", "t", ["/vo/known odd", "/vo/x"]))["Failed"] == {}


async def test_c9_odd_names_fail_one_by_one_where_files_are_announced(strict, caplog):
    await want(strict, "t", {"kind": "x"})
    reason = f"The name does not match {PATTERN}"
    with caplog.at_level(logging.WARNING, "jsonrpc_tm"):
        answer = await strict("addFile", ["/vo/new odd", "/vo/good", "/vo/known odd", "/nosuch odd"])
        assert answer["Successful"] == {"/vo/good": True, "/vo/known odd": True}
        assert answer["Failed"] == {"/vo/new odd": reason, "/nosuch odd": "no such file: /nosuch odd"}
        answer = await strict("addDirectory", "/vo")
        assert answer == {"Added": 2, "Successful": ["/vo/good", "/vo/known odd"], "Failed": ["/vo/new odd"]}
        assert await strict("setMetadata", "/vo/new odd", {"kind": "x"}) is None
        assert await strict.add("u", inputMetaQuery={"kind": "x"}) == 3
    assert await strict("exists", ["/vo/new odd"]) == {"Successful": {"/vo/new odd": False}, "Failed": {}}
    for trans in (2, 3):
        assert sorted(await files_of(strict, trans)) == ["/vo/good", "/vo/known odd"]
    said = [record.getMessage() for record in caplog.records]
    # addTransformation asks the catalog twice
    assert said == ["1 file(s) are left out because of their names, such as '/vo/new odd': see files.pattern"] * 5


async def test_c9_what_is_fed_and_announced_at_once_is_refused_as_a_whole(strict):
    strict.catalog.current = BuiltinCatalog(strict.service.storage)
    data = await strict.refused("InvalidParams", "catalog.addFiles", {"/vo/new odd": {}, "/vo/good": {}}, True)
    assert list(data["errors"]["files"]) == ["/vo/new odd"]
    assert await strict("catalog.find", {}) == []
    assert await strict("catalog.addFiles", {"/vo/known odd": {}}, True) == {"Added": 1, "Changed": 0}


@pytest.mark.parametrize("wrong", ["(", "*", "(?P<a", 5])
def test_c9_a_bad_pattern_stops_the_start(wrong):
    with pytest.raises(ConfigurationError, match=r"files\.pattern"):
        load(None, {}, {"files.pattern": wrong}, ())


def test_c9_the_page_shows_this_pattern():
    assert f"  pattern: '{PATTERN}'" in "\n".join(blocks("docs/catalog.md", "yaml"))
