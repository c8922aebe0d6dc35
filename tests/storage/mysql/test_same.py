"""The same random sequence of calls gives the same answers, and ends in the same state, on SQLite and on MariaDB."""

import asyncio
import collections
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from jsonrpc_tm.core import model
from jsonrpc_tm.core.errors import TMError
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.tools.harness import Harness
from jsonrpc_tm.tools.testing.configuration import configure
from tests.storage.mysql.calls import SEQUENCES

CATALOG = json.loads((Path(__file__).parents[2] / "conformance" / "catalog.json").read_text("utf-8"))
CALLER = Identity("alice", "prod", frozenset({"ProductionManagement"}), dn="/CN=alice")
START = "2024-10-15T12:00:00Z"


async def answer(harness: Harness, call: tuple) -> object:
    method, params = call
    try:
        return await harness.service.call(harness.service.context(CALLER), method, params)
    except TMError as error:
        # messages and data too: clients see them
        return {"error": error.type, "message": error.message, "data": error.data}


async def state(harness: Harness) -> dict:
    async def rows(tx):
        result = {}
        for table in model.TABLES.values():
            columns = ", ".join(table.columns)
            result[table.name] = await tx.fetch_all(
                f"SELECT {columns} FROM {table.name} ORDER BY {', '.join(table.key)}"
            )
        result["TaskCounters"] = await tx.fetch_all(
            "SELECT TransformationID, LastTaskID FROM TaskCounters ORDER BY TransformationID"
        )
        return result

    return await harness.service.storage.run("state", rows, read=True)


async def opened(stack: AsyncExitStack, url: str) -> Harness:
    loaded, plugins = configure({"storage.url": url, "storage.migrate": True})
    harness = Harness(loaded, plugins=plugins)
    await stack.enter_async_context(harness.service)
    return harness


@pytest.mark.mariadb
def test_both_engines_say_the_same(mysql_url):
    outcomes = collections.Counter()
    # hypothesis wants a plain function: the loop stays open between its examples
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        harnesses = [runner.run(opened(stack, url)) for url in ("sqlite://:memory:", mysql_url)]

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        @given(SEQUENCES)
        def same(calls):
            runner.run(compare(harnesses, calls, outcomes))

        try:
            same()
        finally:
            runner.run(stack.aclose())
    print(outcomes)
    # the sequences must reach deep: most calls have an effect or find something
    assert outcomes["ok"] > outcomes.total() / 2, outcomes


async def compare(harnesses, calls, outcomes) -> None:
    for harness in harnesses:
        await harness.reset(START, CATALOG)
    for number, call in enumerate(calls):
        now = f"2024-10-15T12:00:{number + 1:02}Z"
        answers = []
        for harness in harnesses:
            await harness.set_clock(now)
            answers.append(await answer(harness, call))
        failed = isinstance(answers[0], dict) and "error" in answers[0]
        outcomes[answers[0]["error"] if failed else "ok"] += 1
        assert answers[0] == answers[1], f"after {calls[:number]}, {call}"
    states = [await state(harness) for harness in harnesses]
    assert states[0] == states[1], calls
