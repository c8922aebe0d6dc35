"""What the file catalog tells the server: files appear, change and go (section 6.4 of the specification)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core import fields
from ..core.errors import NotFound
from ..core.identity import MANAGEMENT, SHARING, USER
from ..core.model import Metadata
from ..plugin.marker import hookimpl
from ..rpc.call import Call
from ..rpc.method import Method
from ..storage.base import Transaction, chunks, claim
from ..storage.where import Where
from . import status
from .offers import offer

CATALOG_MANAGEMENT = "FileCatalogManagement"
"""Property of those who may change the file catalog and what comes from it."""
SAYS_WHAT_IS_THERE = (MANAGEMENT, CATALOG_MANAGEMENT)
"""For methods that change everybody's transformations with what the caller says."""
ANNOUNCES = (*SAYS_WHAT_IS_THERE, SHARING, USER)
"""For methods that offer what the catalog says."""


async def add_file(call: Call, fileDicts: list[str], force: bool) -> dict[str, Any]:
    """Announce files: each one's metadata are looked up, and every accepting transformation that wants it gets it.

    True stands for a file that at least one transformation wants, also when it was there already. A file that was
    removed and is wanted becomes Unused again. Errors of single files are in the answer.

    :raises CatalogError: the catalog failed.
    """
    files, wanted = await _announce(call, fileDicts)
    return {
        "Successful": {lfn: lfn in wanted for lfn in files},
        "Failed": {lfn: f"no such file: {lfn}" for lfn in fileDicts if lfn not in files},
    }


async def add_directory(call: Call, path: str, force: bool) -> dict[str, Any]:
    """Announce every file directly in a directory, as addFile does; Added counts those that are wanted.

    :raises NotFound: the catalog has no such directory.
    :raises CatalogError: the catalog failed.
    """
    if await call.catalog.directory(path) is None:
        raise NotFound(f"There is no directory {path!r}")
    lfns = await call.catalog.list_files(path)
    files, wanted = await _announce(call, lfns)
    return {"Added": len(wanted), "Successful": list(files), "Failed": [lfn for lfn in lfns if lfn not in files]}


async def _announce(call: Call, lfns: Sequence[str]) -> tuple[dict[str, Metadata], set[str]]:
    """Offer files; return those that the catalog knows, in the given order, and which of them are wanted."""
    known = await call.catalog.files(lfns) if lfns else {}
    files = {lfn: known[lfn] for lfn in lfns if lfn in known}
    return files, await offer(call, files)


async def set_metadata(call: Call, path: str, querydict: Metadata) -> None:
    """Announce a file, or all files at any depth below a directory, with *querydict* in place of their own metadata.

    The catalog itself is not changed.

    :raises NotFound: the catalog has no such file or directory.
    :raises CatalogError: the catalog failed.
    """
    files = await call.catalog.files([path])
    if not files:
        if await call.catalog.directory(path) is None:
            raise NotFound(f"There is no file or directory {path!r}")
        lfns = await call.catalog.list_files(path, recursive=True)
        files = await call.catalog.files(lfns) if lfns else {}
        files = {lfn: files[lfn] for lfn in lfns if lfn in files}
    await offer(call, {lfn: metadata | querydict for lfn, metadata in files.items()})


async def exists(call: Call, lfns: list[str]) -> dict[str, Any]:
    """Tell which files are known to the server, removed ones included."""

    async def body(tx: Transaction) -> set[str]:
        where = Where(tx.dialect)
        if call.readable is not None:
            # a file is for those who may read a transformation that has it
            where.readable(call, "f.TransformationID")
            part = f"EXISTS (SELECT 1 FROM TransformationFiles f WHERE f.FileID = d.FileID AND {where.text})"
        else:
            part = where.text
        sql = (
            f"SELECT d.LFN FROM {tx.dialect.array('lfns')} AS wanted"
            f" {tx.dialect.straight_join} DataFiles d ON d.LFN = wanted.value WHERE {part}"
        )
        found: set[str] = set()
        for chunk in chunks(list(dict.fromkeys(lfns))):
            rows = await tx.fetch_all(sql, {"lfns": tx.dialect.pack(chunk), **where.parameters})
            found.update(row["LFN"] for row in rows)
        return found

    found = await call.read(body) if lfns else set()
    return {"Successful": {lfn: lfn in found for lfn in lfns}, "Failed": {}}


