"""Structured logs on standard error: text on a terminal, one JSON object a line otherwise. Secrets are blotted out."""

import functools
import logging
import re
import sys
import traceback
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from ..core.cutting import SHOWN, shortened
from ..core.errors import CatalogError, InternalError, StorageUnavailable
from ..core.events import Event
from ..core.records import CallRecord
from ..plugin.marker import hookimpl
from .writing import CallsFormatter, LineHandler

logger = logging.getLogger(__name__)
_calls = logging.getLogger("jsonrpc_tm.calls")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MESSAGE = "%s %s"
_BLOT = "***"
_SHOWN = 10
_FILE_IN_TASK = "file {FileID} of task {TaskID} in transformation {TransformationID}"
_TROUBLE = {CatalogError.type, InternalError.type, StorageUnavailable.type}
_SHOWN_OF_MESSAGE = 1000
_SHOWN_OF_TRACE_LINE = 500
# the shapes that secrets have, wherever they come from; no two attempts look at the same characters, so that the time
# grows with the text and no faster
_SECRETS = re.compile(
    r"(?P<bearer>\b[Bb]earer\s++)[^\s\"',]++"
    r"|(?<![\w-])eyJ[\w-]{8,}+\.[\w-]++\.[\w-]*+"
    r"|(?P<pem>-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----).*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_RUN = re.compile(r"[^\s\"']++")
_USER = re.compile(r"://[^/:@]*+:")


def redact(text: str) -> str:
    """Return *text* without passwords of URLs, bearer tokens, JSON web tokens and private keys."""
    if "://" in text and "@" in text:
        text = _RUN.sub(_without_password, text)
    return _SECRETS.sub(_blotted, text) if _has_signs(text) else text


def _has_signs(text: str) -> bool:
    """Whether *text* has what every secret has: to look costs a hundredth of the expressions, and few lines have it."""
    return "eyJ" in text or "earer" in text or "PRIVATE KEY" in text or ("://" in text and "@" in text)


def _without_password(run: re.Match[str]) -> str:
    text = run[0]
    # a password may contain what should have been escaped in it, the at sign too
    at = text.rfind("@")
    user = _USER.search(text, 0, max(at, 0))
    return text if user is None else f"{text[: user.end()]}{_BLOT}{text[at:]}"


def _blotted(match: re.Match[str]) -> str:
    return f"{match['bearer'] or match['pem'] or ''}{_BLOT}"


def _shown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of *fields* that have a value, long texts cut."""
    return {
        key: _cut(value, SHOWN) if isinstance(value, str) and len(value) > SHOWN else value
        for key, value in fields.items()
        if value is not None
    }


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what the caller gave as ``extra``."""
    return _shown({key: value for key, value in vars(record).items() if key not in _STANDARD})


def _message(record: logging.LogRecord) -> str:
    return _cut(record.getMessage(), _SHOWN_OF_MESSAGE)


def _cut(text: str, limit: int) -> str:
    """Return *text* or its beginning; half a secret would no longer look like one."""
    return text if len(text) <= limit else shortened(redact(text), limit)


def _trace(record: logging.LogRecord) -> str:
    if not record.exc_info:
        return ""
    lines = "".join(traceback.format_exception(*record.exc_info)).rstrip().split("\n")
    return "\n".join(_cut(line, _SHOWN_OF_TRACE_LINE) for line in lines)


@functools.lru_cache(4)
def _second(second: int) -> str:
    # most lines are of the second of the one before
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Formatter(CallsFormatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = self._line(
            record.created,
            record.levelname,
            record.process or 0,
            record.name,
            _message(record),
            _fields(record),
            _trace(record),
        )
        return redact(line)

    def calls(self, process: int, records: Iterable[tuple[float, CallRecord]]) -> str:
        """Return the lines of calls."""
        lines = [
            self._line(created, "INFO", process, _calls.name, _MESSAGE % _told(one), _shown(_facts(one)), "")
            for created, one in records
        ]
        text = "\n".join(lines)
        return "\n".join(map(redact, lines)) if _has_signs(text) else text

    @abstractmethod
    def _line(
        self, created: float, level: str, process: int, name: str, message: str, fields: Mapping[str, Any], trace: str
    ) -> str:
        """Return a line, with the secrets that may be in it.

        :param created: seconds since 1970.
        :param process: its id.
        :param name: of the logger.
        :param trace: a traceback's lines; empty for none.
        """


class JSONFormatter(_Formatter):
    """One JSON object: time, level, process, logger, message, then the fields; a traceback under ``traceback``."""

    def _line(
        self, created: float, level: str, process: int, name: str, message: str, fields: Mapping[str, Any], trace: str
    ) -> str:
        line = {
            "time": f"{_second(int(created))}.{int(created % 1 * 1000):03}Z",
            "level": level,
            "pid": process,
            "logger": name,
            "message": message,
            **fields,
        }
        if trace:
            line["traceback"] = trace
        try:
            text = orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except orjson.JSONEncodeError:  # lone surrogates, huge integers
            text = orjson.dumps({key: ascii(value) for key, value in line.items()}).decode()
        return text


class TextFormatter(_Formatter):
    """Time, process, level, message, ``field=value`` …; no input forges a line: control characters are escaped."""

    def _line(
        self, created: float, level: str, process: int, name: str, message: str, fields: Mapping[str, Any], trace: str
    ) -> str:
        parts = [f"{_second(int(created))[11:]} {process} {level:<7}", message]
        parts += (f"{key}={value}" for key, value in fields.items())
        text = " ".join(parts)
        if not text.isprintable():
            text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
        return f"{text}\n{trace}" if trace else text


def configure(settings: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Send this process's logs to *stream* (standard error), as the section ``logging`` says."""
    stream = stream or sys.stderr
    kind = settings["logging.format"]
    if kind == "auto":
        kind = "text" if stream.isatty() else "json"
    handler = LineHandler(stream, TextFormatter() if kind == "text" else JSONFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    set_level(settings)


def set_level(settings: Mapping[str, Any]) -> None:
    """Log what is as important as ``logging.level`` says."""
    root = logging.getLogger()
    root.setLevel(settings["logging.level"])
    # libraries tell their own story at DEBUG and INFO
    for name in ("aiohttp", "aiomysql", "asyncio"):
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def log_call(record: CallRecord) -> None:
    """Log the one line of a call: a warning where the server, not the caller, is in trouble."""
    level = logging.WARNING if record.outcome in _TROUBLE else logging.INFO
    if not _calls.isEnabledFor(level):
        return
    handler = _only_handler() if level == logging.INFO else None
    if handler is None:
        _calls.log(level, _MESSAGE, *_told(record), extra=_facts(record))
    else:
        handler.write_soon(record)


def _told(record: CallRecord) -> tuple[str, str]:
    return record.method or "request", record.outcome


def _facts(record: CallRecord) -> dict[str, Any]:
    return {
        "request_id": record.request_id,
        "method": record.method or None,
        "target": record.target,
        "user": record.identity.username,
        "group": record.identity.group,
        "address": record.address,
        "outcome": record.outcome,
        "reason": record.reason or None,
        "ms": round(record.duration * 1000, 2),
    }


def _only_handler() -> LineHandler | None:
    """Return the handler of ``configure`` where no other, and no filter, has to see the records of calls.

    A line then costs a tenth of what it does by way of a record, and with a write of its own.
    """
    found: list[logging.Handler] = []
    logger: logging.Logger | None = _calls
    while logger is not None:
        found += logger.handlers
        logger = logger.parent if logger.propagate else None
    only = found[0] if len(found) == 1 else None
    return (
        only if isinstance(only, LineHandler) and only.level == 0 and not only.filters and not _calls.filters else None
    )


def log_event(event: Event) -> None:
    """Log that files which are at work in a task can be given to another one, because they were announced again."""
    if found := event.data.get("out_of_tasks"):
        shown = "; ".join(_FILE_IN_TASK.format_map(one) for one in found[:_SHOWN])
        logger.warning(
            "%d file(s) that were removed while a task had them were announced again and are Unused: %s",
            len(found),
            shown + ("; …" if len(found) > _SHOWN else ""),
            extra={"request_id": event.request_id, "user": event.author},
        )


@hookimpl
def register_listener() -> Iterable[Callable[[Event], None]]:
    """Provide the warning of files that may come into a second task."""
    return [log_event]


@hookimpl
def register_call_observer(settings: Mapping[str, Any]) -> Iterable[Callable[[CallRecord], None]]:
    """Provide the line per call, unless ``logging.calls`` is off."""
    return [log_call] if settings["logging.calls"] else []
