"""Nobody waits for a big call: what the small calls of another caller take beside each, at a steady rate.

The same small calls beside nothing, in the same run, are in the column of the floor.
"""

import contextlib
import gzip
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..common.measure import EVERY, Bench, Row, Sample, measurement, quantile, row
from ..common.processes import Server, processor_time
from ..common.raw import Database
from .calls import NEW
from .files import FIELDS, accept, announced, insert, names

Big = Callable[[Bench, Server, str], Iterator[tuple[str, Sequence[bytes]]]]
"""Gives a big call in some forms, each with its name; takes the server and the URL of its database."""
ALONE = 1.0
"""Seconds of small calls beside nothing."""
GZIP = "Accept-Encoding: gzip\r\n"


def beside(name: str, long: bool = False) -> Callable[[Big], Big]:
    """Make a big call a measurement; see `measurement`."""

    def made(big: Big) -> Big:
        def run(bench: Bench) -> Iterator[Row]:
            url = bench.url()
            server = bench.server(url=url)
            other = server.call("addTransformation", "other", *NEW)
            small = server.request("getTransformation", other)
            for form, requests in big(bench, server, url):
                alone = bench.pinger.run(server.target, [small], 1, ALONE, EVERY).latencies
                used, behind, begin = processor_time(server.pids), bench.database_time(), time.perf_counter()
                found = bench.beside(server, requests, small)
                seconds, spent = time.perf_counter() - begin, processor_time(server.pids) - used
                sample = Sample(seconds, 1, spent, bench.database_time() - behind)
                floor = f"p50 {1e3 * quantile(alone, 0.5):.1f}; p99 {1e3 * quantile(alone, 0.99):.1f} ms beside nothing"
                yield row(bench.name, [sample], wire=form, floor=floor, **found)

        run.__module__ = __name__
        measurement(f"beside {name}", long=long)(run)
        return big

    return made


def both(server: Server, method: str, *params: Any) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Give a call on both wires."""
    yield "TLS", [server.request(method, *params)]
    yield "DIRAC's wire", [server.wire(method, *params)]


def filled(url: str, server: Server, trans: str, count: int) -> int:
    """Make a transformation with many files, past the server."""
    number: int = server.call("addTransformation", trans, *NEW)
    with contextlib.closing(Database(url)) as database:
        for start in range(0, count, 10_000):
            insert(database, number, names(f"{trans}{start}", min(10_000, count - start)))
    return number


def lists(bench: Bench, server: Server, url: str, count: int) -> Iterator[tuple[str, Sequence[bytes]]]:
    """List files in every form."""
    asked = {"TransformationID": filled(url, server, "many", count)}
    for form, media in {
        "TLS, NDJSON": "application/x-ndjson",
        "TLS, Arrow": "application/vnd.apache.arrow.stream",
        "TLS, gzip": f"application/json\r\n{GZIP.strip()}",
    }.items():
        yield form, [server.request("getTransformationFiles", asked, accept=media)]
    yield from both(server, "getTransformationFiles", asked)


@beside("100,000 files listed")
def listed(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Rows of 60 MB of JSON."""
    return lists(bench, server, url, bench.size(100_000))


@beside("1,000,000 files listed", long=True)
def all_listed(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Ten times as many."""
    return lists(bench, server, url, bench.size(1_000_000))


@beside("100,000 files added")
def added(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """New names, in one call."""
    for serial, wire in enumerate((server.request, server.wire)):
        server.call("addTransformation", f"added{serial}", *NEW)
        lfns = names(f"added{serial}", bench.size(100_000))
        yield "DIRAC's wire" if serial else "TLS", [wire("addFilesToTransformation", f"added{serial}", lfns)]


@beside("100,000 files reported")
def reported(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """The status of every file changes."""
    trans = filled(url, server, "many", bench.size(100_000))
    ids = [row["FileID"] for row in server.call("getTransformationFiles", {"TransformationID": trans})]
    for form, wire in {"TLS": server.request, "DIRAC's wire": server.wire}.items():
        yield form, [wire("setFileStatusForTransformation", trans, dict.fromkeys(map(str, ids), form[:1]))]


@beside("10,000 tasks added")
def tasks(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Of ten files each; DIRAC's wire has no such method."""
    count = bench.size(10_000)
    trans = filled(url, server, "tasks", 10 * count)
    lfns = [row["LFN"] for row in server.call("getTransformationFiles", {"TransformationID": trans})]
    made = [{"lfns": lfns[start : start + 10], "se": "SE-A"} for start in range(0, 10 * count, 10)]
    yield "TLS", [server.request("addTasks", trans, made)]


@beside("100,000 files cleaned and deleted")
def cleaned(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Of a transformation."""
    for method in ("cleanTransformation", "deleteTransformation"):
        trans = filled(url, server, method, bench.size(100_000))
        yield f"TLS, {method}", [server.request(method, trans)]


@beside("10 MB sent")
def sent(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Parameters of every shape; what comes back is as long, or a refusal."""
    size, shuffled = bench.size(10_000_000), random.Random(1)
    words = [f"{shuffled.getrandbits(64):016x}" for _ in range(size // 20)]
    shapes: dict[str, Any] = {
        "many texts": words,
        "many objects": [{"name": word, "n": 1, "more": [1, 2.5, None]} for word in words[: len(words) // 3]],
        "small numbers": size // 2 * [1],
        "one text": "".join(words)[: 2**20] if size > 2**20 else "".join(words),
        "deep": _deep(30, size),
    }
    for form, value in shapes.items():
        yield f"TLS, {form}", [server.request("echo", value)]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": [words]}).encode()
    packed = gzip.compress(body, 1)
    headers = f"Content-Type: application/json\r\nContent-Encoding: gzip\r\n{GZIP}"
    yield "TLS, gzip both ways", [server.target.request("/rpc", packed, headers)]
    yield "DIRAC's wire, many texts", [server.wire("echo", words)]
    yield "TLS, log of ten files each", [server.request("addFilesToTransformation", "other", words)]


def _deep(levels: int, size: int) -> Any:
    """Return lists in lists, of so many bytes of JSON."""
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return size // (2 * levels + 4) * [value]


@beside("60 MB answered")
def answered(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Long texts, which cost little to make."""
    words = bench.size(60) * ["".join(f"{random.Random(1).getrandbits(2**22):x}")[: 2**20 - 1]]
    yield "TLS", [server.request("echo", words)]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": [words]}).encode()
    yield "TLS, gzip", [server.target.request("/rpc", body, f"Content-Type: application/json\r\n{GZIP}")]
    yield "DIRAC's wire", [server.wire("echo", words)]


@beside("1,000 files announced to 10,000 transformations")
def wanted(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Each is wanted by ten of them."""
    of = bench.size(10_000)
    accept(url, of)
    server.call("catalog.addFields", FIELDS)
    for form, wire in {"TLS": server.request, "DIRAC's wire": server.wire}.items():
        files = announced(form, bench.size(1000), of)
        server.call("catalog.addFiles", files)
        yield form, [wire("addFile", list(files))]
