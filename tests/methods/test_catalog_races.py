"""Many callers at once: announced files are neither lost nor doubled, and nobody gets an internal error."""

import asyncio

from jsonrpc_tm.catalog.builtin import BuiltinCatalog
from jsonrpc_tm.catalog.memory import DictCatalog

LFNS = [f"/vo/{number}" for number in range(40)]
CONTENT = {"directories": {"/vo": {"kind": "x"}}, "files": {lfn: {} for lfn in LFNS}}


async def test_the_same_new_files_announced_by_many(tm):
    tm.catalog.current = DictCatalog(CONTENT)
    for name in "abc":
        await tm.add(name, inputMetaQuery={"kind": "x"}, addFiles=False)
    calls = [tm("addFile", LFNS[number % 7 :] + LFNS[: number % 7]) for number in range(12)]
    calls += [tm("addFilesToTransformation", "a", LFNS[::-1]), tm("addDirectory", "/vo")]
    answers = await asyncio.gather(*calls)
    assert all(answer["Successful"] == dict.fromkeys(LFNS, True) for answer in answers[:12])
    assert answers[-1]["Added"] == 40
    assert await tm("getCounters", "TransformationFiles", ["TransformationID", "Status"], {}) == [
        [{"TransformationID": trans, "Status": "Unused"}, 40] for trans in (1, 2, 3)
    ]
    assert await tm.fetch("SELECT COUNT(*) AS n FROM DataFiles") == [{"n": 40}]


async def test_announcing_against_everything_else(tm):
    tm.catalog.current = DictCatalog(CONTENT)
    for name in "abcd":
        await tm.add(name, inputMetaQuery={"kind": "x"}, addFiles=False)
    await tm("addFile", LFNS[:10])
    calls = [tm("addFile", LFNS[start : start + 15]) for start in range(0, 40, 5)]
    calls += [tm("removeFile", LFNS[start : start + 5]) for start in range(0, 40, 10)]
    calls += [tm("setMetadata", "/vo", {"more": 1}), tm("cleanTransformation", "b"), tm("deleteTransformation", "c")]
    calls += [tm("addFilesToTransformation", "d", LFNS), tm("setTransformationParameter", "d", "Status", "Completed")]
    calls += [tm("deleteTransformationMetaQuery", "d", "Input"), tm("exists", LFNS)]
    await asyncio.gather(*calls)
    rows = await tm.fetch(
        "SELECT f.TransformationID, f.FileID, f.Status AS here, d.Status AS registered"
        " FROM TransformationFiles f LEFT JOIN DataFiles d ON d.FileID = f.FileID"
    )
    assert all(row["registered"] in ("New", "Deleted") for row in rows)
    assert {row["here"] for row in rows} <= {"Unused", "Deleted"}
    assert {row["TransformationID"] for row in rows} <= {1, 2, 4}
    # a file that is Unused somewhere is registered
    assert not [
        row
        for row in rows
        if (row["here"], row["registered"]) == ("Unused", "Deleted") and row["TransformationID"] != 4
    ]
    await tm("addFile", LFNS)
    assert await tm("getTransformationStats", "a") == {"Unused": 40, "Total": 40}


async def test_feeding_the_catalog_by_many(tm):
    tm.catalog.current = BuiltinCatalog(tm.service.storage)
    calls = [tm("catalog.addFiles", {f"/vo/{number % 3}/{n}": {"n": n} for n in range(20)}) for number in range(9)]
    calls += [tm("catalog.setMetadata", f"/vo/{number}", {"d": number}) for number in range(3)]
    answers = await asyncio.gather(*calls)
    assert sum(answer["Added"] for answer in answers[:9]) == 60
    assert len(await tm("catalog.find", {})) == 60


async def test_a_path_becomes_a_file_or_a_directory_whoever_comes_first(tm):
    tm.catalog.current = BuiltinCatalog(tm.service.storage)
    outcomes = await asyncio.gather(
        *(tm("catalog.addFiles", {path: {}}) for path in ("/x/y", "/x/y/z", "/x/y", "/x/y/z/w")), return_exceptions=True
    )
    assert len(outcomes) == 4
    files = await tm.fetch("SELECT LFN FROM CatalogFiles JOIN CatalogDirectories ON Path = LFN")
    assert files == []
