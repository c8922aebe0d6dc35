"""Feeding the built-in catalog and looking into any catalog: the methods ``catalog.…``."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..catalog import feed
from ..catalog.builtin import BuiltinCatalog, read_directories, read_fields, read_files, read_own
from ..core import fields
from ..core.errors import CatalogError, NotFound
from ..core.identity import MANAGEMENT
from ..core.model import FieldType, Metadata
from ..plugin.marker import hookimpl
from ..rpc.call import Call
from ..rpc.method import Method
from ..storage.base import Transaction
from .catalog import CATALOG_MANAGEMENT
from .fields import FieldTypes, MetadataByFile, MetadataOf, MetaQuery, Path, Paths
from .offers import Offer, give, read_queries


def _check_builtin(call: Call) -> None:
    if not isinstance(call.service.catalog, BuiltinCatalog):
        raise CatalogError("The server's catalog is not the built-in one: feed it by its own means")


async def add_fields(call: Call, fields: dict[str, FieldType]) -> int:
    """Declare metadata fields of the built-in catalog with their types.

    :raises Conflict: one is declared with another type.
    :raises CatalogError: the server's catalog is not the built-in one.
    """
    _check_builtin(call)
    return await call.write(feed.add_fields, fields)


async def add_files(call: Call, files: dict[str, Metadata], announce: bool) -> dict[str, int]:
    """Add files to the built-in catalog, or replace their own metadata; directories above them are made.

    With ``announce`` all the given files are offered to the transformations, as by addFile, in the same transaction.

    :raises Conflict: a path is a directory, or a directory above one is a file.
    :raises CatalogError: the server's catalog is not the built-in one.
    """
    _check_builtin(call)

    async def body(tx: Transaction) -> dict[str, int]:
        added, changed = await feed.add_files(tx, files)
        if announce and files:
            metadata = await read_files(tx, files)
            offer = Offer({lfn: metadata[lfn] for lfn in files}, await read_fields(tx))
            offer.match(await read_queries(tx))
            await give(tx, call, offer)
        return {"Added": added, "Changed": changed}

    return await call.write(body)


async def set_metadata(call: Call, path: str, metadata: Metadata) -> None:
    """Set metadata of a file or directory of the built-in catalog. A path that is neither becomes a directory.

    Fields that are not named stay as they are; null takes one away. Nothing is offered to transformations.

    :raises Conflict: a directory above is a file.
    :raises CatalogError: the server's catalog is not the built-in one.
    """
    _check_builtin(call)
    await call.write(feed.set_metadata, path, metadata)


async def remove(call: Call, paths: list[str]) -> int:
    """Remove files from the built-in catalog, and directories with all that is below them.

    Paths that are not there do not count. Transformations keep their files; see removeFile.

    :raises CatalogError: the server's catalog is not the built-in one.
    """
    _check_builtin(call)
    return await call.write(feed.remove, paths)


async def find(call: Call, query: dict[str, Any], path: str, limit: int | None, after: str | None) -> list[str]:
    """Search the catalog for files that match a meta query, sorted by LFN.

    :raises CatalogError: a field is not declared, or a value cannot be read as its type.
    """
    return await call.catalog.find(query, path, limit=limit, after=after)


async def get(call: Call, path: str) -> dict[str, Any]:
    """Show a file or directory of the catalog: its own metadata (null where the catalog cannot tell) and all of them.

    :raises NotFound: there is none of that path.
    """
    kind, metadata = "file", (await call.catalog.files([path])).get(path)
    if metadata is None:
        kind, metadata = "directory", await call.catalog.directory(path)
    if metadata is None:
        raise NotFound(f"There is no file or directory {path!r}")
    own = None
    if isinstance(call.service.catalog, BuiltinCatalog):
        own = (await call.read(read_own if kind == "file" else read_directories, [path])).get(path)
    return {"type": kind, "own": own, "metadata": metadata}


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    writers = (MANAGEMENT, CATALOG_MANAGEMENT)
    integer, null = {"type": "integer"}, {"type": "null"}
    path = Path(required=True, metadata={"description": "absolute path"})
    yield Method(
        "catalog.addFields",
        add_fields,
        {"fields": FieldTypes(required=True, metadata={"description": "{name: type}"})},
        result="number of new fields",
        rule=writers,
        changes=True,
        schema=integer,
    )
    yield Method(
        "catalog.addFiles",
        add_files,
        {
            "files": MetadataByFile(required=True, metadata={"description": "{lfn: own metadata}"}),
            "announce": fields.Boolean(
                load_default=False, metadata={"description": "offer the files to the transformations"}
            ),
        },
        result='{"Added": number of new files, "Changed": number of files whose own metadata changed}',
        rule=writers,
        changes=True,
        schema={"type": "object", "properties": {"Added": integer, "Changed": integer}},
    )
    yield Method(
        "catalog.setMetadata",
        set_metadata,
        {
            "path": path,
            "metadata": MetadataOf(required=True, metadata={"description": "{field: value}; null takes one away"}),
        },
        result="null",
        rule=writers,
        changes=True,
        schema=null,
    )
    yield Method(
        "catalog.remove",
        remove,
        {"paths": Paths(required=True, metadata={"description": "files and directories"})},
        result="number of files and directories that went",
        rule=writers,
        changes=True,
        schema=integer,
    )
    yield Method(
        "catalog.find",
        find,
        {
            "query": MetaQuery(empty=True, required=True, metadata={"description": "a meta query; {} for every file"}),
            "path": fields.Text(load_default="/", metadata={"description": "only files below it, at any depth"}),
            "limit": fields.Count(
                allow_none=True, load_default=None, metadata={"description": "the most LFNs; 0 and null for all"}
            ),
            "after": fields.Text(
                allow_none=True, load_default=None, metadata={"description": "only LFNs that sort after this one"}
            ),
        },
        result="list of LFNs",
        schema={"type": "array", "items": {"type": "string"}},
    )
    yield Method(
        "catalog.get",
        get,
        {"path": path},
        result='{"type": "file" or "directory", "own": metadata or null, "metadata": inherited ones included}',
        schema={"type": "object", "required": ["type", "own", "metadata"]},
    )
