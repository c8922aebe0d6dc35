"""What a line of the audit log says."""

from typing import Any

from jsonrpc_tm.api import CallRecord, results

_TEXT_OR_NULL = results.nullable(results.TEXT)
LINE = results.members(
    change=results.nullable(results.INTEGER),
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
"""A line of the audit log; ``change`` numbers the changes that were committed in one database."""


def line_of(record: CallRecord) -> dict[str, Any]:
    """Return the line about a call, but for its number."""
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
