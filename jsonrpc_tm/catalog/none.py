"""No catalog: for sites whose files are registered elsewhere, and announced here with what they are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.errors import ConfigurationError
from ..core.model import FieldType, Metadata
from ..parts import Parts
from ..plugin.marker import hookimpl
from .base import Catalog, CatalogProvider


class NoCatalog(Catalog):
    """A catalog that knows nothing: a search finds nothing, and an announcement's word is taken."""

    believes_announcements = True

    async def __aenter__(self) -> "NoCatalog":
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def fields(self) -> Mapping[str, FieldType]:
        """Return no fields: values compare as JSON values."""
        return {}

    async def files(self, lfns: Sequence[str]) -> dict[str, Metadata]:
        """Return nothing."""
        return {}

    async def directory(self, path: str) -> Metadata | None:
        """Return None."""
        return None

    async def list_files(self, path: str, *, recursive: bool = False) -> list[str]:
        """Return nothing."""
        return []

    async def find(
        self, query: Mapping[str, Any], path: str = "/", *, limit: int | None = None, after: str | None = None
    ) -> list[str]:
        """Return nothing, whatever is asked."""
        return []


class _Provider:
    name = "none"

    def open(self, options: Mapping[str, Any], parts: Parts) -> Catalog:
        """Return the catalog, which has no options."""
        if unknown := sorted(set(options) - {"name"}):
            raise ConfigurationError(f"catalog: the catalog none has no option {', '.join(unknown)}")
        return NoCatalog()


@hookimpl
def register_catalog() -> Iterable[CatalogProvider]:
    """Provide the catalog ``none``."""
    yield _Provider()
