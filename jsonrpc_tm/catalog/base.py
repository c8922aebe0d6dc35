"""What the server asks of a file catalog."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from ..service import Service

FieldType = Literal["int", "float", "date", "string"]
Metadata = dict[str, Any]


class Catalog(Protocol):
    """A file catalog. Every operation may raise CatalogError: the catalog failed or refused."""

    async def __aenter__(self) -> "Catalog":
        """Open it."""

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""

    async def fields(self) -> Mapping[str, FieldType]:
        """Return the declared metadata fields and their types."""

    async def files(self, lfns: Sequence[str]) -> dict[str, Metadata]:
        """Return the metadata (inherited ones included) of those of *lfns* that are files."""

    async def directory(self, path: str) -> Metadata | None:
        """Return the metadata of a directory, inherited ones included; None when *path* is not a directory."""

    async def list_files(self, path: str, *, recursive: bool = False) -> list[str]:
        """Return the LFNs of the files directly in a directory, or at any depth below it, sorted."""

    async def find(
        self, query: Mapping[str, Any], path: str = "/", *, limit: int | None = None, after: str | None = None
    ) -> list[str]:
        """Return the LFNs below *path* that match a meta query, sorted.

        :param after: only LFNs that sort after this one.
        :raises CatalogError: a field is not declared, or a value cannot be read as its type.
        """


class CatalogProvider(Protocol):
    """What a plugin hands over in ``register_catalog``."""

    name: str

    def open(self, options: Mapping[str, Any], service: "Service") -> Catalog:
        """Return the catalog, not yet opened.

        :param options: the configuration's ``catalog`` section.
        """
