"""The floor of a call: a bare aiohttp handler, in a process of its own.

It parses the request and answers as many bytes as it is told, or what a SELECT in a thread gives.
"""

import asyncio
import json
import ssl
import sys
import threading
from pathlib import Path

import orjson
from aiohttp import web

from .raw import Database

SELECT = "SELECT * FROM Transformations WHERE TransformationName = 't'"


async def echo(request: web.Request) -> web.Response:
    """Parse the request and answer what it says."""
    sent = orjson.loads(await request.read())
    calls = sent if isinstance(sent, list) else [sent]
    answers = [{"jsonrpc": "2.0", "result": call["params"][0], "id": call["id"]} for call in calls]
    body = orjson.dumps(answers if isinstance(sent, list) else answers[0])
    return web.Response(body=body, content_type="application/json")


def select(url: str):
    """Return a handler that answers a row of the database."""
    own = threading.local()

    def row() -> dict[str, object]:
        if not hasattr(own, "database"):
            own.database = Database(url)
        return own.database.row(SELECT)

    async def handler(request: web.Request) -> web.Response:
        call = orjson.loads(await request.read())
        body = orjson.dumps({"jsonrpc": "2.0", "result": await asyncio.to_thread(row), "id": call["id"]})
        return web.Response(body=body, content_type="application/json")

    return handler


async def main(tls: str | None, url: str) -> None:
    """Serve, and say where, until the process is ended."""
    app = web.Application(client_max_size=1 << 28)
    app.router.add_post("/echo", echo)
    app.router.add_post("/select", select(url))
    context = None
    if tls is not None:
        folder = Path(tls)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        context.verify_mode = ssl.CERT_REQUIRED
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
