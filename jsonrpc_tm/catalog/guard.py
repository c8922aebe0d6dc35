"""A catalog as methods see it: whatever goes wrong in a plugin is a CatalogError."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any, TypeVar

from ..core.errors import CatalogError, TMError
from ..core.identity import Asker
from ..core.model import DATA_FILES, FieldType, Metadata
from .base import Catalog, Feed

logger = logging.getLogger(__name__)
T = TypeVar("T")


class GuardedCatalog:
    """Passes every question on; see ``Catalog``.

    :param catalog: the catalog that answers.
    :param asker: for whom it is asked, where a question does not say.
    """

    def __init__(self, catalog: Catalog, asker: Asker | None = None) -> None:
        self._catalog = catalog
        self._asker = asker

    def on_behalf(self, asker: Asker) -> "GuardedCatalog":
        """Return the catalog for questions of *asker*."""
        return GuardedCatalog(self._catalog, asker)

    @property
    def feed(self) -> Feed | None:
        """What writes to the catalog; None where the server itself may not."""
        return getattr(self._catalog, "feed", None)

    @property
    def believes_announcements(self) -> bool:
        """Whether files are what is announced of them: the catalog knows none."""
        return getattr(self._catalog, "believes_announcements", False)

    async def __aenter__(self) -> "GuardedCatalog":
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def fields(self) -> Mapping[str, FieldType]:
        """Return the declared metadata fields and their types."""
        return await _guard(lambda: self._catalog.fields())

    async def files(self, lfns: Sequence[str], *, asker: Asker | None = None) -> dict[str, Metadata]:
        """Return the metadata of those of *lfns* that are files."""
        ask = self._catalog.files
        return await _guard(lambda: ask(lfns, **_told(ask, asker or self._asker)))

    async def directory(self, path: str) -> Metadata | None:
        """Return the metadata of a directory, None when *path* is not one."""
        return await _guard(lambda: self._catalog.directory(path))

    async def list_files(self, path: str, *, recursive: bool = False) -> list[str]:
        """Return the LFNs in a directory."""
        return _names(await _guard(lambda: self._catalog.list_files(path, recursive=recursive)))

    async def find(
        self,
        query: Mapping[str, Any],
        path: str = "/",
        *,
        limit: int | None = None,
        after: str | None = None,
        asker: Asker | None = None,
    ) -> list[str]:
        """Return the LFNs below *path* that match a meta query."""
        ask = self._catalog.find
        told = _told(ask, asker or self._asker)
        return _names(await _guard(lambda: ask(query, path, limit=limit, after=after, **told)))


def _told(ask: Callable[..., Any], asker: Asker | None) -> dict[str, Any]:
    """Return what tells a catalog's function for whom it is asked, if it wants to know."""
    return {"asker": asker} if asker is not None and _wants_asker(getattr(ask, "__func__", ask)) else {}


@lru_cache(maxsize=100)
def _wants_asker(function: Callable[..., Any]) -> bool:
    """Whether a function takes ``asker``: catalogs that were written before it was told do not."""
    parameters = signature(function).parameters
    return "asker" in parameters or any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())


def _names(lfns: list[str]) -> list[str]:
    """Return *lfns*, all of which the books can hold.

    :raises CatalogError: one is too long.
    """
    length = DATA_FILES.columns["LFN"].length or 0
    for lfn in lfns:
        if len(lfn) > length:
            raise CatalogError(f"The file catalog has a name of more than {length} characters: {lfn[:80]}…")
    return lfns


async def _guard(ask: Callable[[], Awaitable[T]]) -> T:
    try:
        return await ask()
    except TMError:
        raise
    except Exception as error:
        # the text of a library's exception is for the log, not for the caller
        logger.exception("the file catalog failed")
        raise CatalogError("The file catalog failed") from error
