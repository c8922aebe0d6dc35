"""Logs are text on a terminal and JSON otherwise, tell who called what, and never tell a secret."""

import io
import json
import logging
import os
from datetime import UTC, datetime

import pytest

from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.core.records import CallRecord
from jsonrpc_tm.observe import logs
from jsonrpc_tm.settings import Settings

PEM = "-----BEGIN PRIVATE KEY-----\nMIIabc\nxyz\n-----END PRIVATE KEY-----"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def start():
    """Give a function that configures logging onto a stream; put everything back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    libraries = {name: logging.getLogger(name).level for name in ("aiohttp", "aiomysql", "asyncio")}

    def start(stream: io.StringIO, **settings: str) -> logging.Logger:
        logs.configure(Settings.defaults(**settings), stream)
        return logging.getLogger("jsonrpc_tm.test")

    yield start
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, value in libraries.items():
        logging.getLogger(name).setLevel(value)


def test_json_lines_when_it_is_no_terminal(start):
    stream = io.StringIO()
    log = start(stream)
    log.info("started %d", 5, extra={"request_id": "r1", "nothing": None})
    log.debug("not this")
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "level": "INFO",
        "pid": os.getpid(),
        "logger": "jsonrpc_tm.test",
        "message": "started 5",
        "request_id": "r1",
    }


def test_text_on_a_terminal(start):
    stream = Terminal()
    start(stream).warning("slow", extra={"ms": 5})
    assert stream.getvalue()[8:] == f" {os.getpid()} WARNING slow ms=5\n"


def test_the_format_can_be_chosen(start):
    stream = Terminal()
    start(stream, logging__format="json").info("x")
    assert json.loads(stream.getvalue())["message"] == "x"
    stream = io.StringIO()
    start(stream, logging__format="text", logging__level="ERROR").info("x")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_tracebacks_and_secrets(start, stream):
    log = start(stream)
    try:
        raise ValueError(f"mysql://tm:pass@word/@db.example/tm Bearer {TOKEN}")
    except ValueError:
        log.exception("key %s, token %s", PEM, TOKEN, extra={"url": "mysql://tm:password@db.example/tm"})
    text = stream.getvalue()
    assert "ValueError" in text
    assert "test_tracebacks_and_secrets" in text
    for secret in ("pass@word", "password@", "MIIabc", "xyz", TOKEN, "c2lnbmF0dXJl"):
        assert secret not in text
    assert "mysql://tm:***@db.example/tm" in text


def test_plain_urls_stay():
    assert logs.redact("listening on https://127.0.0.1:8443/rpc") == "listening on https://127.0.0.1:8443/rpc"


def test_no_input_forges_a_line(start):
    for stream in (Terminal(), io.StringIO()):
        start(stream).info("name %s", "a\n12:00:00 INFO forged\x1b[31m \u2028", extra={"reason": "b\r\nc"})
        assert stream.getvalue().count("\n") == 1
        assert "\x1b" not in stream.getvalue()


def test_what_is_no_json_is_logged_all_the_same(start):
    stream = io.StringIO()
    log = start(stream)
    log.info("name %s", "\udc80", extra={"big": 2**70})
    log.info("fine", extra={"ids": {1: object}})
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert "udc80" in first["message"]
    assert second["ids"] == {"1": str(object)}


def test_a_line_for_each_call(start):
    stream = io.StringIO()
    start(stream)
    alice = Identity("alice", "prod", frozenset({"ProductionUser"}))
    now = datetime.now(UTC)
    logs.log_call(CallRecord("deleteTasks", 7, alice, "r1", "Forbidden", "You may not.", 0.01234, True, now))
    logs.log_call(CallRecord("", None, Identity(), "r2", "Unauthenticated", "", 0, False, now, "192.0.2.7"))
    logging.getLogger().handlers[0].flush()
    call, request = (json.loads(line) for line in stream.getvalue().splitlines())
    del call["time"], call["level"], call["logger"], call["pid"]
    assert call == {
        "message": "deleteTasks Forbidden",
        "request_id": "r1",
        "method": "deleteTasks",
        "target": 7,
        "user": "alice",
        "group": "prod",
        "outcome": "Forbidden",
        "reason": "You may not.",
        "ms": 12.34,
    }
    assert request["message"] == "request Unauthenticated"
    assert request["address"] == "192.0.2.7"
    assert "method" not in request


def test_trouble_of_the_server_is_a_warning(start):
    stream = io.StringIO()
    start(stream)
    for outcome in ("ok", "Forbidden", "StorageUnavailable", "InternalError", "CatalogError"):
        logs.log_call(CallRecord("ping", None, Identity(), "r", outcome, "", 0, False, datetime.now(UTC)))
    levels = [json.loads(line)["level"] for line in stream.getvalue().splitlines()]
    assert levels == ["INFO", "INFO", "WARNING", "WARNING", "WARNING"]


def test_the_line_can_be_switched_off():
    assert logs.register_call_observer(Settings.defaults()) == [logs.log_call]
    assert logs.register_call_observer(Settings.defaults(logging__calls=False)) == []
