"""Calls that do little: what they cost between the socket and the database, with the call log."""

import json
from collections.abc import Iterator
from functools import partial

from ..common.measure import SQLITE, Bench, Row, measurement, row
from ..common.processes import Server

NEW = ("", "", "Processing", "Standard", "Manual", "")
CALLERS = (1, 16)


def one(bench: Bench, **options: object) -> tuple[Server, str]:
    """Return a server whose database has the transformation ``t``, and the URL of the database."""
    url = bench.url()
    server = bench.server(url=url, **options)
    server.call("addTransformation", "t", *NEW)
    return server, url


@measurement("echo", (SQLITE,))
def echo(bench: Bench) -> Iterator[Row]:
    """Compared with a bare handler that parses and answers the same bytes."""
    for wire, tls in (("plain", False), ("TLS", True)):
        server, url = one(bench, tls=tls)
        bare = bench.bare(server, url)
        request = server.request("echo", "hello")
        same = bare.target.request("/echo", request.partition(b"\r\n\r\n")[2])
        for callers in CALLERS:
            ours, floor = bench.turns(bench.steady(server, request, callers), bench.steady(bare, same, callers))
            yield row("echo", ours, floor, wire=wire, callers=callers, floor="bare aiohttp, the same bytes")


@measurement("echo of many", (SQLITE,))
def echo_of_many(bench: Bench) -> Iterator[Row]:
    """A batch, a list of names, megabytes in both directions; compared as a single echo."""
    server, url = one(bench)
    bare = bench.bare(server, url)
    names = [f"/bench/run/a-file-name-of-usual-length-{number:06}.root" for number in range(bench.size(10_000))]
    million = bench.size(2**20)
    bodies = {
        "echo, batch of 50": json.dumps(
            [{"jsonrpc": "2.0", "id": n, "method": "echo", "params": ["x"]} for n in range(50)]
        ),
        "echo of 10,000 names": json.dumps(names),
        "echo of 10 MB": json.dumps(10 * million // 1000 * ["x" * 1000]),
        "echo of 60 MB": json.dumps(60 * million // 1000 * ["x" * 1000]),
    }
    small = server.request("getTransformation", "t")
    for name, text in bodies.items():
        body = (text if "batch" in name else f'{{"jsonrpc":"2.0","id":1,"method":"echo","params":[{text}]}}').encode()
        times = max(1, min(50, million // len(body)))
        requests = times * [server.target.request("/rpc", body)]
        same = times * [bare.target.request("/echo", body)]
        ours, floor = bench.turns(partial(bench.send, server, requests), partial(bench.send, bare, same))
        beside = bench.beside(server, requests, small)
        yield row(name, ours, floor, wire="TLS", floor="bare aiohttp, the same bytes", **beside)


@measurement("getTransformation")
def get_transformation(bench: Bench) -> Iterator[Row]:
    """Compared with a bare handler that reads the row in a thread."""
    server, url = one(bench)
    bare = bench.bare(server, url)
    rpc, wire = server.request("getTransformation", "t"), server.wire("getTransformation", "t")
    select = bare.target.request("/select", rpc.partition(b"\r\n\r\n")[2])
    for callers in CALLERS:
        ours, dirac, floor = bench.turns(
            *(bench.steady(server, request, callers) for request in (rpc, wire)), bench.steady(bare, select, callers)
        )
        what = "bare aiohttp, SELECT in a thread"
        yield row(bench.name, ours, floor, wire="TLS", callers=callers, floor=what)
        yield row(bench.name, dirac, floor, wire="DIRAC's wire", callers=callers, floor=what)


@measurement("nothing beside a small call")
def alone(bench: Bench) -> Iterator[Row]:
    """What p50 and p99 beside something are to be compared with."""
    server, _ = one(bench)
    yield Row(bench.name, wire="TLS", **bench.quiet(server, server.request("getTransformation", "t")))


@measurement("two workers")
def workers(bench: Bench) -> Iterator[Row]:
    """One more process; compared with one. The load generator needs a core, too."""
    url = bench.url()
    alone, both = bench.server(url=url), bench.server(url=url, workers=2)
    alone.call("addTransformation", "t", *NEW)
    for name, parameter in (("echo", "hello"), ("getTransformation", "t")):
        two, single = bench.turns(
            *(bench.steady(server, server.request(name, parameter), CALLERS[-1]) for server in (both, alone))
        )
        yield row(name, two, single, wire="TLS", callers=CALLERS[-1], workers=2, floor="one worker")
