"""Statements as they are written and as they are sent."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_PARAMETER = re.compile(r"%|:([A-Za-z_][A-Za-z0-9_]*)|'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`")
_NAMED = re.compile(r":\w")
_INSERT = re.compile(r"(?is)\A(\s*INSERT\b.*?\bVALUES\s*)(\(.*?\))(\s+ON DUPLICATE KEY UPDATE\b.*)?\s*\Z")


@lru_cache(maxsize=4096)
def translate(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return *sql* in the driver's form (``:name`` → ``%(name)s``, ``%`` → ``%%``), and the parameters' names.

    :raises ValueError: a literal has a colon before a letter, which other engines' drivers may take for a parameter.
    """
    names: dict[str, None] = {}

    def replaced(match: re.Match[str]) -> str:
        if match[1]:
            names[match[1]] = None
            return f"%({match[1]})s"
        if _NAMED.search(match[0]):
            raise ValueError(f"bind {match[0]} as a parameter: a literal must not look like one")
        return match[0].replace("%", "%%")

    return _PARAMETER.sub(replaced, sql), tuple(names)


@lru_cache(maxsize=1024)
def inserting(template: str) -> tuple[str, str, str] | None:
    """Return what stands before, of, and after the row of an INSERT; None for other statements."""
    parts = _INSERT.match(template)
    return parts and (parts[1] % (), parts[2], (parts[3] or "") % ())


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    :param sql: as it was written, for the log.
    :param bound: as it is sent.
    """

    sql: str
    bound: str


def length(statements: Iterable[Statement]) -> int:
    """Return the characters of statements."""
    return sum(len(each.bound) for each in statements)


COMMIT = Statement("COMMIT", "COMMIT")
BEGIN = "START TRANSACTION"
BEGIN_READING = "START TRANSACTION READ ONLY"
