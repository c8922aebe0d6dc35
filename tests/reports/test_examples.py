"""The examples of docs/methods.md."""

import json
import re

import pytest

from jsonrpc_tm.core.records import ReplayStep
from jsonrpc_tm.tools.docs import page
from tests.docs.blocks import ROOT

SHOWN = {
    (call := json.loads(first))["method"]: (call.get("params"), json.loads(second)["result"])
    for first, second in re.findall(
        r"^```json\n(.*)\n(.*)\n```$", (ROOT / "docs" / "methods.md").read_text(encoding="utf-8"), re.MULTILINE
    )
}


def test_e4_examples_show_what_a_call_is_for():
    """The shortest steps showed nothing found, nothing chosen, nothing counted."""
    for method in ("getTransformations", "getTransformationFiles", "getTransformationTasks", "catalog.find"):
        params, rows = SHOWN[method]
        assert params and rows, method
    for method in ("getCounters", "getTransformationFilesCount", "getTransformationStats", "getFileSummary"):
        assert SHOWN[method][1], method
    for method in (name for name in SHOWN if name.endswith("SummaryWeb") and "Tabbed" not in name):
        assert SHOWN[method][1]["Records"], method
    assert SHOWN["addTransformation"][0]["inputMetaQuery"]
    assert SHOWN["addTaskForTransformation"][0]["lfns"]
    assert "expected" in SHOWN["setTransformationParameter"][0]


def scenario(*steps):
    class One:
        pass

    one = One()
    one.steps = [
        ReplayStep(number, "2024-10-15T12:00:00Z", "admin", "m", params, {"result": result}, None, False)
        for number, (params, result) in enumerate(steps, 1)
    ]
    return one


@pytest.mark.parametrize(
    ("steps", "best"),
    [
        ([([1], []), ([{"a": 1}, 2, 3], [{"b": 1}])], 1),
        ([([1], {"n": 1}), ([1, "some", "more"], {"n": 1, "m": 2})], 1),
        ([({"a": 1}, {"n": 1}), ([1, "more", "words"], {"n": 1, "m": 2})], 0),
        ([([1], {"n": 1}), ([1], {"n": "x" * 800, **{f"key{n}": n for n in range(9)}})], 0),
        ([([1], {"n": "x" * 800})], 0),
    ],
)
def test_e4_the_most_telling_step_that_is_not_too_long(steps, best):
    ((_, call, answer),) = page._examples([scenario(*steps)]).values()
    assert (json.loads(call)["params"], json.loads(answer)["result"]) == steps[best]
