"""Every case that fell short for users has a test of its name here."""

import ast
import re
from pathlib import Path

import pytest

ROWS = [
    *(f"a{number}" for number in range(1, 16)),
    *(f"b{number}" for number in range(1, 13)),
    *(f"c{number}" for number in range(1, 11)),
    *(f"d{number}" for number in range(1, 6)),
    *(f"e{number}" for number in (2, 3, 4, 5, 6, 8, 10, 11)),
    *(f"attack_{number}" for number in range(1, 18)),
]
HERE = Path(__file__).parent
TESTED = {
    match[1]
    for path in HERE.glob("test_*.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    and (match := re.match(r"test_(attack_\d+|[a-e]\d+)_", node.name))
}


@pytest.mark.parametrize("row", ROWS)
def test_there_is_a_test_named_after(row):
    assert row in TESTED


def test_no_test_is_named_after_something_else():
    assert set(ROWS) >= TESTED
