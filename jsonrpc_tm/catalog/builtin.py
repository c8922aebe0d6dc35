"""The built-in file catalog: a small one in the server's own database."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ..core.errors import ConfigurationError
from ..core.model import FieldType, Metadata
from ..matching.engine import Engine
from ..matching.query import Query, check_search
from ..parts import Parts
from ..plugin.marker import hookimpl
from ..storage.base import Storage
from . import feed, stored
from .base import Catalog, CatalogProvider, Feed


class BuiltinCatalog:
    """The catalog in the tables ``Catalog…`` of the server's own database.

    :param storage: the server's database.
    """

    feed: ClassVar[Feed] = feed

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def __aenter__(self) -> "BuiltinCatalog":
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def fields(self) -> Mapping[str, FieldType]:
        """Return the declared metadata fields and their types."""
        return await self._storage.run("catalog.fields", stored.read_fields, read=True)

    async def files(self, lfns: Sequence[str]) -> dict[str, Metadata]:
        """Return the metadata (inherited ones included) of those of *lfns* that are files."""
        return await self._storage.run("catalog.files", stored.read_files, lfns, read=True)

    async def directory(self, path: str) -> Metadata | None:
        """Return the metadata of a directory, inherited ones included; None when *path* is not a directory."""
        return await self._storage.run("catalog.directory", stored.read_directory, path, read=True)

    async def list_files(self, path: str, *, recursive: bool = False) -> list[str]:
        """Return the LFNs of the files directly in a directory, or at any depth below it, sorted."""
        return await self._storage.run("catalog.list", stored.list_files, path, recursive, read=True)

    async def find(
        self, query: Mapping[str, Any], path: str = "/", *, limit: int | None = None, after: str | None = None
    ) -> list[str]:
        """Return the LFNs below *path* that match a meta query, sorted.

        It looks at every file below *path*, some thousands in a transaction: a file that comes or changes during a
        search may be missed or found.

        :raises CatalogError: a field is not declared, or a value cannot be read as its type.
        """
        declared = await self.fields()
        check_search(query, declared, "The server's built-in catalog")
        engine = Engine({0: Query(query)}, declared)
        found: list[str] = []
        while True:
            batch = await self._storage.run("catalog.find", stored.read_batch, path, after, read=True)
            found += [lfn for lfn, metadata in batch.items() if engine.matching(metadata)]
            if limit and len(found) >= limit:
                return found[:limit]
            if len(batch) < stored.BATCH:
                return found
            after = next(reversed(batch))


class _Provider:
    name = "builtin"

    def open(self, options: Mapping[str, Any], parts: Parts) -> Catalog:
        """Return the built-in catalog, which has no options."""
        if unknown := sorted(set(options) - {"name"}):
            raise ConfigurationError(f"catalog: the built-in catalog has no option {', '.join(unknown)}")
        return BuiltinCatalog(parts.storage)


@hookimpl
def register_catalog() -> Iterable[CatalogProvider]:
    """Provide the built-in catalog."""
    yield _Provider()
