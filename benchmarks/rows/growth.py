"""What calls cost when there is more and more data: the same calls with a thousand files are the floor."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from ..common.measure import Bench, Row, Sample, measurement, row
from ..common.processes import Server
from .calls import NEW
from .files import names

STATUSES = ("Processed", "Problematic", "MaxReset", "Assigned")
PART = 10_000
TIMES = 20
"""Calls of a round, of those that take milliseconds."""
LEAST = 1000


def fill(server: Server, trans: int, begin: int, end: int) -> None:
    """Add files up to a number, some of each part with other statuses."""
    for start in range(begin, end, PART):
        added = names(f"{trans}/{start}", min(PART, end - start))
        server.call("addFilesToTransformation", trans, added)
        some = added[: len(STATUSES)]
        server.call("setFileStatus", trans, dict(zip(some, STATUSES, strict=False)))


def asked(server: Server, trans: int) -> Mapping[str, Sequence[bytes]]:
    """Return requests by the name of their row."""
    selected = {"TransformationID": trans}
    calls = {
        "getTransformation": [trans],
        "getTransformationStats": [trans],
        "getTransformationSummaryWeb": [selected, [], 0, 10],
        "getTransformationProgress": [trans],
        "getCounters": ["TransformationFiles", ["Status"], selected],
        "getTransformationFilesSummaryWeb": [selected, [], 0, 10],
    }
    found = {name: TIMES * [server.request(name, *parameters)] for name, parameters in calls.items()}
    found["getTransformationFilesSummaryWeb"] = found["getTransformationFilesSummaryWeb"][:2]
    page = [selected, None, None, "LastUpdate", None, 1000]
    found["getTransformationFiles, 1,000"] = 5 * [server.request("getTransformationFiles", *page)]
    return found


def grown(bench: Bench, sizes: Sequence[int]) -> Iterator[Row]:
    """Measure at each size; the rows are yielded from the second on, beside the first."""
    server = bench.server(url=bench.url())
    trans = server.call("addTransformation", "many", *NEW)
    least: dict[str, list[Sample]] = {}
    there = 0
    for size in (LEAST, *sizes):
        fill(server, trans, there, bench.size(size))
        there = bench.size(size)
        requests = asked(server, trans)
        new = "addFilesToTransformation 1,000 new"
        ways = [partial(bench.send, server, requests[name]) for name in requests]
        found = bench.turns(
            *ways,
            lambda n, s=size: bench.send(
                server, [server.request("addFilesToTransformation", trans, names(f"new/{s}/{n}", bench.size(1000)))]
            ),
        )
        there += (bench.rounds + 1) * bench.size(1000)
        for name, samples in zip((*requests, new), found, strict=True):
            if size == LEAST:
                least[name] = samples
            else:
                yield row(f"{name} with {size:,} files", samples, least[name], wire="TLS", floor="with 1,000 files")


@measurement("growth")
def some(bench: Bench) -> Iterator[Row]:
    """A transformation of a hundred thousand files."""
    return grown(bench, [100_000])


@measurement("growth to millions", long=True)
def millions(bench: Bench) -> Iterator[Row]:
    """A transformation of three million files."""
    return grown(bench, [100_000, 1_000_000, 3_000_000])
