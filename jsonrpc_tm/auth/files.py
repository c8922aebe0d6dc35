"""Noticing that certificates or revocation lists on disk have changed."""

from collections.abc import Iterable
from pathlib import Path

RELOAD = 5.0
"""Seconds between two looks at the files."""


def stamp(paths: Iterable[Path]) -> object:
    """Return something that differs when one of the files, or a file in one of the folders, has changed."""
    found = []
    for path in paths:
        try:
            items = sorted(path.iterdir()) if path.is_dir() else [path]
            stats = [(item.name, item.stat()) for item in items]
            found += [(path, name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in stats]
        except OSError:
            found.append((path, "", 0, 0, 0))
    return found
