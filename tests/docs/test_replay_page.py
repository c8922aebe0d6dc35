"""docs/replay.md: its scenario replays, its commands are run, its options are the commands'."""

import json
import re
import shlex

import pytest
import yaml

from jsonrpc_tm.cli.main import run
from jsonrpc_tm.tools.replay.commands import record, replay
from jsonrpc_tm.tools.replay.scenario import load
from jsonrpc_tm.tools.replay.targets import registry
from tests.cli.processes import environment, server

from .blocks import ROOT, blocks
from .console import check, steps

PAGE = "docs/replay.md"
CONFORMANCE = ROOT / "tests" / "conformance"
SCENARIO, IDENTITIES = blocks(PAGE, "json")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The scenario of the page, and one in which two steps expect something else."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "identities.json").write_text(IDENTITIES)
    (folder / "catalog.json").write_text("null")
    lines = [json.loads(line) for line in SCENARIO.splitlines()]
    for name, results in {"scenarios/right": (1, "alice"), "wrong/renamed": (2, "bob")}.items():
        for line, result in zip(lines, results, strict=False):
            line["result"] = result
        file = folder / f"{name}.jsonl"
        file.parent.mkdir()
        file.write_text("\n".join(map(json.dumps, lines)))
    return folder


@pytest.mark.parametrize(("command", "expected"), steps(blocks(PAGE, "console")))
def test_the_command_prints_what_is_shown(place, command, expected, monkeypatch, capsys):
    check(command, expected, place, environment(), monkeypatch, capsys)


def test_the_configuration_for_a_server_knows_the_callers():
    found = yaml.safe_load((CONFORMANCE / "harness.yaml").read_text())["registry"]
    wanted = registry(load([CONFORMANCE])[0].world)
    assert found == {"users": wanted["registry.users"], "groups": wanted["registry.groups"]}


def test_a_server_is_replayed_against_as_shown(tmp_path, capsys):
    serve, against = (shlex.split(line) for line in blocks(PAGE, "sh")[0].splitlines())
    assert serve == ["jsonrpc-tm", "--config", "tests/conformance/harness.yaml", "serve", "--harness"]
    (tmp_path / "harness.yaml").write_text((CONFORMANCE / "harness.yaml").read_text())
    with server(tmp_path, environment(), "--config", "harness.yaml", "--harness") as url:
        for shown, here in {
            "tests/conformance": str(CONFORMANCE / "scenarios" / "tasks_extend.jsonl"),
            "https://127.0.0.1:8443/rpc": url,
            "tests/conformance/dev-certs": str(tmp_path / "dev-certs"),
        }.items():
            against[against.index(shown)] = here
        assert run(against[1:]) == 0
    assert capsys.readouterr().out.endswith(" 0 failed\n")


@pytest.mark.parametrize("command", [replay, record], ids=["replay", "record"])
def test_options_are_those_of_the_command(command):
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    section = text.partition("## Replaying")[2] if command is replay else text.partition("## Recording")[2]
    section = section.partition("\n## ")[0]
    known = {option for param in command.params for option in param.opts if option.startswith("-")}
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section)) - {"--harness", "--config"}
    assert shown <= known
    if command is replay:
        assert {param.opts[0] for param in command.params if param.opts[0].startswith("--")} - {"--catalog"} <= shown
