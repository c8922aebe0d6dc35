"""Saying a step over HTTP, and understanding what comes back."""

import json
from collections.abc import Mapping
from typing import Any

from ...core.records import ReplayStep, WireRequest
from .compare import differences


class JsonRpc:
    """The server's own wire."""

    name = "jsonrpc"
    settings: Mapping[str, Any] = {}

    def request(self, step: ReplayStep) -> WireRequest:
        """Return a JSON-RPC request. Everything can be expressed."""
        call = {"jsonrpc": "2.0", "id": step.number, "method": step.method}
        if step.params is not None:
            call["params"] = step.params
        # json, not orjson: a scenario may send what no 64-bit parser accepts
        return WireRequest(json.dumps(call).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes) -> Mapping[str, Any]:
        """Return the response object."""
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            return {"error": {"message": f"HTTP {status}: {body[:200].decode(errors='replace')!r}"}}
        return answer

    def judge(self, step: ReplayStep, answer: Mapping[str, Any]) -> list[str]:
        """Compare as the conformance corpus says."""
        return differences(step, answer)
