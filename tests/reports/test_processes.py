"""Worker processes: which one wrote a line, and that none outlives its parent."""

import asyncio
import json
import logging
import os
import signal

import aiohttp
import pytest

from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.observe import logs

from ..http.test_serve import pids, program, serving


def test_b12_every_line_tells_the_process() -> None:
    record = logging.makeLogRecord({"msg": "x", "levelname": "INFO"})
    assert json.loads(logs.JSONFormatter().format(record))["pid"] == os.getpid()
    assert logs.TextFormatter().format(record)[8:].split() == [str(os.getpid()), "INFO", "x"]


async def test_b12_a_worker_that_is_stuck_ends_with_its_parent() -> None:
    async with serving(**{"server.workers": 2, "server.shutdown_grace": 0, "patience": 0.2}) as server:
        await pids(server, 2)
        stuck = asyncio.create_task(server.call("block"))
        assert await server.line() == "blocking"
        server.signal(signal.SIGKILL)
        # they share stderr, which ends with the last of them
        _, log = await server.end()
        assert log.count("the parent process is gone") == 2
        assert log.count("this process did not end in time") == 1
        with pytest.raises(aiohttp.ClientError):
            await stuck
        bind("127.0.0.1", server.port).close()


async def test_b12_a_worker_that_still_waits_for_its_database_ends_with_its_parent() -> None:
    async with program(**{"server.workers": 2, "waits": True}) as server:
        for _ in range(2):
            assert await server.line() == "opening"
        server.signal(signal.SIGKILL)
        _, log = await server.end()
        assert log.count("stopping before the service was open") == 2
