"""Reading the tables ``Catalog…`` of the built-in catalog, inside any transaction.

Directories pass their metadata on to everything below; nearer ones win, and a file's own win over all.
"""

from collections.abc import Iterable, Mapping

import orjson

from ..core.model import FieldType, Metadata
from ..storage.base import Transaction, chunks

BATCH = 2000
"""Files that a search looks at in one transaction."""


def directory_of(path: str) -> str:
    """Return the directory that a path is in."""
    return path.rpartition("/")[0] or "/"


def lineage(path: str) -> list[str]:
    """Return a directory's path after those above it, ``/`` first."""
    ends = [index for index, character in enumerate(path) if character == "/" and index]
    return list(dict.fromkeys(["/", *(path[:end] for end in ends), path]))


def below(path: str) -> dict[str, str]:
    """Return the bounds, as SQL parameters ``low`` and ``high``, of the paths at any depth below a directory."""
    low = path if path.endswith("/") else path + "/"
    return {"low": low, "high": low[:-1] + "0"}  # "0" is the character after "/"


async def read_fields(tx: Transaction) -> dict[str, FieldType]:
    """Return the declared fields and their types."""
    rows = await tx.fetch_all("SELECT FieldName, FieldType FROM CatalogFields ORDER BY FieldName")
    return {row["FieldName"]: row["FieldType"] for row in rows}


async def read_directories(tx: Transaction, paths: Iterable[str]) -> dict[str, Metadata]:
    """Return the own metadata of those of *paths* that are directories."""
    return await _read_own(tx, "CatalogDirectories", "Path", paths)


async def read_own(tx: Transaction, lfns: Iterable[str]) -> dict[str, Metadata]:
    """Return the own metadata of those of *lfns* that are files."""
    return await _read_own(tx, "CatalogFiles", "LFN", lfns)


async def _read_own(tx: Transaction, table: str, key: str, names: Iterable[str]) -> dict[str, Metadata]:
    sql = (
        f"SELECT {key}, Metadata FROM {tx.dialect.array('names')} AS wanted"
        f" {tx.dialect.straight_join} {table} ON {key} = wanted.value"
    )
    found: dict[str, Metadata] = {}
    for chunk in chunks(list(dict.fromkeys(names))):
        for row in await tx.fetch_all(sql, {"names": tx.dialect.pack(chunk)}):
            found[row[key]] = orjson.loads(row["Metadata"])
    return found


async def read_files(tx: Transaction, lfns: Iterable[str]) -> dict[str, Metadata]:
    """Return the metadata, inherited ones included, of those of *lfns* that are files."""
    return await _inherit(tx, await read_own(tx, lfns))


async def _inherit(tx: Transaction, files: Mapping[str, Metadata]) -> dict[str, Metadata]:
    """Return the files with the metadata of the directories above them added to their own."""
    directories = {directory_of(lfn) for lfn in files}
    own = await read_directories(tx, (path for directory in directories for path in lineage(directory)))
    inherited = {directory: _merge(own, directory) for directory in directories}
    return {lfn: inherited[directory_of(lfn)] | metadata for lfn, metadata in files.items()}


def _merge(own: Mapping[str, Metadata], directory: str) -> Metadata:
    merged: Metadata = {}
    for path in lineage(directory):
        merged |= own.get(path, {})
    return merged


async def read_directory(tx: Transaction, path: str) -> Metadata | None:
    """Return the metadata of a directory, inherited ones included; None when *path* is not one."""
    own = await read_directories(tx, lineage(path))
    return _merge(own, path) if path in own else None


async def list_files(tx: Transaction, path: str, recursive: bool) -> list[str]:
    """Return the LFNs of the files directly in a directory, or at any depth below it, sorted."""
    where = "LFN >= :low AND LFN < :high" if recursive else "Directory = :path"
    parameters = below(path) if recursive else {"path": path}
    rows = await tx.fetch_all(f"SELECT LFN FROM CatalogFiles WHERE {where} ORDER BY LFN", parameters)
    return [row["LFN"] for row in rows]


async def read_batch(tx: Transaction, path: str, after: str | None) -> dict[str, Metadata]:
    """Return up to ``BATCH`` files at any depth below *path*, sorted, that sort after *after*."""
    bounds, beyond = below(path), ">="
    if after is not None and after >= bounds["low"]:
        # one lower bound: of two, SQLite looks up only the first
        bounds["low"], beyond = after, ">"
    sql = f"SELECT LFN, Metadata FROM CatalogFiles WHERE LFN {beyond} :low AND LFN < :high ORDER BY LFN LIMIT {BATCH}"
    rows = await tx.fetch_all(sql, bounds)
    return await _inherit(tx, {row["LFN"]: orjson.loads(row["Metadata"]) for row in rows})
