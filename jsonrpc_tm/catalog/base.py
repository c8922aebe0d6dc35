"""What the server asks of a file catalog. ``docs/catalog.md`` shows how to write one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..core.model import FieldType, Metadata

if TYPE_CHECKING:
    from ..rpc.service import Service


class Catalog(Protocol):
    """A file catalog.

    It is asked outside of transactions, by many calls at once. Paths and LFNs are compared exactly. Every operation
    may raise CatalogError: the catalog failed or refused. A catalog that knows no types declares no fields: then
    queries compare its values as JSON values.
    """

    async def __aenter__(self) -> "Catalog":
        """Open it; the storage is open already."""

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""

    async def fields(self) -> Mapping[str, FieldType]:
        """Return the declared metadata fields and their types."""

    async def files(self, lfns: Sequence[str]) -> dict[str, Metadata]:
        """Return the metadata (inherited ones included) of those of *lfns* that are files; any number may be asked."""

    async def directory(self, path: str) -> Metadata | None:
        """Return the metadata of a directory, inherited ones included; None when *path* is not a directory."""

    async def list_files(self, path: str, *, recursive: bool = False) -> list[str]:
        """Return the LFNs of the files directly in a directory, or at any depth below it, sorted."""

    async def find(
        self, query: Mapping[str, Any], path: str = "/", *, limit: int | None = None, after: str | None = None
    ) -> list[str]:
        """Return the LFNs at any depth below *path* that match a meta query, sorted by code point.

        :param query: a validated meta query; an empty one matches every file.
        :param limit: the most to return; None and 0 for all.
        :param after: only LFNs that sort after this one.
        :raises CatalogError: a field is not declared, or a value cannot be read as its type.
        """


class CatalogProvider(Protocol):
    """What a plugin hands over in ``register_catalog``."""

    name: str

    def open(self, options: Mapping[str, Any], service: "Service") -> Catalog:
        """Return the catalog, not yet opened.

        :param options: the configuration's ``catalog`` section, ``name`` included.
        :raises ConfigurationError: the options are wrong.
        """
