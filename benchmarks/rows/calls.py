"""Small calls: what a call costs between the socket and the database, with the call log."""

from collections.abc import Iterator

from ..common.measure import SQLITE, Bench, Row, measurement, row
from ..common.processes import Server

NEW = ("", "", "Processing", "Standard", "Manual", "")
CALLERS = (1, 16)


def one(bench: Bench, **options: object) -> tuple[Server, str]:
    """Return a server whose database has the transformation ``t``, and the URL of the database."""
    url = bench.url()
    server = bench.server(url=url, **options)  # type: ignore[arg-type]
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
