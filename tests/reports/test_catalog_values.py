"""Values in the built-in catalog that no query would ever find."""

import pytest

from jsonrpc_tm.catalog.builtin import BuiltinCatalog
from jsonrpc_tm.core.errors import CatalogError

FIELDS = {"run": "int", "energy": "float", "day": "date", "site": "string"}
UNREADABLE = [("day", "25/02/2026"), ("day", 20260225), ("run", 1.5), ("run", "one"), ("energy", "1,5"), ("site", True)]


@pytest.fixture
async def fed(tm):
    tm.catalog.current = BuiltinCatalog(tm.service.storage)
    await tm("catalog.addFields", FIELDS)
    return tm


async def test_c7_values_that_no_query_would_find_are_refused_with_the_form(fed):
    form = "Not a value of the type date, such as 2026-02-25 or 2026-02-25T13:45:00Z."
    for announce in (False, True):
        data = await fed.refused("InvalidParams", "catalog.addFiles", {"/a": {}, "/b": {"day": "25/02/2026"}}, announce)
        assert data["errors"] == {"files": {"/b": {"day": [form]}}}
    data = await fed.refused("InvalidParams", "catalog.setMetadata", "/vo", {"day": "25/02/2026", "run": 1, "own": 1})
    assert data["errors"] == {"metadata": {"/vo": {"day": [form]}}}
    assert await fed("catalog.find", {}) == []
    await fed.refused("NotFound", "catalog.get", "/vo")


async def test_c7_every_type_has_its_form(fed):
    for field, value in UNREADABLE:
        data = await fed.refused("InvalidParams", "catalog.addFiles", {"/b": {field: value}})
        ((message,),) = data["errors"]["files"]["/b"].values()
        assert FIELDS[field] in message and "such as" in message
    good = {"day": "2026-02-25", "run": "7", "energy": 2, "site": 5, "undeclared": True}
    assert await fed("catalog.addFiles", {"/b": good}) == {"Added": 1, "Changed": 0}
    assert await fed("catalog.find", {"day": "2026-02-25T00:00:00Z", "run": 7, "energy": 2.0, "site": "5"}) == ["/b"]
    await fed("catalog.setMetadata", "/b", {"day": None})
    assert await fed("catalog.find", {"day": "Missing"}) == ["/b"]


async def test_c7_searches_and_dates_show_a_good_one_too(fed):
    data = await fed.refused("InvalidParams", "getTransformations", older="25/02/2026")
    assert data["errors"]["older"] == ["Not a date-time, such as 2026-02-25 or 2026-02-25T13:45:00Z."]
    with pytest.raises(
        CatalogError, match="built-in catalog has the type date for 'day': values are such as 2026-02-25"
    ):
        await fed("catalog.find", {"day": "25/02/2026"})
