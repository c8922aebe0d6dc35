"""Whether the files of an open database are still what SQLite takes them for.

SQLite would go on writing into a file without a name, past the end of a log that was cut, and over a database that
another program put in place of its own: what it acknowledges then is lost, or makes the file unreadable. So the three
files are looked at before a transaction, and after each commit before it is acknowledged.

The index of the log (``-shm``) says how many pages the log holds, and how many of them have been copied into the
database: https://www.sqlite.org/walformat.html. The database file changes only when that number does.
"""

import os
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import StorageUnavailable

GLANCE_SECONDS = 0.02
"""How long a look is good for, except after a commit."""
_GONE = "The database file is gone, or its log is"
_REPLACED = "The database file was replaced, or its log was"
_CUT = "The log of the database was cut by another program: what was written last may be lost"
_OVERWRITTEN = "Another program has written into the database file: restore a backup while the server is stopped"
_ATTEMPTS = 20
_INDEX = struct.Struct("=48s48sI28xI")
_HEADER = struct.Struct("=14xHI12x8s8x")

# by inode: a descriptor of the log's index, and how many look through it. Closing any descriptor of a file takes away
# all locks that the process has on it, SQLite's too; so it stays open until nobody in this process uses the database
_open: dict[tuple[int, int], tuple[int, int]] = {}
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Index:
    """What the index says.

    :param length: bytes that the log has at least.
    :param progress: changes before, and after, pages of the log are copied into the database.
    :param copying: that is at work, or was broken off.
    """

    length: int
    progress: tuple[bytes, int, int]
    copying: bool


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class DatabaseFiles:
    """The three files of a database. To be made when it is open, and to be closed after it.

    :param path: of the database.
    """

    def __init__(self, path: Path) -> None:
        # SQLite puts the others beside the file that a link leads to
        self._paths = [f"{path.resolve()}{suffix}" for suffix in ("", "-wal", "-shm")]
        self.damage: str | None = None
        """What is wrong with them for good."""
        self._looked = 0.0
        self._lock = threading.Lock()
        found = [os.stat(each) for each in self._paths]
        self._keys = [_key(status) for status in found]
        self._descriptor = self._share(1)
        self._log = 0
        self._seen: tuple[int, int] | None = None
        self._progress: tuple[bytes, int, int] | None = None
        self.look()

    def close(self) -> None:
        """Let go of them; no connection of SQLite's may be open any more."""
        self._share(-1)

    def _share(self, users: int) -> int:
        with _opening:
            key = self._keys[2]
            descriptor, count = _open.get(key) or (os.open(self._paths[2], os.O_RDONLY), 0)
            _open[key] = descriptor, count + users
            if not count + users:
                del _open[key]
                os.close(descriptor)
            return descriptor

    def glance(self) -> None:
        """Look, if nobody has just now.

        :raises StorageUnavailable: see ``look``.
        """
        if self.damage is not None or time.monotonic() - self._looked > GLANCE_SECONDS:
            self.look()

    def look(self) -> None:
        """Look at them.

        :raises StorageUnavailable: they are not what they were.
        """
        self._looked = 0.0
        if self.damage is None:
            try:
                found = [os.stat(each) for each in self._paths]
            except OSError:
                raise StorageUnavailable(_GONE) from None
            if [_key(status) for status in found] != self._keys:
                raise StorageUnavailable(_REPLACED)
            main, log = found[0], found[1]
            if (main.st_mtime_ns, main.st_size) != self._seen or log.st_size < self._log:
                with self._lock:
                    self._examine()
            else:
                self._log = log.st_size
        if self.damage is not None:
            raise StorageUnavailable(self.damage)
        self._looked = time.monotonic()

    def _examine(self) -> None:
        """Find out whether SQLite changed the database, or cut the log."""
        for _ in range(_ATTEMPTS):
            before = self._index()
            main, log = os.stat(self._paths[0]), os.stat(self._paths[1])
            if before is not None and before == self._index():
                break
        else:
            return  # others are writing all the time; there will be a quieter moment
        if log.st_size < before.length:
            self.damage = _CUT
        elif not before.copying:
            seen = main.st_mtime_ns, main.st_size
            if seen != self._seen and before.progress == self._progress:
                self.damage = _OVERWRITTEN
            self._seen, self._progress = seen, before.progress
        self._log = log.st_size

    def _index(self) -> _Index | None:
        """Return what the index says; None while somebody writes it."""
        first, second, copied, attempted = _INDEX.unpack(os.pread(self._descriptor, _INDEX.size, 0))
        if first != second:
            return None
        page, frames, salt = _HEADER.unpack(first)
        length = 32 + frames * (24 + (page if page > 1 else 65536)) if frames else 0
        return _Index(length, (salt, copied, attempted), copied != attempted)
