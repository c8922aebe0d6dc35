"""What the file catalog tells the server about directories, metadata and files that go (section 6.4)."""

from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.storage.sqlite.threads import SqliteTransaction

from .announced import CONTENT, files_of, want

KEEPER = Identity("kim", "keepers", frozenset({"FileCatalogManagement"}))


async def test_what_grows_with_the_transformations_is_done_aside(small, monkeypatch):
    """Each of these kept the event loop from others for 15 to 30 ms, of 10,000 transformations on MariaDB."""
    real, done = SqliteTransaction.aside, []

    async def aside(tx, size, function, *args):
        if size in (5, 10):  # they, and each with its file
            done.append(function.__qualname__.partition(".<")[0])
        return await real(tx, size, function, *args)

    monkeypatch.setattr(SqliteTransaction, "aside", aside)
    for name in "abcde":
        await want(small, name, {"zenith": 20})
    await small("addFile", ["/vo/g/1"])
    assert sorted(done) == ["Work.hold_wanting", "_by_transformation", "announce", "give", "give", "write"]


# addDirectory


async def test_a_directory(world):
    await want(world, "t", {"zenith": 20})
    await world.refused("Forbidden", "addDirectory", "/vo/g", who="visitor")
    assert await world("addDirectory", "/vo/g", who="carol") == {
        "Added": 2,
        "Successful": ["/vo/g/1", "/vo/g/2", "/vo/g/3"],
        "Failed": [],
    }
    assert list(await files_of(world, 1)) == ["/vo/g/1", "/vo/g/2"]
    assert await world("addDirectory", "/vo/none", True) == {"Added": 0, "Successful": [], "Failed": []}
    for path in ("/nosuch", "/vo/g/1", "/vo/g/"):
        await world.refused("NotFound", "addDirectory", path)
    for path in (None, ["/vo/g"], "", 5, "/a\0"):
        await world.refused("InvalidParams", "addDirectory", path)


async def test_a_file_that_goes_while_its_directory_is_read(small):
    class Fading(DictCatalog):
        async def files(self, lfns):
            return {lfn: metadata for lfn, metadata in (await super().files(lfns)).items() if lfn != "/vo/g/2"}

    small.catalog.current = Fading(CONTENT)
    await want(small, "t", {"particle": "gamma"})
    assert await small("addDirectory", "/vo/g") == {
        "Added": 2,
        "Successful": ["/vo/g/1", "/vo/g/3"],
        "Failed": ["/vo/g/2"],
    }


# setMetadata


async def test_metadata_of_a_file_are_overlaid(world):
    await want(world, "t", {"particle": "gamma", "site": "S"})
    assert await world("setMetadata", "/vo/g/1", {"site": "N"}, who=KEEPER) is None
    assert await world("setMetadata", "/vo/p/5", {"site": "S"}) is None
    assert await files_of(world, 1) == {}
    assert await world("setMetadata", "/vo/g/1", {"site": "S"}) is None
    assert await world("setMetadata", "/vo/p/5", {"site": "S", "particle": "gamma"}) is None
    assert list(await files_of(world, 1)) == ["/vo/g/1", "/vo/p/5"]
    assert await world.catalog.current.files(["/vo/g/1"]) == {
        "/vo/g/1": {"particle": "gamma", "zenith": 20, "size": 1.5}
    }


async def test_metadata_of_a_directory_count_for_files_at_any_depth(world):
    await want(world, "t", {"new": 1, "zenith": 20})
    assert await world("setMetadata", "/vo", {"new": 1}) is None
    assert list(await files_of(world, 1)) == ["/vo/g/1", "/vo/g/2", "/vo/g/deep/4"]
    assert await world("setMetadata", "/vo/none", {"new": 1}) is None


async def test_set_metadata_brings_removed_files_back(world):
    await want(world, "t", {"particle": "gamma"})
    await world("addDirectory", "/vo/g")
    await world("removeFile", ["/vo/g/1"])
    await world("setMetadata", "/vo/g", {})
    assert (await files_of(world, 1, "Status"))["/vo/g/1"] == {"Status": "Unused"}
    await world("removeFile", ["/vo/g/1"])
    await world("addDirectory", "/vo/g")
    assert (await files_of(world, 1, "Status"))["/vo/g/1"] == {"Status": "Unused"}


