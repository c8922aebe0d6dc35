"""A file catalog held in a dict, as the conformance scenarios describe theirs."""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from ..core.model import FieldType, Metadata
from ..matching import query as metaquery
from .base import Catalog


class DictCatalog(Catalog):
    """A catalog that never changes by itself.

    :param content: ``{"fields": {name: type}, "directories": {path: metadata}, "files": {lfn: metadata}}``.
        A path is a file or a directory when it is a key there; nothing is made up in between.
    :raises ValueError: it has another form.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        _check(content)
        self._fields: Mapping[str, FieldType] = content.get("fields", {})
        self._directories: Mapping[str, Metadata] = content.get("directories", {})
        self._files: Mapping[str, Metadata] = content.get("files", {})
        self._lfns = sorted(self._files)

    async def __aenter__(self) -> "DictCatalog":
        """Nothing to open."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing to close."""

    async def fields(self) -> Mapping[str, FieldType]:
        """Return the declared fields."""
        return self._fields

    async def files(self, lfns: Sequence[str]) -> dict[str, Metadata]:
        """Return the metadata of those of *lfns* that are files: their directories', then their own."""
        return {lfn: self._metadata(lfn) for lfn in lfns if lfn in self._files}

    async def directory(self, path: str) -> Metadata | None:
        """Return the metadata of a directory: those of ``/``, of each ancestor downwards, then its own."""
        return self._inherited(path) if path in self._directories else None

    async def list_files(self, path: str, *, recursive: bool = False) -> list[str]:
        """Return the files below a directory, sorted."""
        return [lfn for lfn in self._below(path) if recursive or _parent(lfn) == path]

    async def find(
        self, query: Mapping[str, Any], path: str = "/", *, limit: int | None = None, after: str | None = None
    ) -> list[str]:
        """Return the files below *path* that match, sorted.

        :raises CatalogError: a field is not declared, or a value is not of its type.
        """
        metaquery.check_search(query, self._fields)
        found = [
            lfn
            for lfn in self._below(path)
            if (after is None or lfn > after) and metaquery.matches(query, self._metadata(lfn), self._fields)
        ]
        return found[: limit or None]

    def _below(self, path: str) -> Iterable[str]:
        prefix = path if path.endswith("/") else f"{path}/"
        first = bisect.bisect_left(self._lfns, prefix)
        for lfn in self._lfns[first:]:
            if not lfn.startswith(prefix):
                break
            yield lfn

    def _metadata(self, lfn: str) -> Metadata:
        return self._inherited(_parent(lfn)) | self._files[lfn]

    def _inherited(self, path: str) -> Metadata:
        parts = [part for part in path.split("/") if part]
        paths = ["/", *("/" + "/".join(parts[: depth + 1]) for depth in range(len(parts)))]
        merged: Metadata = {}
        for ancestor in paths:
            merged |= self._directories.get(ancestor, {})
        return merged


def _check(content: Mapping[str, Any]) -> None:
    if unknown := content.keys() - {"fields", "directories", "files"}:
        raise ValueError(f"a catalog has fields, directories and files, not {min(unknown)}")
    for name, kind in _entries(content, "fields"):
        if kind not in get_args(FieldType):
            raise ValueError(f"the type of the field {name} is one of: {', '.join(get_args(FieldType))}")
    for part in ("directories", "files"):
        for path, metadata in _entries(content, part):
            if not isinstance(metadata, dict):
                raise ValueError(f"the metadata of {path} are not an object")


def _entries(content: Mapping[str, Any], part: str) -> Iterable[tuple[str, Any]]:
    entries = content.get(part, {})
    if not isinstance(entries, dict):
        raise ValueError(f"{part} is not an object")
    return entries.items()


def _parent(lfn: str) -> str:
    return lfn.rpartition("/")[0] or "/"
