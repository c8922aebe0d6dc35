"""The lines of calls are written in batches; none is lost, and none comes out of its order."""

import io
import json
import logging
import os
import time
import weakref
from datetime import UTC, datetime

import pytest

from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.core.records import CallRecord
from jsonrpc_tm.observe import logs, writing
from jsonrpc_tm.settings import Settings


@pytest.fixture
def begin():
    """Give a function that sends the log to a stream and returns its handler; put everything back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def begin(stream, kind: str = "json") -> logging.Handler:
        logs.configure(Settings.defaults(logging__format=kind), stream)
        return root.handlers[0]

    yield begin
    root.handlers[:] = handlers
    root.setLevel(level)


def call(target: str = "x", outcome: str = "ok") -> None:
    logs.log_call(CallRecord("ping", target, Identity(), "r", outcome, "", 0, False, datetime.now(UTC)))


def targets(stream: io.StringIO) -> list[str]:
    return [line.get("target", line["message"]) for line in map(json.loads, stream.getvalue().splitlines())]


def test_what_waits_is_written_soon(begin):
    stream = io.StringIO()
    begin(stream)
    for target in "ab":
        call(target)
        assert not stream.getvalue().endswith(f'"{target}"')
        end = time.monotonic() + 10
        while target not in targets(stream):
            assert time.monotonic() < end
            time.sleep(0.01)
    assert targets(stream) == ["a", "b"]


def test_other_lines_are_written_at_once_and_in_order(begin, monkeypatch):
    monkeypatch.setattr(writing, "_WAIT", 3600)
    stream = io.StringIO()
    begin(stream)
    call("a")
    assert not stream.getvalue()
    logging.getLogger("jsonrpc_tm.test").info("b")
    call("c")
    call("d", "InternalError")
    assert targets(stream) == ["a", "b", "c", "d"]


def test_the_end_of_the_process_writes_what_waits(begin, monkeypatch):
    monkeypatch.setattr(writing, "_WAIT", 3600)
    stream = io.StringIO()
    handler = begin(stream, "text")
    call("a")
    logging.shutdown([weakref.ref(handler)])  # what the interpreter does at its end
    facts = "request_id=r method=ping target=a outcome=ok ms=0"
    assert stream.getvalue()[8:] == f" {os.getpid()} INFO    ping ok {facts}\n"


def test_what_waits_is_bounded(begin, monkeypatch):
    monkeypatch.setattr(writing, "_WAIT", 3600)
    monkeypatch.setattr(writing, "_MOST", 2)
    stream = io.StringIO()
    begin(stream)
    for target in "abc":
        call(target)
    assert targets(stream) == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["json", "text"])
def test_secrets_and_long_texts_of_callers_do_not_get_into_the_lines_of_calls(begin, kind):
    stream = io.StringIO()
    handler = begin(stream, kind)
    call("mysql://tm:password@db.example/tm" + "x" * 500)
    call("Bearer abcdef\n12:00:00 1 INFO forged")
    handler.flush()
    text = stream.getvalue()
    assert text.count("\n") == 2
    assert "password" not in text
    assert "abcdef" not in text
    assert len(text) < 800


def test_further_handlers_and_filters_get_records(begin, caplog):
    stream = io.StringIO()
    handler = begin(stream)
    caplog.clear()
    log = logging.getLogger("jsonrpc_tm.calls")
    log.addHandler(caplog.handler)
    try:
        call("a")
    finally:
        log.removeHandler(caplog.handler)
    (record,) = caplog.records
    assert (record.getMessage(), record.target) == ("ping ok", "a")
    log.addFilter(keep_nothing := lambda record: False)
    try:
        call("b")
    finally:
        log.removeFilter(keep_nothing)
    handler.addFilter(keep_nothing)
    call("c")
    handler.flush()
    assert targets(stream) == ["a"]


def test_a_level_keeps_the_lines_of_calls_out(begin):
    stream = io.StringIO()
    handler = begin(stream)
    logs.set_level(Settings.defaults(logging__level="WARNING"))
    call("a")
    handler.flush()
    assert not stream.getvalue()


class Full(io.StringIO):
    """A disk that is full for a while."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_lines_that_could_not_be_written_are_counted(begin):
    stream = Full()
    handler = begin(stream)
    call("a")
    call("b")
    handler.flush()
    stream.full = False
    call("c")
    handler.flush()
    call("d")
    handler.flush()
    assert targets(stream) == ["2 line(s) of calls could not be written", "c", "d"]


# the thread that writes is what Python 3.12 warns of
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_writes_its_own_lines_only(begin, tmp_path):
    with (tmp_path / "log").open("w") as stream:
        handler = begin(stream)
        call("parent")
        child = os.fork()
        if not child:
            try:
                handler.flush()
                call("child")
                handler.flush()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        handler.flush()
    found = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["target"], line["pid"]) for line in found] == [("child", child), ("parent", os.getpid())]
