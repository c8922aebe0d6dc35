"""Four server processes on one MariaDB, 32 callers at once: everything stays exact."""

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from jsonrpc_tm.client import Client
from jsonrpc_tm.tools.demo.server import configure, start, stop
from tests.storage.mysql import load

pytestmark = [pytest.mark.mariadb, pytest.mark.timeout(300)]

WORKERS, CALLERS = 4, 32
TURNS = 6


@pytest.fixture
async def server(tmp_path, mysql_url):
    config = configure(tmp_path, mysql_url)
    config.write_text(config.read_text().replace("server:\n", f"server:\n  workers: {WORKERS}\n"))
    process, server = await start(config)
    yield server
    await stop(process)


async def test_callers_of_four_processes_get_exact_answers(server, mariadb, mysql_url, capsys):
    books = load.Books()
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(Client(**server.client("manager")))
        ids = await load.prepare(manager)
        callers = []
        for number in range(CALLERS):
            # connections of its own, so that the callers are spread over the processes
            client = await stack.enter_async_context(Client(**server.client("agent"), connections=2))
            callers.append(load.Caller(f"c{number}", [client], books, random.Random(number), asyncio.Event(), ids))
        await asyncio.gather(*(caller.work(TURNS) for caller in callers))
    database = mysql_url.rpartition("/")[2]
    assert (books.errors, sum(books.unsure.values())) == ([], 0)
    load.check(books, lambda sql: mariadb.sql(sql, database), ids)
    with capsys.disabled():
        print(f"\n{WORKERS} processes, {CALLERS} callers: {books.summary()}")
