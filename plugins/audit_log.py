"""Audit log: every changing call and every refused one, as JSON lines in a file that is rotated by size.

Enable it in the configuration::

    audit_log:
      enabled: true
      path: audit.jsonl

Several processes may write the same file. ``audit.tail`` reads it back for ProductionManagement.
"""

import asyncio
import contextlib
import fcntl
import functools
import logging
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from jsonrpc_tm.api import (
    MANAGEMENT,
    CallRecord,
    Lifetime,
    Method,
    Outside,
    Service,
    Setting,
    Settings,
    errors,
    fields,
    hookimpl,
    results,
)

JSONRPC_TM_API = 1
SECTION = "audit_log"
_TEXT_OR_NULL = results.nullable(results.TEXT)
LINE = results.members(
    time=results.MOMENT,
    request_id=results.TEXT,
    user=_TEXT_OR_NULL,
    group=_TEXT_OR_NULL,
    DN=_TEXT_OR_NULL,
    address=_TEXT_OR_NULL,
    method=results.TEXT,
    target={"type": ["integer", "string", "null"]},
    outcome=results.TEXT,
    reason=results.TEXT,
    ms=results.NUMBER,
)
"""A line of the audit log."""

logger = logging.getLogger(__name__)


class Journal:
    """A file of JSON lines, rotated by size, written by a thread of its own so that no call waits for the disk.

    :param path: the file; ``path.1`` is the newest rotated one.
    :param max_bytes: size at which the file is rotated.
    :param backups: how many rotated files are kept.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self.max_bytes = max_bytes
        self.files = [path, *(Path(f"{path}.{number}") for number in range(1, backups + 1))]
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    @contextlib.asynccontextmanager
    async def lifetime(self, _service: Service) -> AsyncIterator[None]:
        """Write while the server runs; at the end everything queued is in the file.

        :raises errors.ConfigurationError: the file cannot be written.
        """
        self._prepare()
        thread = threading.Thread(target=self._work, name=SECTION, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._lines.put(None)
            await asyncio.to_thread(thread.join)

    def _prepare(self) -> None:
        try:
            self.files[0].parent.mkdir(parents=True, exist_ok=True)
            with open(self.files[0], "ab", opener=_private):
                self._end_torn_line()
        except OSError as error:
            raise errors.ConfigurationError(
                f"{SECTION}.path: {self.files[0]} cannot be written: {error.strerror}"
            ) from None

    def _end_torn_line(self) -> None:
        with open(self.files[0], "rb+") as file:
            if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) is not None and file.read(1) != b"\n":
                file.write(b"\n")  # a crash of the machine cut the last line: the next one must not be lost with it

    def observe(self, record: CallRecord) -> None:
        """Queue a line for a changing or refused call."""
        if record.changes or record.outcome != "ok":
            self._lines.put(orjson.dumps(_line(record)) + b"\n")

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write(line)
            except OSError as error:
                # a full disk must neither end the thread nor lose the line without a trace
                logger.error(
                    "%s cannot be written: %s; it lacks %s", self.files[0], error.strerror, line.decode().strip()
                )

    def _write(self, line: bytes) -> None:
        # the lock file keeps the processes of one server from rotating at the same time
        with open(f"{self.files[0]}.lock", "w", opener=_private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with open(self.files[0], "ab", opener=_private) as file:
                file.write(line)
                full = file.tell() >= self.max_bytes
            if full:
                self._rotate()

    def _rotate(self) -> None:
        for newer, older in reversed(list(zip(self.files, self.files[1:], strict=False))):
            if newer.exists():
                newer.replace(older)
        if len(self.files) == 1:
            self.files[0].unlink()

    def read(self, limit: int, wanted: Callable[[Mapping[str, Any]], bool]) -> list[dict[str, Any]]:
        """Return the newest *limit* lines that are wanted, oldest first."""
        found: list[dict[str, Any]] = []
        for file in self.files:
            for raw in _backwards(file):
                with contextlib.suppress(orjson.JSONDecodeError):  # a line cut by a crash of the machine
                    line = orjson.loads(raw)
                    if wanted(line):
                        found.append(line)
                if len(found) == limit:
                    return found[::-1]
        return found[::-1]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


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


def _line(record: CallRecord) -> dict[str, Any]:
    identity = record.identity
    return {
        "time": record.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "request_id": record.request_id,
        "user": identity.username,
        "group": identity.group,
        "DN": identity.dn,
        "address": record.address,
        "method": record.method,
        "target": record.target,
        "outcome": record.outcome,
        "reason": record.reason,
        "ms": round(record.duration * 1000, 1),
    }


def tail_method(journal: Journal) -> Method:
    """Return ``audit.tail`` over *journal*."""

    async def tail(
        outside: Outside, limit: int, username: str | None, method: str | None, outcome: str | None
    ) -> list[dict[str, Any]]:
        """Return the newest lines of the audit log, oldest first.

        :param limit: how many lines at most.
        :param username: only calls of this user.
        :param method: only calls of this method.
        :param outcome: only calls with this outcome: ``ok`` or an error's ``data.type``.
        """
        asked = {"user": username, "method": method, "outcome": outcome}
        conditions = {key: value for key, value in asked.items() if value is not None}
        return await asyncio.to_thread(
            journal.read, limit, lambda line: all(line.get(key) == value for key, value in conditions.items())
        )

    return Method(
        "audit.tail",
        tail,
        params={
            "limit": fields.PositiveInteger(load_default=100),
            "username": fields.Text(load_default=None, allow_none=True),
            "method": fields.Text(load_default=None, allow_none=True),
            "outcome": fields.Text(load_default=None, allow_none=True),
        },
        rule=(MANAGEMENT,),
        result=results.listed(LINE, "the newest lines, oldest first"),
    )


@functools.cache
def _open(path: Path, max_bytes: int, backups: int) -> Journal:
    """Return the one journal of a file: the observer, the lifetime and the method share it."""
    return Journal(path, max_bytes, backups)


def _journals(settings: Settings) -> list[Journal]:
    """Return the journal, or none where the plugin is not enabled."""
    if not settings[f"{SECTION}.enabled"]:
        return []
    section = settings.section(SECTION)
    return [_open(settings.folder / section["path"], section["max_bytes"], section["backups"])]


@hookimpl
def register_settings() -> Iterable[Setting]:
    """Provide the section ``audit_log``."""
    yield Setting(f"{SECTION}.enabled", "boolean", False, "Write the audit log.")
    yield Setting(f"{SECTION}.path", "path", "audit.jsonl", "The file.")
    yield Setting(f"{SECTION}.max_bytes", "size", 64 * 2**20, "Size at which the file is rotated.")
    yield Setting(f"{SECTION}.backups", fields.Count(1000), 10, "How many rotated files are kept.")


@hookimpl
def register_methods(settings: Settings) -> Iterable[Method]:
    """Provide ``audit.tail``."""
    return [tail_method(journal) for journal in _journals(settings)]


@hookimpl
def register_call_observer(settings: Settings) -> Iterable[Callable[[CallRecord], None]]:
    """Watch the calls."""
    return [journal.observe for journal in _journals(settings)]


@hookimpl
def register_lifetime(settings: Settings) -> Iterable[Lifetime]:
    """Run the writer."""
    return [journal.lifetime for journal in _journals(settings)]
