"""Mutations of SQL, which no tool knows: half of what the server means is in its statements."""

import re
from collections.abc import Iterator
from typing import Any

from cosmic_ray.operators.operator import Example, Operator

_SQL = re.compile(
    r"\b(SELECT|UPDATE|DELETE|INSERT|FROM|WHERE|JOIN|ORDER BY|COALESCE|VALUES|SET)\b|target\.|source\.|:[a-z]"
)
_CHANGES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\bAND\b", "OR"),
        (r"\bOR\b(?! (REPLACE|IGNORE))", "AND"),
        (r"(?<=\s)=(?=\s)", "<>"),
        (r"<>", "="),
        (r"<=", "<"),
        (r">=", ">"),
        (r"(?<=\s)<(?=\s)", "<="),
        (r"(?<=\s)>(?=\s)", ">="),
        (r"\bLEFT JOIN\b", "JOIN"),
        (r"\bDISTINCT\b", ""),
        (r"\bIS NULL\b", "IS NOT NULL"),
        (r"\bIS NOT NULL\b", "IS NULL"),
        (r"\bNOT IN\b", "IN"),
        (r"(?<!NOT )\bIN \(", "NOT IN ("),
        (r"(?<!NOT )\bEXISTS\b", "NOT EXISTS"),
        (r"\bMAX\(", "MIN("),
        (r"\bMIN\(", "MAX("),
        (r"\bDESC\b", ""),
        (r" ORDER BY [\w., ]+", ""),
        (r"\+ 1\b", "+ 2"),
        (r"(?<!SELECT )(?<= )[01]\b", "7"),
        (r"'([A-Za-z]+)'", r"'x\1'"),
        (r", LastUpdate(Time)? = :now", ""),
        (r"\bUNION ALL\b", "UNION"),
    )
]


class ChangeSQL(Operator):
    """Changes one word of a statement, or a piece of one in an f-string."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Yield the position of the text once for every change."""
        for _ in _mutants(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Make one change."""
        node.value = list(_mutants(node))[index]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Return what it does."""
        return (Example('"SELECT a FROM t WHERE b = :b"', '"SELECT a FROM t WHERE b <> :b"'),)


def _mutants(node: Any) -> Iterator[str]:
    if node.type not in ("string", "fstring_string") or node.value.lstrip("rf").startswith('"""'):
        return
    if not _SQL.search(node.value):
        return
    for pattern, replacement in _CHANGES:
        for found in pattern.finditer(node.value):
            yield node.value[: found.start()] + found.expand(replacement) + node.value[found.end() :]


class Provider(dict[str, type[Operator]]):
    """Gives cosmic-ray the operator."""

    def __init__(self) -> None:
        super().__init__(ChangeSQL=ChangeSQL)
