"""Servers behind a socket, in another wire too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonrpc_tm.core.records import ReplayStep, WireRequest
from jsonrpc_tm.tools.replay import sockets
from jsonrpc_tm.tools.replay.run import run
from jsonrpc_tm.tools.replay.scenario import load
from jsonrpc_tm.tools.replay.wire import JsonRpc

from .samples import line, write


class Positional(JsonRpc):
    """JSON-RPC that cannot name parameters."""

    name = "positional"

    def request(self, step: ReplayStep) -> WireRequest | None:  # type: ignore[override]
        return None if isinstance(step.params, dict) else super().request(step)

    def judge(self, step: ReplayStep, answer: Mapping[str, Any]) -> list[str]:
        return [f"judged {step.number}"]


async def test_what_a_wire_cannot_express_happens_unjudged(tmp_path: Path) -> None:
    named = {"transName": "t", "description": "", "longDescription": "", "transType": "T"}
    named |= {"plugin": "P", "agentType": "Manual", "fileMask": ""}
    lines = [
        line(1, method="addTransformation", params=named, result=1),
        line(2, method="getTransformationParameters", params=[1, "Author"], result="alice"),
    ]
    scenarios = load([write(tmp_path, one=lines)])
    wire = Positional()
    seen: list[Mapping[str, Any]] = []
    wire.answer = lambda status, body: seen.append(JsonRpc.answer(wire, status, body)) or seen[-1]  # type: ignore
    outcomes = [outcome async for outcome in run(scenarios, lambda world: sockets.over_http(world, wire=wire))]
    assert [(done.expressed, done.differences) for done in outcomes[0].steps] == [(False, []), (True, ["judged 2"])]
    assert [answer["result"] for answer in seen] == ["alice"]


async def test_no_json_is_an_error_without_type() -> None:
    answer = JsonRpc().answer(502, b"<html>")
    assert answer == {"error": {"message": "HTTP 502: '<html>'"}}
    assert JsonRpc().answer(200, b"[]") == {"error": {"message": "HTTP 200: '[]'"}}
