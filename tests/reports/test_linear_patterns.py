"""No text of a caller costs more than its length: every pattern of the package, on texts made to hurt it."""

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator

import pytest

import jsonrpc_tm
from jsonrpc_tm.observe import logs

OUR_OWN_TEXT = (
    "tools.",
    "cli.",
    "storage.mysql.verbs.",
    "storage.dialect.",
    "storage.urls.",
    "settings.",
    "auth.trust.",
)
"""Their patterns meet what the operator or the code wrote."""
AT_THE_START_ONLY = {"rpc.body._HEAD", "rpc.body._TAIL", "rpc.pieces._FLAT", "rpc.pieces._KEY"}
"""They are never searched for."""
PIECES = (
    *(
        "://:",
        "://a:",
        "@",
        "://:@",
        "eyJ",
        "-eyJ",
        "eyJaaaaaaaa.",
        "Bearer ",
        "bearer\t'",
        " ",
        "a",
        "/a",
        "/a=",
        "0",
        "0.",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        '"',
        '{"a":',
        "[",
        "1,",
        "\\",
        "\x00",
        "1e",
        "+00:00",
        "q=0.",
        "-----BEGIN X509 CRL-----",
    ),
)
SIZE = 16_000
ENOUGH = 0.03
"""Seconds of CPU: one pass over such a text takes a hundredth of it, the square of its length ten times as much."""


def _patterns() -> Iterator[tuple[re.Pattern, bool]]:
    """Yield each pattern, and whether it is looked for everywhere in a text."""
    for module in pkgutil.walk_packages(jsonrpc_tm.__path__, "jsonrpc_tm."):
        name = f"{module.name.partition('.')[2]}."
        if not name.startswith(OUR_OWN_TEXT) and not name.startswith("__main__"):
            for variable, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    yield value, f"{name}{variable}" not in AT_THE_START_ONLY


PATTERNS = dict(_patterns())


def _seconds(use, text) -> float:
    """Return the CPU time of the quicker of two runs: what else the machine does must not count."""
    times = []
    for _ in range(2):
        begin = time.thread_time()
        use(text)
        times.append(time.thread_time() - begin)
        if times[-1] < ENOUGH:
            break
    return min(times)


def test_there_are_patterns():
    assert logs._SECRETS in PATTERNS
    assert len(PATTERNS) > 10


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: repr(pattern.pattern[:30]))
def test_attack_2_every_pattern_is_linear(pattern):
    nothing = b"" if isinstance(pattern.pattern, bytes) else ""
    for piece in PIECES:
        text = piece * (SIZE // len(piece))
        text = text.encode() if nothing == b"" else text
        assert _seconds(pattern.fullmatch, text) < ENOUGH, piece
        if PATTERNS[pattern]:
            assert _seconds(lambda text: pattern.sub(nothing, text), text) < ENOUGH, piece


def test_attack_2_the_logs_filter_is_linear():
    for piece in PIECES:
        assert _seconds(logs.redact, piece * (SIZE // len(piece))) < ENOUGH, piece


def test_attack_2_a_quadratic_pattern_would_be_found():
    quadratic = re.compile(r"://[^\s/:@]*:[^\s]*@")
    assert _seconds(quadratic.search, "://:" * 3000) > ENOUGH