async def remove_file(call: Call, lfns: list[str]) -> dict[str, Any]:
    """Mark files as Deleted in every transformation that has them.

    :raises InvalidState: a plugin's rule forbids a change of status.
    """
    names = list(dict.fromkeys(lfns))

    async def body(tx: Transaction) -> set[str]:
        found = await _known(tx, names)
        ids = list(found.values())
        await _lock(tx, ids)
        source = tx.dialect.array("ids", "int")
        on = "target.FileID = source.value"
        deleted = {"Status": "'Deleted'", "LastUpdate": ":now"}
        rows = tx.dialect.update_join("TransformationFiles", source, on, deleted)
        files = tx.dialect.update_join("DataFiles", source, on, {"Status": "'Deleted'"})
        for chunk in chunks(ids):
            packed = {"ids": tx.dialect.pack(chunk)}
            changes = f"target.Status AS old, 'Deleted' AS new FROM {source} AS source JOIN TransformationFiles target"
            await status.check_rows(tx, call, "file", f"{changes} ON {on}", packed)
            await tx.execute(rows, {**packed, "now": call.timestamp})
            await tx.execute(files, packed)
        return set(found)

    found = await call.write(body)
    return {"Successful": {lfn: True if lfn in found else "File does not exist" for lfn in names}, "Failed": {}}


async def _known(tx: Transaction, lfns: Sequence[str]) -> dict[str, int]:
    sql = (
        f"SELECT d.LFN, d.FileID FROM {tx.dialect.array('lfns')} AS wanted"
        f" {tx.dialect.straight_join} DataFiles d ON d.LFN = wanted.value"
    )
    found: dict[str, int] = {}
    for chunk in chunks(lfns):
        rows = await tx.fetch_all(sql, {"lfns": tx.dialect.pack(chunk)})
        found.update((row["LFN"], row["FileID"]) for row in rows)
    return found


async def _lock(tx: Transaction, file_ids: Sequence[int]) -> None:
    """Lock the transformations that have the files, as every change of their files does, and then the files."""
    ids = tx.dialect.array("ids", "int")
    having: set[int] = set()
    sql = (
        f"SELECT DISTINCT f.TransformationID FROM {ids} AS wanted"
        f" {tx.dialect.straight_join} TransformationFiles f ON f.FileID = wanted.value"
    )
    for chunk in chunks(file_ids):
        rows = await tx.fetch_all(sql, {"ids": tx.dialect.pack(chunk)})
        having.update(row["TransformationID"] for row in rows)
    for table, key, values in (("Transformations", "TransformationID", having), ("DataFiles", "FileID", file_ids)):
        sql = f"SELECT t.{key} FROM {ids} AS wanted {tx.dialect.straight_join} {table} t ON t.{key} = wanted.value"
        for chunk in chunks(sorted(values)):
            await tx.fetch_all(sql + tx.dialect.for_update, {"ids": tx.dialect.pack(chunk)})
    await claim(tx, [f"transformation {trans_id}" for trans_id in having])


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    bulk = {"type": "object", "required": ["Successful", "Failed"]}
    force = fields.Boolean(load_default=False, metadata={"description": "accepted, has no effect"})
    path = fields.Text(empty=False, required=True, metadata={"description": "absolute path in the catalog"})
    yield Method(
        "addFile",
        add_file,
        {
            "fileDicts": fields.Texts(
                single=True, keys=True, required=True, metadata={"description": "an LFN, a list, or an object by LFN"}
            ),
            "force": force,
        },
        result='{"Successful": {lfn: whether a transformation wants it}, "Failed": {lfn: reason}}',
        rule=ANNOUNCES,
        changes=True,
        schema=bulk,
    )
    yield Method(
        "addDirectory",
        add_directory,
        {"path": path, "force": force},
        result='{"Added": number of wanted files, "Successful": [lfn], "Failed": [lfn]}',
        rule=ANNOUNCES,
        changes=True,
        schema={"type": "object", "required": ["Added", "Successful", "Failed"]},
    )
    yield Method(
        "exists",
        exists,
        {"lfns": fields.Texts(required=True, metadata={"description": "names of files"})},
        result='{"Successful": {lfn: whether it is known}, "Failed": {}}',
        schema=bulk,
    )
    yield Method(
        "removeFile",
        remove_file,
        {
            "lfns": fields.Texts(
                keys=True, minimum=1, required=True, metadata={"description": "a list, or an object by LFN"}
            )
        },
        result='{"Successful": {lfn: true or "File does not exist"}, "Failed": {}}',
        rule=SAYS_WHAT_IS_THERE,
        changes=True,
        schema=bulk,
    )
    yield Method(
        "setMetadata",
        set_metadata,
        {
            "path": path,
            "querydict": fields.Object(
                required=True, metadata={"description": "metadata that the files count as having"}
            ),
        },
        result="null",
        rule=SAYS_WHAT_IS_THERE,
        changes=True,
        schema={"type": "null"},
    )
