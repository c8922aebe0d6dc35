"""The file of the audit log: JSON lines, rotated by size, kept by time."""

import contextlib
import fcntl
import glob
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from jsonrpc_tm.api import errors

logger = logging.getLogger(__name__)
LOOKED_THROUGH = 64 * 2**20
_WAITING = 10_000
"""Lines that wait in memory while the file cannot be written."""
_AGAIN = 1.0
"""Seconds until it is tried again."""


class Journal:
    """A file of JSON lines that several processes may append to.

    Both files stay open, so that a server without a free descriptor can still write.

    :param path: the file; ``path.1`` is the newest rotated one.
    :param max_bytes: size at which the file is rotated.
    :param keep: seconds for which rotated files are kept, however many there are.
    """

    def __init__(self, path: Path, max_bytes: int, keep: float) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.keep = keep
        self._guard = threading.Lock()
        self._file = self._lock = -1

    def open(self) -> None:
        """Make ready for lines.

        :raises errors.ConfigurationError: the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _open_private(f"{self.path}.lock")
            self._file = _open_private(str(self.path))
        except OSError as error:
            self.close()
            raise errors.ConfigurationError(
                f"audit_log.path: {self.path} cannot be written: {error.strerror}"
            ) from None
        with self._alone():
            self._end_torn_line()

    def close(self) -> None:
        """Close the files."""
        for number in (self._file, self._lock):
            if number >= 0:
                os.close(number)
        self._file = self._lock = -1

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads and processes from the file, and look whether one of them rotated it."""
        with self._guard:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                self._follow()
                yield
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _follow(self) -> None:
        """Go on with the newest file where another process rotated it."""
        try:
            same = os.path.samestat(os.fstat(self._file), self.path.stat())
        except FileNotFoundError:
            same = False
        if not same:
            with contextlib.suppress(OSError):  # no descriptor left: the one before serves as well
                self._reopen()

    def _reopen(self) -> None:
        newer = _open_private(str(self.path))
        os.close(self._file)
        self._file = newer

    def _end_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # a crash cut the last line: the next one must not be lost with it

    def append(self, lines: Sequence[bytes], durable: bool = False) -> None:
        """Write lines, all or none of them.

        :param durable: return only when a crash of the machine would not take them.
        :raises OSError: they cannot be written.
        """
        with self._alone():
            begin = os.fstat(self._file).st_size
            left = memoryview(b"".join(line + b"\n" for line in lines))
            try:
                while left:
                    left = left[os.write(self._file, left) :]
                if durable:
                    os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, begin)
                raise
            if os.fstat(self._file).st_size >= self.max_bytes:
                self._rotate()

    def _rotate(self) -> None:
        oldest = time.time() - self.keep if self.keep else 0.0
        try:
            for number, path in reversed(self._rotated()):
                if path.stat().st_mtime < oldest:
                    path.unlink()
                else:
                    path.rename(f"{self.path}.{number + 1}")
            self.path.rename(f"{self.path}.1")
        except OSError as error:
            logger.error("%s cannot be rotated: %s", self.path, error.strerror)

    def _rotated(self) -> list[tuple[int, Path]]:
        """Return the rotated files with their numbers, newest first."""
        names = (path.name.rpartition(".")[2] for path in self.path.parent.glob(f"{glob.escape(self.path.name)}.*"))
        return [(number, Path(f"{self.path}.{number}")) for number in sorted(int(n) for n in names if n.isdigit())]

    def read(
        self, limit: int, wanted: Callable[[Mapping[str, Any]], bool], at_most: int = LOOKED_THROUGH
    ) -> list[dict[str, Any]]:
        """Return the newest *limit* lines that are wanted, oldest first.

        :param at_most: bytes of the newest lines that are looked through.
        """
        found: list[dict[str, Any]] = []
        seen = 0
        for file in (self.path, *(path for _, path in self._rotated())):
            for raw in _backwards(file):
                seen += len(raw)
                with contextlib.suppress(orjson.JSONDecodeError):  # a line cut by a crash of the machine
                    line = orjson.loads(raw)
                    if wanted(line):
                        found.append(line)
                if len(found) == limit or seen > at_most:
                    return found[::-1]
        return found[::-1]


class Scribe:
    """A thread that writes lines, so that no call waits for the disk; what cannot be written waits in memory."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting: list[bytes] = []
        self._lost = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._work, name="audit_log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Have a line written soon."""
        self._lines.put(line)

    def finish(self) -> None:
        """Return when everything that was put is written, or cannot be."""
        self._lines.put(None)
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        more = True
        while more:
            stuck = bool(self._waiting)
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=_AGAIN if stuck else None)
                while line is not None:
                    self._waiting.append(line)
                    line = self._lines.get_nowait()
                more = False
            self._write(stuck)
        self._lost += len(self._waiting)
        self._waiting.clear()
        self._confess()

    def _write(self, again: bool) -> None:
        try:
            self.journal.append(self._waiting)
        except OSError as error:
            if not again:
                logger.error("%s cannot be written: %s; lines wait in memory", self.journal.path, error.strerror)
            self._lost += max(len(self._waiting) - _WAITING, 0)
            del self._waiting[:-_WAITING]
        else:
            self._waiting.clear()
            self._confess()

    def _confess(self) -> None:
        if self._lost:
            logger.error("%s lacks %d line(s) about refused calls", self.journal.path, self._lost)
            self._lost = 0


def _open_private(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _backwards(path: Path, block: int = 1 << 16) -> Iterator[bytes]:
    """Yield the lines of a file from the last to the first, in bounded memory."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - the with below closes it
    except FileNotFoundError:
        return
    with file:
        position, rest = file.seek(0, os.SEEK_END), b""
        while position:
            size = min(block, position)
            position = file.seek(position - size)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from filter(None, reversed(lines))
        if rest:
            yield rest
