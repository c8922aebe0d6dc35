"""Long bodies are written in parts, and others have their turn between them."""

import asyncio

import pytest

from jsonrpc_tm.core import breath
from jsonrpc_tm.http.sending import PART, in_parts


async def test_others_have_their_turn_beside_a_reader_that_is_never_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breath, "LONGEST", 0.0)
    body, turns, seen = bytes(range(256)) * 1024 * 3, 0, []

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def write(part: memoryview) -> None:
        seen.append((bytes(part), turns))

    beside = asyncio.create_task(other())
    await in_parts(write, body)
    beside.cancel()
    assert b"".join(part for part, _ in seen) == body
    assert max(len(part) for part, _ in seen) == PART
    assert len({turn for _, turn in seen}) == len(seen)
