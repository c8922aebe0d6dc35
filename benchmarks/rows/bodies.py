"""What reading a body costs: parsing within all limits, against ``orjson.loads`` of the same bytes.

The first bodies are usual ones, the others the worst that somebody may send. With 64 MiB a body takes up to 5 GB of
memory, most of it for what orjson makes.
"""

import gc
from collections.abc import Iterator
from functools import partial

import orjson

from jsonrpc_tm.rpc.body import RequestLimits, parse

from ..common.measure import SQLITE, Bench, Row, measurement, row
from .files import names

LIMITS = RequestLimits(depth=64, string_length=2**26)
# what is repeated, and what comes last: a long number makes the short way impossible
WORST = {
    "numbers": (b"1,", b"1" * 19),
    "numbers, one too large": (b"1,", b"1" * 20),
    "long numbers": (b"1" * 19 + b",", b"1"),
    "too large numbers": (b"1" * 20 + b",", b"1"),
    "fractions": (b"0." + b"1" * 19 + b",", b"1"),
    "objects": (b"{},", b"1" * 20),
    "empty texts": (b'"",', b"1" * 20),
    "digits in texts": (b'" ' + b"1" * 19 + b'",', b"1"),
    "backslashes in texts": (b'"\\\\\\"",', b"1" * 20),
    "brackets in texts": (b'["["],', b"1"),
    "levels": (b"[" * 60 + b"]" * 60 + b",", b"1"),
}


def measured(bench: Bench, name: str, params: bytes) -> Row:
    """Return the row of a body."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"echo","params":' + params + b"}"

    def timed(work: partial, _turn: int):
        gc.collect()
        return bench.alone(work)

    ours, floor = bench.turns(partial(timed, partial(parse, body, LIMITS)), partial(timed, partial(orjson.loads, body)))
    return row(f"a body: {name}", ours, floor, floor="orjson.loads")


@measurement("a body of 10,000 names or rows", (SQLITE,))
def usual(bench: Bench) -> Iterator[Row]:
    """What clients send."""
    lfns = names(0, bench.size(10_000))
    rows = [{"LFN": lfn, "FileID": number, "Status": "Unused"} for number, lfn in enumerate(lfns)]
    yield measured(bench, "10,000 names", orjson.dumps(lfns))
    yield measured(bench, "10,000 rows", orjson.dumps(rows))


@measurement("the worst bodies", (SQLITE,), long=True)
def worst(bench: Bench) -> Iterator[Row]:
    """What somebody may send."""
    for name, (unit, last) in WORST.items():
        yield measured(bench, f"64 MiB, {name}", b"[" + unit * (bench.size(2**26) // len(unit)) + last + b"]")
