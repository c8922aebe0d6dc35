"""What the server asks of a file catalog. ``docs/catalog.md`` shows how to write one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..core.model import FieldType, Metadata
from ..parts import Parts
from ..storage.base import Transaction


class Catalog(Protocol):
    """A file catalog.

    It is asked outside of transactions, by many calls at once. Paths and LFNs are compared exactly. Every operation
    may raise CatalogError: the catalog failed or refused. A catalog that knows no types declares no fields: then
    queries compare its values as JSON values.

    ``files`` and ``find`` may take a keyword argument ``asker``, an ``Asker`` or None: then they are told for whom they
    are asked.

    One that knows no files at all says so with the attribute ``believes_announcements``, True: then a file that is
    announced is one, with the metadata that the announcement says.
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


class Feed(Protocol):
    """What writes to a catalog that lives in the server's own database: functions over an open transaction.

    A catalog that has one says so with the attribute ``feed``; the methods ``catalog.add…`` are for these only.
    """

    async def add_fields(self, tx: Transaction, declared: Mapping[str, FieldType], /) -> int:
        """Declare metadata fields; return how many are new."""

    async def add_files(self, tx: Transaction, files: Mapping[str, Metadata], /) -> tuple[int, int]:
        """Add files, or replace their own metadata; return how many are new and how many have changed.

        :raises InvalidParams: values that cannot be read as their fields' types.
        """

    async def set_metadata(self, tx: Transaction, path: str, metadata: Metadata, /) -> None:
        """Set metadata of a file or directory.

        :raises InvalidParams: values that cannot be read as their fields' types.
        """

    async def remove(self, tx: Transaction, paths: Sequence[str], /) -> int:
        """Remove files, and directories with everything below; return how many went."""

    async def read_fields(self, tx: Transaction, /) -> Mapping[str, FieldType]:
        """Return the declared fields and their types."""

    async def read_files(self, tx: Transaction, lfns: Iterable[str], /) -> dict[str, Metadata]:
        """Return the metadata, inherited ones included, of those of *lfns* that are files."""

    async def read_own(self, tx: Transaction, lfns: Iterable[str], /) -> dict[str, Metadata]:
        """Return the own metadata of those of *lfns* that are files."""

    async def read_directories(self, tx: Transaction, paths: Iterable[str], /) -> dict[str, Metadata]:
        """Return the own metadata of those of *paths* that are directories."""


class CatalogProvider(Protocol):
    """What a plugin hands over in ``register_catalog``."""

    name: str

    def open(self, options: Mapping[str, Any], parts: Parts) -> Catalog:
        """Return the catalog, not yet opened.

        :param options: the configuration's ``catalog`` section, ``name`` included.
        :raises ConfigurationError: the options are wrong.
        """
