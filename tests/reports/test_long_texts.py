"""What callers say does not fill the logs and the audit trail."""

import io
import logging

import pytest

from jsonrpc_tm.observe import logs


@pytest.mark.parametrize("formatter", [logs.JSONFormatter(), logs.TextFormatter()])
def test_attack_4_texts_of_callers_are_cut_in_the_log(formatter):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    long = "/very/long" * 100_000
    try:
        raise ValueError(long)
    except ValueError:
        logger.exception("%s failed", long, extra={"target": long, "reason": long})
    assert len(stream.getvalue()) < 5000


async def test_attack_4_what_a_call_is_about_is_cut(sqlite_tm):
    """Every observer gets the short form: the call log, the audit log, those of plugins."""
    records = []
    sqlite_tm.service.observers = (records.append,)
    long = "x" * 100_000
    await sqlite_tm.refused("NotFound", "getTransformation", long)
    await sqlite_tm.refused("InvalidParams", "setMetadata", f"/{long}", {})
    await sqlite_tm("exists", [f"/{long[:250]}", "/b"])
    await sqlite_tm.refused("MethodNotFound", long)
    for record in records:
        assert len(f"{record.method}{record.target}{record.reason}") < 600
    assert records[2].target.endswith("... and 1 more")


def test_attack_4_what_is_cut_shows_no_half_of_a_secret():
    record = logging.makeLogRecord(
        {"msg": f"mysql://tm:{'secret' * 400}@db/tm", "url": f"mysql://tm:{'secret' * 60}@db"}
    )
    assert "secret" not in logs.JSONFormatter().format(record)
