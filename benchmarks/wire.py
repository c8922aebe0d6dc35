"""What the wire costs: processor time of the server a request, against a bare aiohttp handler in the same run.

    python benchmarks/wire.py [--calls N] [--rounds N]

Each server is a process of its own that reports its processor time, so neither the client nor other programs count.
Prints the median of the rounds in microseconds, and the ratio to the bare handler for the same bytes.
"""

import argparse
import asyncio
import multiprocessing
import ssl
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import orjson
import trustme
from aiohttp import web

from jsonrpc_tm.app import build_service, configure
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening

JSON = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
NAMES = [f"/bench/run/a-file-name-of-usual-length-{number:06d}.root" for number in range(10_000)]


def request(data: Any, id: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "echo", "params": [data], "id": id}


CASES = {
    "echo": (request("hello"), JSON),
    "echo in a batch of 50": ([request("hello", n) for n in range(50)], JSON),
    "echo of 10,000 names": (request(NAMES), JSON),
    "the same, answer compressed": (request(NAMES), {**JSON, "Accept-Encoding": "gzip"}),
}


async def bare(request: web.Request) -> web.Response:
    """The floor: read the body, parse it, answer the same."""
    sent = orjson.loads(await request.read())
    many = sent if isinstance(sent, list) else [sent]
    answers = [{"jsonrpc": "2.0", "result": one["params"][0], "id": one["id"]} for one in many]
    body = orjson.dumps(answers if isinstance(sent, list) else answers[0])
    return web.Response(body=body, content_type="application/json")


def answer_times(pipe: Connection, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Report this process's processor time each time the parent asks; stop when it is gone."""

    def asked() -> None:
        try:
            pipe.recv()
            pipe.send(time.process_time())
        except EOFError:
            loop.remove_reader(pipe.fileno())
            stop.set()

    loop.add_reader(pipe.fileno(), asked)


async def serve_bare(pipe: Connection, context: ssl.SSLContext | None) -> None:
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/rpc", bare)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    with bind("127.0.0.1", 0) as bound:
        await web.SockSite(runner, bound, ssl_context=context).start()
        stop = asyncio.Event()
        pipe.send(bound.getsockname()[1])
        answer_times(pipe, asyncio.get_running_loop(), stop)
        await stop.wait()
        await runner.cleanup()


async def serve_ours(pipe: Connection, context: ssl.SSLContext | None) -> None:
    unlimited = dict.fromkeys(("limits.anonymous_batch", "limits.anonymous_body", "limits.anonymous_calls"), 0)
    settings, plugins = configure(None, {}, {"storage.url": "sqlite://:memory:", **unlimited})
    service = build_service(settings, plugins=plugins, authenticators=[])
    with bind("127.0.0.1", 0) as bound:
        async with service, listening(service, bound, context):
            stop = asyncio.Event()
            pipe.send(bound.getsockname()[1])
            answer_times(pipe, asyncio.get_running_loop(), stop)
            await stop.wait()


def child(serve: Callable[..., Awaitable[None]], pipe: Connection, other: Connection, certificate: Path | None) -> None:
    other.close()
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    asyncio.run(serve(pipe, context))  # type: ignore[arg-type]


class Server:
    """A server process."""

    def __init__(self, serve: Callable[..., Awaitable[None]], certificate: Path | None = None) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=child, args=(serve, theirs, self.pipe, certificate))
        self.process.start()
        theirs.close()
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.pipe.recv()}/rpc"

    def spent(self) -> float:
        self.pipe.send(None)
        seconds: float = self.pipe.recv()
        return seconds

    def stop(self) -> None:
        # closing the pipe is not enough: the servers started later have a copy of it
        self.process.terminate()
        self.process.join()
        self.pipe.close()


async def cost(server: Server, session: aiohttp.ClientSession, body: Any, headers: Any, calls: int) -> float:
    """Return the microseconds of the server's processor time that a request takes, 4 connections at once."""
    raw = orjson.dumps(body)

    async def client() -> None:
        for _ in range(calls // 4):
            async with session.post(server.url, data=raw, headers=headers) as response:
                answer = await response.read()
                if response.status != 200 or b'"error"' in answer[:40]:
                    raise SystemExit(f"HTTP {response.status}: {answer[:200]!r}")

    before = server.spent()
    await asyncio.gather(*(client() for _ in range(4)))
    return (server.spent() - before) / (calls // 4 * 4) * 1e6


async def measure(
    floor: Server,
    ours: Server,
    session: aiohttp.ClientSession,
    title: str,
    body: Any,
    headers: Any,
    calls: int,
    rounds: int,
) -> None:
    pairs = [
        (await cost(floor, session, body, headers, calls), await cost(ours, session, body, headers, calls))
        for _ in range(rounds)
    ]
    base, value = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"{title:<34}{value:>12,.0f}{base:>12,.0f}{value / base:>8.2f}")


async def main(calls: int, rounds: int) -> None:
    with TemporaryDirectory() as folder:
        certificate = Path(folder) / "server.pem"
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        plain = Server(serve_bare), Server(serve_ours)
        tls = Server(serve_bare, certificate), Server(serve_ours, certificate)
        print(f"{'request':<34}{'us':>12}{'bare us':>12}{'ratio':>8}")
        try:
            connector = aiohttp.TCPConnector(ssl=trusting)
            async with aiohttp.ClientSession(connector=connector) as session:
                for title, (body, headers) in CASES.items():
                    few = max(8, calls // 50) if "names" in title or "same" in title else calls
                    await measure(*plain, session, title, body, headers, few, rounds)
                await measure(*tls, session, "echo over TLS", request("hello"), JSON, calls, rounds)
        finally:
            for server in (*plain, *tls):
                server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000, help="requests a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(main(options.calls, options.rounds))
