"""Catalogs that want to know for whom they are asked, and those that were written before they could."""

import pytest

from jsonrpc_tm.api import Asker
from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.tools.testing.cast import PEOPLE
from tests.methods.announced import CONTENT, files_of


class Curious(DictCatalog):
    """Writes down for whom it is asked."""

    def __init__(self) -> None:
        super().__init__(CONTENT)
        self.asked: list[tuple[str, Asker | None]] = []

    async def files(self, lfns, *, asker=None):
        self.asked.append(("files", asker))
        return await super().files(lfns)

    async def find(self, query, path="/", *, limit=None, after=None, asker=None):
        self.asked.append(("find", asker))
        return await super().find(query, path, limit=limit, after=after)


class Liberal(Curious):
    """Takes whatever it is told."""

    async def find(self, *args, **more):
        return await super().find(*args, **more)


@pytest.mark.parametrize("kind", [Curious, Liberal])
async def test_c8_a_catalog_learns_for_whom_it_is_asked(sqlite_tm, kind):
    tm = sqlite_tm
    catalog = tm.catalog.current = kind()
    carol, alice = PEOPLE["carol"], PEOPLE["alice"]
    await tm.add("t", who="carol", inputMetaQuery={"particle": "gamma"})
    # once before the transaction, once after it
    assert catalog.asked == [("find", Asker(carol, "carol", carol.group))] * 2
    catalog.asked.clear()
    await tm("addFile", ["/vo/g/1"], who="alice")
    await tm("addDirectory", "/vo/g", who="alice")
    await tm("catalog.get", "/vo/g/1", who="alice")
    assert catalog.asked == [("files", Asker(alice))] * 3
    catalog.asked.clear()
    await tm("catalog.find", {"particle": "gamma"}, who="alice")
    assert catalog.asked == [("find", Asker(alice))]


async def test_c8_a_catalog_that_was_written_before_is_not_told(small):
    await small.add("t", who="carol", inputMetaQuery={"particle": "gamma"})
    assert len(await files_of(small, 1)) == 4
    assert (await small("addFile", ["/vo/g/1"]))["Successful"] == {"/vo/g/1": True}
