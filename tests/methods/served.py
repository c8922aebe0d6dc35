"""The driver's service behind a socket."""

import contextlib

import aiohttp

from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.tools.testing.cast import PEOPLE


class Manager:
    async def authenticate(self, credentials):
        return Manager.identity

    identity: Identity = PEOPLE["manager"]


@contextlib.asynccontextmanager
async def served(tm):
    """Serve what the driver drives; everybody is a manager."""
    tm.service.authenticators = (Manager(),)
    tm.records = []
    tm.service.observers = (tm.records.append,)
    with bind("127.0.0.1", 0) as bound:
        async with listening(tm.service, bound) as url, aiohttp.ClientSession(auto_decompress=False) as session:
            tm.url, tm.session = url, session
            yield tm
