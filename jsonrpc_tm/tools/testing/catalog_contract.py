"""What every file catalog must do.

A catalog plugin's tests subclass ``CatalogContract`` and provide the fixture ``catalog``: an open catalog over
``CONTENT``. A catalog that does not pass metadata on to what is below a directory may have them at each file instead;
one that declares no fields overrides ``declared`` with False. One that tells different callers different things
overrides ``asker`` with somebody who may know everything.
"""

from typing import Any

import pytest

from ...catalog.base import Catalog
from ...catalog.guard import GuardedCatalog
from ...core.errors import CatalogError
from ...core.identity import MANAGEMENT, Asker, Identity
from ...matching.query import matches

CONTENT: dict[str, Any] = {
    "fields": {"particle": "string", "zenith": "int", "energy": "float", "day": "date"},
    "directories": {
        "/": {},
        "/vo": {"energy": 1.5},
        "/vo/gamma": {"particle": "gamma", "zenith": 20},
        "/vo/gamma/north": {"zenith": 40},
        "/vo/gamma2": {},
        "/vo/none": {"zenith": 60},
    },
    "files": {
        "/vo/gamma/a": {"day": "2024-05-01"},
        "/vo/gamma/b ": {"zenith": 5},
        "/vo/gamma/B": {"energy": "unreadable"},
        "/vo/gamma/north/c": {"particle": "proton"},
        "/vo/gamma2/é": {},
    },
}
"""Fields with types, directories with their own metadata, files with theirs."""
WHOLE: dict[str, dict[str, Any]] = {
    "/vo/gamma/B": {"energy": "unreadable", "particle": "gamma", "zenith": 20},
    "/vo/gamma/a": {"energy": 1.5, "particle": "gamma", "zenith": 20, "day": "2024-05-01"},
    "/vo/gamma/b ": {"energy": 1.5, "particle": "gamma", "zenith": 5},
    "/vo/gamma/north/c": {"energy": 1.5, "particle": "proton", "zenith": 40},
    "/vo/gamma2/é": {"energy": 1.5},
}
"""Metadata of the files, inherited ones included, sorted by LFN."""
QUERIES: tuple[dict[str, Any], ...] = (
    {},
    {"particle": "gamma"},
    {"zenith": [5, 40]},
    {"zenith": {">": 5, "<": 40}, "particle": {"!=": "proton"}},
    {"energy": 1.5},
    {"day": "Missing"},
    {"energy": "Any", "zenith": {"nin": [20]}},
    {"particle": "Gamma"},
)


class CatalogContract:
    """The contract, one test a promise."""

    declared = True
    asker = Asker(Identity("manager", "managers", (MANAGEMENT,)), "owner", "owners")

    async def test_fields(self, catalog: Catalog) -> None:
        """The declared fields with their types."""
        assert dict(await catalog.fields()) == (CONTENT["fields"] if self.declared else {})

    async def test_files(self, catalog: Catalog) -> None:
        """Metadata of files, exactly those that are files; each name as its bytes are."""
        asked = [*WHOLE, "/vo/gamma", "/vo/gamma/A", "/vo/gamma/b", "/vo/gamma2/e", "/nosuch", "", "vo"]
        assert await catalog.files(asked) == WHOLE
        assert await catalog.files([]) == {}

    async def test_many_files(self, catalog: Catalog) -> None:
        """Any number may be asked for at once."""
        asked = [f"/nosuch/{number}" for number in range(20_000)]
        assert await catalog.files([*asked, "/vo/gamma/a"]) == {"/vo/gamma/a": WHOLE["/vo/gamma/a"]}

    async def test_directories(self, catalog: Catalog) -> None:
        """A directory is there or None; a file is none."""
        for path in CONTENT["directories"]:
            assert await catalog.directory(path) is not None
        for path in ("/vo/gamma/a", "/nosuch", "/vo/gamma/", "/VO", ""):
            assert await catalog.directory(path) is None

    async def test_listing(self, catalog: Catalog) -> None:
        """Files directly in a directory, or at any depth; sorted by code point."""
        assert await catalog.list_files("/vo/gamma") == ["/vo/gamma/B", "/vo/gamma/a", "/vo/gamma/b "]
        assert await catalog.list_files("/vo/gamma", recursive=True) == list(WHOLE)[:4]
        assert await catalog.list_files("/", recursive=True) == list(WHOLE)
        assert await catalog.list_files("/vo") == []
        assert await catalog.list_files("/vo/none", recursive=True) == []

    async def test_finding(self, catalog: Catalog) -> None:
        """A search gives what matches file by file, sorted, under a path, in pages."""
        fields = await catalog.fields()
        for query in QUERIES:
            for path in ("/", "/vo/gamma", "/vo/gamma/north", "/vo/none", "/nosuch"):
                below = path.rstrip("/") + "/"
                expected = [lfn for lfn in WHOLE if lfn.startswith(below) and matches(query, WHOLE[lfn], fields)]
                assert await catalog.find(query, path) == expected
                assert await catalog.find(query, path, limit=0) == expected
                assert await catalog.find(query, path, limit=2) == expected[:2]
                assert (
                    await catalog.find(query, path, limit=2, after="/vo/gamma/a")
                    == [lfn for lfn in expected if lfn > "/vo/gamma/a"][:2]
                )

    async def test_for_whom(self, catalog: Catalog) -> None:
        """A catalog may be told for whom it is asked, or not."""
        asked = GuardedCatalog(catalog).on_behalf(self.asker)
        assert await asked.files(list(WHOLE)) == WHOLE
        assert await asked.find({}, "/vo/gamma", limit=3, after="/vo/gamma/B") == list(WHOLE)[1:4]

    async def test_refusing(self, catalog: Catalog) -> None:
        """A catalog with declared fields refuses what it cannot compare."""
        for query in (
            {"nosuch": 1},
            {"nosuch": "Missing"},
            {"zenith": "x"},
            {"zenith": [20, 1.5]},
            {"day": {">": "soon"}},
        ):
            if self.declared:
                with pytest.raises(CatalogError):
                    await catalog.find(query)
