"""What every storage must do with the keys of calls (``Transaction.claim``)."""

import asyncio
from typing import Any

import pytest

from ...core.errors import Conflict, NotFound, TMError
from ...storage import keys
from ...storage.base import CallKey, Storage, Transaction
from .dialect_contract import add_files

NAME, DIGEST = "0" * 32, "d" * 32
KEY = CallKey(NAME, DIGEST, "2024-10-15 12:00:00", "2024-10-14 12:00:00")
OTHER_CALL = CallKey(NAME, "e" * 32, KEY.now, KEY.oldest)
LATER = CallKey(NAME, "f" * 32, "2024-10-16 12:00:01", "2024-10-15 12:00:01")


async def once(tx: Transaction, key: CallKey, lfn: str, fails: str = "") -> str:
    """Add a file under a key; return what the first one returned."""
    if (kept := await tx.claim(key)) is not None:
        return kept
    await add_files(tx, [lfn])
    if fails == "body":
        raise NotFound("no")
    await keys.keep(tx, key, f'"{lfn}"')
    if fails == "last":
        await tx.last("UPDATE NoSuchTable SET a = 1")
    return f'"{lfn}"'


async def names(tx: Transaction) -> list[Any]:
    """Return the files' names."""
    return await tx.fetch_column("SELECT LFN FROM DataFiles ORDER BY FileID")


class KeyContract:
    """One test a promise."""

    async def test_a_key_happens_once(self, storage: Storage) -> None:
        """Whoever comes later gets the first result; with another call it is refused."""
        assert await storage.run("first", once, KEY, "/a") == '"/a"'
        assert await storage.run("again", once, KEY, "/b") == '"/a"'
        assert await storage.run("find", keys.find, KEY, read=True) == '"/a"'
        for body in (once, keys.find):
            with pytest.raises(Conflict) as raised:
                await storage.run("other", body, OTHER_CALL, *(["/c"] if body is once else []))
            assert raised.value.data == {"reason": "key reused"}
        assert await storage.run("names", names, read=True) == ["/a"]

    async def test_what_fails_leaves_its_key_free(self, storage: Storage) -> None:
        """For any call."""
        for fails in ("body", "last"):
            with pytest.raises(Exception, match="NoSuchTable" if fails == "last" else "no"):
                await storage.run("fails", once, OTHER_CALL, "/a", fails)
        assert await storage.run("find", keys.find, KEY, read=True) is None
        assert await storage.run("works", once, KEY, "/b") == '"/b"'
        assert await storage.run("names", names, read=True) == ["/b"]

    async def test_keys_grow_old(self, storage: Storage) -> None:
        """Old ones stand for nothing, whether they are there or not; those that are not old stay."""
        await storage.run("first", once, KEY, "/a")
        assert await storage.run("find", keys.find, LATER, read=True) is None
        assert await storage.run("later", once, LATER, "/b") == '"/b"'
        assert await storage.run("later", once, LATER, "/c") == '"/b"'
        assert not await keys.forget(storage, LATER.now)
        assert await storage.run("find", keys.find, LATER, read=True) == '"/b"'
        assert not await keys.forget(storage, "2024-10-16 12:00:02")
        assert await storage.run("find", keys.find, LATER, read=True) is None
        assert await storage.run("names", names, read=True) == ["/a", "/b"]

    async def test_many_at_once_happen_once(self, storage: Storage) -> None:
        """Each gets the first result, or is told that the key is in use."""
        tasks = [storage.run("race", once, KEY, f"/{number}") for number in range(8)]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        (name,) = await storage.run("names", names, read=True)
        for one in found:
            assert one == f'"{name}"' or isinstance(one, keys.KeyInUse), one
        assert f'"{name}"' in found
        assert all(not isinstance(one, TMError) or one.data["retryable"] for one in found)