async def test_wrong_parameters_of_set_metadata(small):
    await small.refused("NotFound", "setMetadata", "/nosuch", {})
    for params in (("/vo/g/1", None), ("/vo/g/1", "x"), ("/vo/g/1", ["x"]), (None, {}), ("", {}), ("/vo/g/1",)):
        await small.refused("InvalidParams", "setMetadata", *params)


# exists


async def test_which_files_are_known(world):
    await world.add("t")
    await world("addFilesToTransformation", "t", ["/a", "/á", "/b "])
    await world("removeFile", ["/a"])
    assert await world("exists", ["/a", "/A", "/á", "/b", "/b ", "/a"], who="visitor") == {
        "Successful": {"/a": True, "/A": False, "/á": True, "/b": False, "/b ": True},
        "Failed": {},
    }
    assert await world("exists", []) == {"Successful": {}, "Failed": {}}
    for given in ("/a", {"/a": {}}, None, [5], [""], ["/" * 256]):
        await world.refused("InvalidParams", "exists", given)


async def test_files_that_a_caller_may_not_read_of(world):
    for name in ("mine", "theirs"):
        await world.add(name)
        await world("addFilesToTransformation", name, [f"/{name}"])
    world.policy.allowed = {"TransformationName": "mine"}
    assert (await world("exists", ["/mine", "/theirs"]))["Successful"] == {"/mine": True, "/theirs": False}


# removeFile


async def test_removing_marks_files_everywhere(world):
    for name in ("t", "u"):
        await world.add(name)
        await world("addFilesToTransformation", name, ["/a", "/b", "/c"])
    await world("addTaskForTransformation", "t", ["/a"], "SE1")
    world.later()
    assert await world("removeFile", ["/a", "/x", "/a"], who=KEEPER) == {
        "Successful": {"/a": True, "/x": "File does not exist"},
        "Failed": {},
    }
    assert await world("removeFile", {"/b": {}}) == {"Successful": {"/b": True}, "Failed": {}}
    moved = "2024-10-15T12:00:01Z"
    for trans, task, se in ((1, 1, "SE1"), (2, None, "Unknown")):
        rows = await files_of(world, trans, "Status", "TaskID", "UsedSE", "LastUpdate")
        assert rows["/a"] == {"Status": "Deleted", "TaskID": task, "UsedSE": se, "LastUpdate": moved}
        assert rows["/b"]["Status"] == "Deleted"
        assert rows["/c"] == {
            "Status": "Unused",
            "TaskID": None,
            "UsedSE": "Unknown",
            "LastUpdate": "2024-10-15T12:00:00Z",
        }
    assert await world("getCounters", "DataFiles", ["Status"], {}) == [
        [{"Status": "Deleted"}, 2],
        [{"Status": "New"}, 1],
    ]


async def test_who_may_remove(small):
    for who in ("carol", "alice", "visitor"):
        data = await small.refused("Forbidden", "removeFile", ["/a"], who=who)
        assert data["needs"] == ["ProductionManagement", "FileCatalogManagement"]
    await small.refused("Unauthenticated", "removeFile", ["/a"], who="nobody")
    for given in ([], {}, "/a", None, 5, [5], [None], [""], {"": 1}):
        await small.refused("InvalidParams", "removeFile", given)


async def test_removing_leaves_no_line_and_moves_no_transformation(small):
    await small.add("t")
    await small("addFilesToTransformation", "t", ["/a"])
    small.later()
    await small("removeFile", ["/a"])
    assert await small.log() == ["Created transformation 1"]
    assert (await small("getTransformation", 1))["LastUpdate"] == "2024-10-15T12:00:00Z"


async def test_removing_many_takes_no_more_statements(small):
    await small.add("t")
    lfns = [f"/f{number}" for number in range(1000)]
    await small("addFilesToTransformation", "t", lfns)
    assert await small.statements("removeFile", lfns[:1]) == await small.statements("removeFile", lfns)
