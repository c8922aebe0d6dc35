"""Saying a step over HTTP, and understanding what comes back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .compare import differences
from .scenario import Step


@dataclass(frozen=True, slots=True)
class Request:
    """A POST request that says what a step says.

    :param path: absolute path; None for the server's own JSON-RPC path.
    """

    body: bytes
    headers: Mapping[str, str]
    path: str | None = None


class Wire(Protocol):
    """A way to say a step over HTTP. Plugins can bring another than JSON-RPC (hook ``register_replay_wire``).

    :param settings: what a server that is made for the replay needs, by dotted name.
    """

    name: str
    settings: Mapping[str, Any]

    def request(self, step: Step) -> Request | None:
        """Return the request of a step, None when this wire cannot express it."""

    def answer(self, status: int, body: bytes) -> Mapping[str, Any]:
        """Return an answer as a response object: ``{"result": …}`` or ``{"error": {…}}``."""

    def judge(self, step: Step, answer: Mapping[str, Any]) -> list[str]:
        """Return in which points the answer is wrong."""


class JsonRpc:
    """The server's own wire."""

    name = "jsonrpc"
    settings: Mapping[str, Any] = {}

    def request(self, step: Step) -> Request:
        """Return a JSON-RPC request. Everything can be expressed."""
        call = {"jsonrpc": "2.0", "id": step.number, "method": step.method}
        if step.params is not None:
            call["params"] = step.params
        # json, not orjson: a scenario may send what no 64-bit parser accepts
        return Request(json.dumps(call).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes) -> Mapping[str, Any]:
        """Return the response object."""
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            return {"error": {"message": f"HTTP {status}: {body[:200].decode(errors='replace')!r}"}}
        return answer

    def judge(self, step: Step, answer: Mapping[str, Any]) -> list[str]:
        """Compare as the conformance corpus says."""
        return differences(step, answer)
