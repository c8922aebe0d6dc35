"""The fenced blocks of the documentation, so that tests can run what is shown."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page (path from the project's root) in one language."""
    return [text for kind, text in _BLOCK.findall((ROOT / page).read_text(encoding="utf-8")) if kind == language]


def files(page: str) -> dict[str, str]:
    """Return the Python blocks of a page that begin with a comment naming their file."""
    return {text.split("\n", 1)[0].removeprefix("# "): text for text in blocks(page, "python")}
