"""Audit log: every change and every refused call, as JSON lines in a file.

Enable it in the configuration::

    audit_log:
      enabled: true
      path: audit.jsonl

The line about a change is committed with it, in the database, and carried to the file right afterwards: a server that
is killed loses none. Several processes may write the same file. It is rotated by size; rotated files are kept by time,
so that no caller can push older lines out. ``audit.tail`` reads it back for ProductionManagement.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from jsonrpc_tm.api import (
    MANAGEMENT,
    CallRecord,
    Lifetime,
    Method,
    Migration,
    Outside,
    Service,
    Setting,
    Settings,
    Work,
    fields,
    hookimpl,
    results,
)

from .journal import Journal, Scribe
from .lines import LINE, line_of
from .outbox import MIGRATION, Outbox

JSONRPC_TM_API = 1
SECTION = "audit_log"
DAY = 86_400


class Audit:
    """What writes the audit log of one server."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.scribe = Scribe(journal)
        self.outbox = Outbox(journal)

    def observe(self, record: CallRecord) -> None:
        """Queue a line for a refused call; that of a change is in the database already."""
        if record.outcome != "ok":
            self.scribe.put(orjson.dumps({"change": None, **line_of(record)}))
        elif record.changes:
            self.outbox.notice()

    @contextlib.asynccontextmanager
    async def lifetime(self, service: Service) -> AsyncIterator[None]:
        """Write while the server runs; at the end everything is in the file.

        :raises errors.ConfigurationError: the file cannot be written.
        """
        self.journal.open()
        try:
            self.scribe.start()
            async with self.outbox.lifetime(service):
                yield
            await asyncio.to_thread(self.scribe.finish)
        finally:
            self.journal.close()


def tail_method(audit: Audit) -> Method:
    """Return ``audit.tail``."""

    async def tail(
        outside: Outside, limit: int, username: str | None, method: str | None, outcome: str | None
    ) -> list[dict[str, Any]]:
        """Return the newest lines of the audit log, oldest first. No more than the newest 64 MiB are searched.

        :param limit: how many lines at most.
        :param username: only calls of this user.
        :param method: only calls of this method.
        :param outcome: only calls with this outcome: ``ok`` or an error's ``data.type``.
        """
        asked = {"user": username, "method": method, "outcome": outcome}
        conditions = {key: value for key, value in asked.items() if value is not None}
        await audit.outbox.settle()
        return await asyncio.to_thread(
            audit.journal.read, limit, lambda line: all(line.get(key) == value for key, value in conditions.items())
        )

    return Method(
        "audit.tail",
        tail,
        params={
            "limit": fields.Integer(1, 10_000, load_default=100),
            "username": fields.Text(load_default=None, allow_none=True),
            "method": fields.Text(load_default=None, allow_none=True),
            "outcome": fields.Text(load_default=None, allow_none=True),
        },
        rule=(MANAGEMENT,),
        result=results.listed(LINE, "the newest lines, oldest first"),
    )


@functools.cache
def _open(path: Path, max_bytes: int, keep: float, _database: str) -> Audit:
    """Return the one of a file and a database: all hooks share it."""
    return Audit(Journal(path, max_bytes, keep))


def _audits(settings: Settings) -> list[Audit]:
    """Return what writes the log, or nothing where the plugin is not enabled."""
    if not settings[f"{SECTION}.enabled"]:
        return []
    section = settings.section(SECTION)
    path = settings.folder / section["path"]
    return [_open(path, section["max_bytes"], section["keep_days"] * DAY, settings["storage.url"])]


@hookimpl
def register_settings() -> Iterable[Setting]:
    """Provide the section ``audit_log``."""
    yield Setting(f"{SECTION}.enabled", "boolean", False, "Write the audit log.")
    yield Setting(f"{SECTION}.path", "path", "audit.jsonl", "The file.")
    yield Setting(f"{SECTION}.max_bytes", "size", 64 * 2**20, "Size at which the file is rotated.")
    yield Setting(
        f"{SECTION}.keep_days", fields.Count(100_000), 365, "Rotated files older than so many days go; 0 keeps all."
    )


@hookimpl
def register_migrations(settings: Settings) -> Iterable[Migration]:
    """Provide the table of lines that are not yet in the file."""
    return [MIGRATION] if settings[f"{SECTION}.enabled"] else []


@hookimpl
def register_methods(settings: Settings) -> Iterable[Method]:
    """Provide ``audit.tail``."""
    return [tail_method(audit) for audit in _audits(settings)]


@hookimpl
def register_change_writer(settings: Settings) -> Iterable[Callable[[Work, CallRecord], Awaitable[None]]]:
    """Write the line of each change with it."""
    return [audit.outbox.write for audit in _audits(settings)]


@hookimpl
def register_call_observer(settings: Settings) -> Iterable[Callable[[CallRecord], None]]:
    """Watch the calls."""
    return [audit.observe for audit in _audits(settings)]


@hookimpl
def register_lifetime(settings: Settings) -> Iterable[Lifetime]:
    """Run the writer."""
    return [audit.lifetime for audit in _audits(settings)]
