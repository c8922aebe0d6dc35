"""Little worlds for the tests of replay."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonrpc_tm.core.records import ReplayStep

IDENTITIES = {
    "alice": {"username": "alice", "group": "prod", "properties": ["ProductionUser"], "DN": "/O=x/CN=alice"},
    "nobody": None,
}


def step(number: int = 1, method: str = "echo", params: Any = None, **expected: Any) -> ReplayStep:
    """Return a step; *expected* is result= or error=, match=, unordered=."""
    match, unordered = expected.pop("match", None), expected.pop("unordered", False)
    return ReplayStep(number, "2024-10-15T12:00:00Z", "alice", method, params, expected, match, unordered)


def line(number: int = 1, **members: Any) -> dict[str, Any]:
    """Return a line of a scenario file."""
    line = {"step": number, "now": "2024-10-15T12:00:00Z", "as": "alice", "method": "echo", "params": [number]}
    return line | (members or {"result": number})


def write(folder: Path, **scenarios: list[Mapping[str, Any]]) -> Path:
    """Write scenario files with their catalog and identities into *folder* and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalog.json").write_text('{"fields": {}, "directories": {}, "files": {}}')
    (folder / "identities.json").write_text(json.dumps(IDENTITIES))
    for name, lines in scenarios.items():
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return folder
