"""Noticing that certificates or revocation lists on disk have changed."""

from collections.abc import Iterable
from pathlib import Path

RELOAD = 5.0
"""Seconds between two looks at the files."""


def fingerprint(paths: Iterable[Path]) -> object:
    """Return something that differs when one of the files, or a file in one of the folders, has changed."""
    found: list[object] = []
    for path in paths:
        try:
            items = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError:
            items = []
        for item in items:
            try:
                stat = item.stat()
            except OSError:  # gone, or a link to nothing
                found.append((item, None))
            else:
                found.append((item, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return found
