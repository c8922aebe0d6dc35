"""What reading a body costs: parsing with all limits, against ``orjson.loads`` of the same bytes.

    python benchmarks/body.py [--size MIB] [--rounds N]

The first bodies are usual ones, the others the worst that somebody may send. Prints the least processor time of the
rounds in milliseconds, and the ratio. With 64 MiB a body takes up to 5 GB of memory, most of it for what orjson makes.
"""

import argparse
import time
from collections.abc import Callable

import orjson

from jsonrpc_tm.rpc.body import RequestLimits, parse

LIMITS = RequestLimits(depth=64, string_length=2**26)
USUAL = {
    "10,000 names": [f"/bench/run/a-file-name-of-usual-length-{number:06d}.root" for number in range(10_000)],
    "10,000 rows": [
        {"LFN": f"/bench/run/{number:06d}.root", "FileID": number, "Status": "Unused"} for number in range(10_000)
    ],
}
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


def request(params: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"method":"echo","params":' + params + b"}"


def least(work: Callable[[], object], rounds: int) -> float:
    """Return the milliseconds of processor time that *work* takes at best."""
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        result = work()
        found.append(time.process_time() - begin)
        del result
    return min(found) * 1e3


def main(size: float, rounds: int) -> None:
    print(f"{'body':<34}{'MB':>8}{'ms':>12}{'orjson ms':>12}{'ratio':>8}")
    for title, params in USUAL.items():
        measure(title, request(orjson.dumps(params)), 10 * rounds)
    for title, (unit, last) in WORST.items():
        measure(title, request(b"[" + unit * (int(size * 2**20) // len(unit)) + last + b"]"), rounds)


def measure(title: str, body: bytes, rounds: int) -> None:
    base = least(lambda: orjson.loads(body), rounds)
    value = least(lambda: parse(body, LIMITS), rounds)
    print(f"{title:<34}{len(body) / 1e6:>8.1f}{value:>12,.1f}{base:>12,.1f}{value / base:>8.1f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=64, help="MiB of the worst bodies")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    main(options.size, options.rounds)
