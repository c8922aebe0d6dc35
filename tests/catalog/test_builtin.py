"""The built-in catalog: inheritance, listing, searching; feeding it in bulk; against a model over dicts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jsonrpc_tm.catalog import builtin, feed, stored
from jsonrpc_tm.core.errors import CatalogError, Conflict
from jsonrpc_tm.matching import query as metaquery
from jsonrpc_tm.storage.sqlite import SqliteStorage

FIELDS = {"zenith": "int", "site": "string", "energy": "float"}


@pytest.fixture
async def storage():
    async with SqliteStorage(None) as storage:
        yield storage


@pytest.fixture
async def catalog(storage):
    await storage.run("fill", feed.add_fields, FIELDS)
    await storage.run("fill", feed.add_files, {"/vo/a/1": {"zenith": 5}, "/vo/a/2": {}, "/vo/a/b/3": {"site": "N"}})
    await storage.run("fill", feed.set_metadata, "/vo", {"zenith": 1, "site": "V"})
    await storage.run("fill", feed.set_metadata, "/vo/a", {"site": "A"})
    return builtin.BuiltinCatalog(storage)


@pytest.mark.parametrize(
    ("path", "expected"), [("/", ["/"]), ("/vo", ["/", "/vo"]), ("/vo/a", ["/", "/vo", "/vo/a"]), ("", ["/", ""])]
)
def test_lineage(path, expected):
    assert stored.lineage(path) == expected


async def test_metadata_are_inherited_and_nearer_ones_win(catalog):
    assert await catalog.files(["/vo/a/b/3", "/vo/a/1", "/vo/a/2", "/vo/a", "/nosuch", "/vo/a/1"]) == {
        "/vo/a/1": {"zenith": 5, "site": "A"},
        "/vo/a/2": {"zenith": 1, "site": "A"},
        "/vo/a/b/3": {"zenith": 1, "site": "N"},
    }
    assert await catalog.directory("/vo/a/b") == {"zenith": 1, "site": "A"}
    assert await catalog.directory("/") == {}
    assert await catalog.directory("/vo/a/1") is None
    assert await catalog.directory("/vo/a/") is None
    assert await catalog.directory("") is None
    assert await catalog.fields() == FIELDS


async def test_listing(catalog):
    assert await catalog.list_files("/vo/a") == ["/vo/a/1", "/vo/a/2"]
    assert await catalog.list_files("/vo/a", recursive=True) == ["/vo/a/1", "/vo/a/2", "/vo/a/b/3"]
    assert await catalog.list_files("/", recursive=True) == ["/vo/a/1", "/vo/a/2", "/vo/a/b/3"]
    assert await catalog.list_files("/") == []


async def test_a_path_that_only_starts_alike_is_not_below(catalog, storage):
    await storage.run("fill", feed.add_files, {"/vo/a2/x": {}, "/vo/a-/x": {}, "/vo/a.x": {}})
    assert await catalog.list_files("/vo/a", recursive=True) == ["/vo/a/1", "/vo/a/2", "/vo/a/b/3"]
    assert await catalog.find({}, "/vo/a") == ["/vo/a/1", "/vo/a/2", "/vo/a/b/3"]


async def test_find(catalog):
    assert await catalog.find({"zenith": 1}) == ["/vo/a/2", "/vo/a/b/3"]
    assert await catalog.find({"zenith": 1}, limit=1) == ["/vo/a/2"]
    assert await catalog.find({"zenith": 1}, after="/vo/a/2") == ["/vo/a/b/3"]
    assert await catalog.find({"zenith": 1}, "/vo/a/b") == ["/vo/a/b/3"]
    assert await catalog.find({"zenith": 1}, "/nosuch") == []
    assert await catalog.find({}, limit=0) == ["/vo/a/1", "/vo/a/2", "/vo/a/b/3"]
    assert await catalog.find({"energy": "Missing", "site": "A"}) == ["/vo/a/1", "/vo/a/2"]


@pytest.mark.parametrize("query", [{"nosuch": 1}, {"zenith": "x"}])
async def test_find_refuses_what_the_fields_do_not_know(catalog, query):
    with pytest.raises(CatalogError):
        await catalog.find(query)


async def test_find_goes_through_all_batches(catalog, storage, monkeypatch):
    monkeypatch.setattr(stored, "BATCH", 2)
    await storage.run("fill", feed.add_files, {f"/many/{n}": {"zenith": n % 3} for n in range(9)})
    assert await catalog.find({"zenith": 1}, "/many") == ["/many/1", "/many/4", "/many/7"]
    assert await catalog.find({"zenith": 1}, "/many", limit=2) == ["/many/1", "/many/4"]
    assert await catalog.find({"zenith": 1}, "/many", limit=5, after="/many/1") == ["/many/4", "/many/7"]
    assert len(await catalog.find({})) == 12


async def test_adding_counts_new_and_changed_files(storage, catalog):
    files = {"/vo/a/1": {"zenith": 5}, "/vo/a/2": {"zenith": 7}, "/vo/new/dir/4": {"site": "x"}}
    assert await storage.run("add", feed.add_files, files) == (1, 1)
    assert await storage.run("add", feed.add_files, files) == (0, 0)
    assert await storage.run("add", feed.add_files, {"/vo/a/1": {"zenith": "5"}}) == (0, 1)
    assert await storage.run("add", feed.add_files, {}) == (0, 0)
    assert await catalog.directory("/vo/new/dir") == {"zenith": 1, "site": "V"}


async def test_a_path_is_a_file_or_a_directory(storage, catalog):
    for files in ({"/vo/a": {}}, {"/vo/a/1/x": {}}, {"/new/x": {}, "/new": {}}):
        with pytest.raises(Conflict):
            await storage.run("add", feed.add_files, files)
    with pytest.raises(Conflict):
        await storage.run("set", feed.set_metadata, "/vo/a/1/x", {"zenith": 1})
    assert await catalog.find({}) == ["/vo/a/1", "/vo/a/2", "/vo/a/b/3"]


async def test_setting_metadata(storage, catalog):
    await storage.run("set", feed.set_metadata, "/vo/a/1", {"zenith": None, "site": "own"})
    await storage.run("set", feed.set_metadata, "/vo/a", {"site": None, "energy": 2.5})
    await storage.run("set", feed.set_metadata, "/vo/q/r", {"site": "R"})
    assert await catalog.files(["/vo/a/1", "/vo/a/2"]) == {
        "/vo/a/1": {"zenith": 1, "site": "own", "energy": 2.5},
        "/vo/a/2": {"zenith": 1, "site": "V", "energy": 2.5},
    }
    assert await catalog.directory("/vo/q/r") == {"zenith": 1, "site": "R"}
    assert await catalog.directory("/vo/q") == {"zenith": 1, "site": "V"}


async def test_fields_keep_their_type(storage, catalog):
    assert await storage.run("add", feed.add_fields, {"zenith": "int", "new": "date"}) == 1
    with pytest.raises(Conflict):
        await storage.run("add", feed.add_fields, {"other": "int", "zenith": "float"})
    assert await catalog.fields() == {**FIELDS, "new": "date"}


async def test_removing(storage, catalog):
    await storage.run("add", feed.add_files, {"/vo/a2/x": {}, "/w/y": {}})
    assert await storage.run("remove", feed.remove, ["/nosuch", "/w/y", "/w/y"]) == 1
    assert await storage.run("remove", feed.remove, ["/vo/a"]) == 5
    assert await catalog.find({}) == ["/vo/a2/x"]
    assert await catalog.directory("/vo/a/b") is None
    assert await catalog.directory("/w") == {}


async def test_bulk_takes_few_statements(storage, catalog):
    files = {f"/bulk/{n % 7}/{n}": {"zenith": n} for n in range(10_000)}
    counts = []

    class Counting:
        def __init__(self, tx):
            self.tx, self.dialect = tx, tx.dialect

        def __getattr__(self, verb):
            counts.append(verb)
            return getattr(self.tx, verb)

    async def body(tx, function, *arguments):
        return await function(Counting(tx), *arguments)

    assert await storage.run("add", body, feed.add_files, files) == (10_000, 0)
    assert await storage.run("read", body, stored.read_files, list(files), read=True) == files
    assert await storage.run("remove", body, feed.remove, list(files)) == 10_000
    assert len(counts) < 30


segments = st.lists(st.sampled_from(["a", "b", "c", "A", "é", "a "]), min_size=1, max_size=4)
paths = segments.map(lambda names: "/" + "/".join(names))
own = st.dictionaries(st.sampled_from(list(FIELDS)), st.sampled_from([1, 2.5, "2", "x"]), max_size=2)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(paths, own, max_size=5), st.dictionaries(segments.map(tuple), own, max_size=8), own, paths)
async def test_searching_equals_the_model(directories, files, query, under):
    files = {"/" + "/".join(names) + "/f": metadata for names, metadata in files.items()}
    async with SqliteStorage(None) as storage:
        for path, metadata in directories.items():
            await storage.run("fill", feed.set_metadata, path, metadata)
        await storage.run("fill", feed.add_files, files)
        # declared afterwards: values that cannot be read as their field's type are possible so
        await storage.run("fill", feed.add_fields, FIELDS)
        catalog = builtin.BuiltinCatalog(storage)
        whole = {}
        for lfn, metadata in files.items():
            inherited = {}
            for length in range(1, len(lfn) + 1):
                if lfn[length : length + 1] == "/":
                    inherited |= directories.get(lfn[:length], {})
            whole[lfn] = inherited | metadata
        assert await catalog.files(list(files)) == whole
        try:
            metaquery.check_search(query, FIELDS)
        except CatalogError:
            with pytest.raises(CatalogError):
                await catalog.find(query, under)
            return
        assert await catalog.find(query, under) == sorted(
            lfn for lfn in whole if lfn.startswith(under + "/") and metaquery.matches(query, whole[lfn], FIELDS)
        )
