"""Writing to the built-in catalog, in bulk. Functions over an open transaction; values were validated before."""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from ..core.errors import Conflict, InvalidParams
from ..core.model import FieldType, Metadata
from ..core.values import BadValue
from ..matching.query import check_values
from ..storage.base import Transaction, chunks, exclude_other_nodes
from .stored import below, directory_of, lineage, read_directories, read_fields, read_files, read_own

__all__ = [
    "add_fields",
    "add_files",
    "read_directories",
    "read_fields",
    "read_files",
    "read_own",
    "remove",
    "set_metadata",
]


async def lock(tx: Transaction) -> None:
    """Make the catalog's writers wait for each other, so that no path becomes a file and a directory."""
    root = {"path": "/", "metadata": "{}"}
    select = "SELECT :path AS Path, :metadata AS Metadata"
    await tx.execute(tx.dialect.insert_new("CatalogDirectories", ("Path", "Metadata"), select, ("Path",)), root)
    await tx.fetch_one(f"SELECT Path FROM CatalogDirectories WHERE Path = :path{tx.dialect.for_update}", {"path": "/"})
    await exclude_other_nodes(tx, ["catalog"])


async def add_fields(tx: Transaction, declared: Mapping[str, FieldType]) -> int:
    """Declare metadata fields; return how many are new.

    :raises Conflict: one is declared with another type.
    """
    await lock(tx)
    present = await read_fields(tx)
    for name, kind in declared.items():
        if present.get(name, kind) != kind:
            raise Conflict(f"The metadata field {name!r} has the type {present[name]} already", field=name)
    new = [[name, kind] for name, kind in declared.items() if name not in present]
    source = tx.dialect.records("rows", name="text", kind="text")
    sql = f"INSERT INTO CatalogFields (FieldName, FieldType) SELECT name, kind FROM {source} AS new"
    for chunk in chunks(new):
        await tx.execute(sql, {"rows": tx.dialect.pack(chunk)})
    return len(new)


async def add_files(tx: Transaction, files: Mapping[str, Metadata]) -> tuple[int, int]:
    """Add files, or replace their own metadata; return how many are new and how many have changed.

    The directories above them are made.

    :raises InvalidParams: values that cannot be read as their fields' types.
    :raises Conflict: a path is a directory, or one of the directories is a file.
    """
    await lock(tx)
    await _refuse_unreadable(tx, "files", files)
    await _make_directories(tx, {directory_of(lfn) for lfn in files})
    if directories := await read_directories(tx, files):
        raise Conflict(f"{next(iter(directories))} is a directory")
    own = await read_own(tx, files)
    new = [[lfn, directory_of(lfn), _text(files[lfn])] for lfn in files if lfn not in own]
    changed = [[lfn, _text(files[lfn])] for lfn in own if _text(files[lfn]) != _text(own[lfn])]
    source = tx.dialect.records("rows", lfn="text", directory="text", metadata="text")
    sql = f"INSERT INTO CatalogFiles (LFN, Directory, Metadata) SELECT lfn, directory, metadata FROM {source} AS new"
    for chunk in chunks(new):
        await tx.execute(sql, {"rows": tx.dialect.pack(chunk)})
    await _update(tx, "CatalogFiles", "LFN", changed)
    return len(new), len(changed)


async def set_metadata(tx: Transaction, path: str, metadata: Metadata) -> None:
    """Set metadata of a file or directory; others stay, null takes one away. An unknown path becomes a directory.

    :raises InvalidParams: values that cannot be read as their fields' types.
    :raises Conflict: a directory above is a file.
    """
    await lock(tx)
    await _refuse_unreadable(tx, "metadata", {path: metadata})
    if own := await read_own(tx, [path]):
        await _update(tx, "CatalogFiles", "LFN", [[path, _text(_changed(own[path], metadata))]])
        return
    await _make_directories(tx, [path])
    own = await read_directories(tx, [path])
    await _update(tx, "CatalogDirectories", "Path", [[path, _text(_changed(own[path], metadata))]])


async def remove(tx: Transaction, paths: Sequence[str]) -> int:
    """Remove files, and directories with everything below; return how many files and directories went."""
    await lock(tx)
    removed = 0
    for chunk in chunks(list(dict.fromkeys(paths))):
        packed = {"paths": tx.dialect.pack(chunk)}
        trees = [list(below(path).values()) for path in await read_directories(tx, chunk)]
        for table, key in (("CatalogFiles", "LFN"), ("CatalogDirectories", "Path")):
            if trees:
                source = tx.dialect.records("trees", low="text", high="text")
                on = f"target.{key} >= source.low AND target.{key} < source.high"
                sql = tx.dialect.delete_join(table, source, on, (key,))
                removed += await tx.execute(sql, {"trees": tx.dialect.pack(trees)})
            sql = tx.dialect.delete_join(table, tx.dialect.array("paths"), f"target.{key} = source.value", (key,))
            removed += await tx.execute(sql, packed)
    return removed


async def _refuse_unreadable(tx: Transaction, parameter: str, given: Mapping[str, Metadata]) -> None:
    """Refuse values that no search would ever find. The fields cannot change meanwhile: the catalog is locked.

    :param parameter: what the method's caller knows *given* as.
    :param given: metadata by path.
    """
    declared = await read_fields(tx)
    for path, metadata in given.items():
        try:
            check_values(metadata, declared)
        except BadValue as error:
            errors = {parameter: {path: error.messages}}
            raise InvalidParams(f"Metadata of {path!r} cannot be read as their fields' types", errors=errors) from None


async def _make_directories(tx: Transaction, paths: Iterable[str]) -> None:
    wanted = list(dict.fromkeys(above for path in paths for above in lineage(path)))
    if files := await read_own(tx, wanted):
        raise Conflict(f"{next(iter(files))} is a file")
    present = await read_directories(tx, wanted)
    sql = f"INSERT INTO CatalogDirectories (Path, Metadata) SELECT value, :none FROM {tx.dialect.array('paths')} AS new"
    for chunk in chunks([path for path in wanted if path not in present]):
        await tx.execute(sql, {"paths": tx.dialect.pack(chunk), "none": "{}"})


async def _update(tx: Transaction, table: str, key: str, rows: Sequence[Sequence[str]]) -> None:
    source = tx.dialect.records("rows", changed="text", metadata="text")
    sql = tx.dialect.update_join(table, source, f"target.{key} = source.changed", {"Metadata": "source.metadata"})
    for chunk in chunks(rows):
        await tx.execute(sql, {"rows": tx.dialect.pack(chunk)})


def _changed(own: Metadata, metadata: Metadata) -> Metadata:
    return {name: value for name, value in (own | metadata).items() if value is not None}


def _text(metadata: Metadata) -> str:
    return orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS).decode()
