"""Feeding the built-in catalog and looking into any catalog: the methods ``catalog.…``."""

from collections.abc import Iterable
from typing import Any

from ..catalog.base import Feed
from ..core import fields
from ..core.errors import CatalogError, Conflict, InvalidState, NotFound
from ..core.model import FIELD_TYPES, FieldType, Metadata
from ..domain import names, offers
from ..domain.active_queries import NOBODY, Compiled, current
from ..domain.work import Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Method, Write
from .catalog import SAYS_WHAT_IS_THERE, queries_of
from .fields import FieldTypes, MetadataByFile, MetadataOf, MetaQuery, Path, Paths


async def feed_of(outside: Outside) -> Feed:
    """Return what writes to the server's catalog."""
    if outside.catalog.feed is None:
        raise CatalogError("The server's catalog is not the built-in one: feed yours by its own means")
    return outside.catalog.feed


async def add_fields(work: Work, feed: Feed, fields: dict[str, FieldType]) -> int:
    """Declare metadata fields of the built-in catalog with their types.

    :raises Conflict: one is declared with another type.
    :raises CatalogError: the server's catalog is not the built-in one.
    """
    return await feed.add_fields(work.tx, fields)


async def ready_to_announce(outside: Outside, announce: bool) -> tuple[Feed, Compiled]:
    """Return the feed, and the queries that files may be announced to."""
    return await feed_of(outside), await queries_of(outside) if announce else NOBODY


async def add_files(
    work: Work, prepared: tuple[Feed, Compiled], files: dict[str, Metadata], announce: bool
) -> dict[str, int]:
    """Add files to the built-in catalog, or replace their own metadata; directories above them are made.

    With ``announce`` all the given files are offered to the transformations, as by addFile, in the same transaction.

    :raises InvalidParams: a value that cannot be read as its field's declared type, or, with ``announce``, a name that
        no new file may have (``files.pattern``).
    :raises Conflict: a path is a directory, or a directory above one is a file.
    :raises CatalogError: the server's catalog is not the built-in one.
    :raises InvalidState: a plugin's rule forbids a change of status.
    """
    feed, queries = prepared
    added, changed = await feed.add_files(work.tx, files)
    if announce and files:
        await names.refuse_unfit(work, files, "files")
        metadata = await feed.read_files(work.tx, files)
        queries = await current(work.tx, queries, await feed.read_fields(work.tx))
        await offers.give(work, offers.offer({lfn: metadata[lfn] for lfn in files}, queries))
    return {"Added": added, "Changed": changed}


async def set_metadata(work: Work, feed: Feed, path: str, metadata: Metadata) -> None:
    """Set metadata of a file or directory of the built-in catalog. A path that is neither becomes a directory.

    Fields that are not named stay as they are; null takes one away. Nothing is offered to transformations.

    :raises InvalidParams: a value that cannot be read as its field's declared type.
    :raises Conflict: a directory above is a file.
    :raises CatalogError: the server's catalog is not the built-in one.
    """
    await feed.set_metadata(work.tx, path, metadata)


async def remove(work: Work, feed: Feed, paths: list[str]) -> int:
    """Remove files from the built-in catalog, and directories with all that is below them.

    Paths that are not there do not count. Transformations keep their files; see removeFile.

    :raises CatalogError: the server's catalog is not the built-in one.
    """
    return await feed.remove(work.tx, paths)


async def find(outside: Outside, query: dict[str, Any], path: str, limit: int | None, after: str | None) -> list[str]:
    """Search the catalog for files that match a meta query, sorted by LFN.

    :raises CatalogError: a field is not declared, or a value cannot be read as its type.
    """
    return await outside.catalog.find(query, path, limit=limit, after=after)


async def get(outside: Outside, path: str) -> dict[str, Any]:
    """Show a file or directory of the catalog: its own metadata (null where the catalog cannot tell) and all of them.

    :raises NotFound: there is none of that path.
    :raises CatalogError: the catalog failed.
    """
    kind, metadata = "file", (await outside.catalog.files([path])).get(path)
    if metadata is None:
        kind, metadata = "directory", await outside.catalog.directory(path)
    if metadata is None:
        raise NotFound(f"There is no file or directory {path!r}", what="path")
    own = None
    if (feed := outside.catalog.feed) is not None:
        reader = feed.read_own if kind == "file" else feed.read_directories

        async def read(work: Work) -> dict[str, Metadata]:
            return await reader(work.tx, [path])

        own = (await outside.read(read)).get(path)
    return {"type": kind, "own": own, "metadata": metadata}


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    path = Path(required=True, metadata={"description": "absolute path"})
    scalars = results.mapped({"type": ["string", "number", "boolean"]})
    yield Method(
        "catalog.addFields",
        add_fields,
        {"fields": FieldTypes(required=True, metadata={"description": "{name: type}, of " + ", ".join(FIELD_TYPES)})},
        access=Write(),
        prepare=feed_of,
        rule=SAYS_WHAT_IS_THERE,
        errors=(Conflict, CatalogError),
        result=results.said(results.INTEGER, "the number of new fields"),
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
        access=Write(),
        prepare=ready_to_announce,
        rule=SAYS_WHAT_IS_THERE,
        errors=(Conflict, CatalogError, InvalidState),
        result=results.members(
            "the number of new files, and of files whose own metadata changed",
            Added=results.INTEGER,
            Changed=results.INTEGER,
        ),
    )
    yield Method(
        "catalog.setMetadata",
        set_metadata,
        {
            "path": path,
            "metadata": MetadataOf(required=True, metadata={"description": "{field: value}; null takes one away"}),
        },
        access=Write(),
        prepare=feed_of,
        rule=SAYS_WHAT_IS_THERE,
        errors=(Conflict, CatalogError),
        result=results.NULL,
    )
    yield Method(
        "catalog.remove",
        remove,
        {"paths": Paths(required=True, metadata={"description": "files and directories"})},
        access=Write(),
        prepare=feed_of,
        rule=SAYS_WHAT_IS_THERE,
        errors=(CatalogError,),
        result=results.said(results.INTEGER, "the number of files and directories that went"),
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
        errors=(CatalogError,),
        result=results.listed(results.TEXT, "the LFNs"),
    )
    yield Method(
        "catalog.get",
        get,
        {"path": path},
        errors=(NotFound, CatalogError),
        result=results.members(
            "own: null where the catalog cannot tell; metadata: inherited ones included",
            type={"enum": ["file", "directory"]},
            own={"anyOf": [scalars, results.NULL]},
            metadata=scalars,
        ),
    )
