"""docs/performance.md: commands print what is shown, the configuration is valid, options of `make bench` exist."""

import re

from benchmarks.common.command import parser
from jsonrpc_tm.app import configure
from tests.cli.processes import environment, server

from .blocks import ROOT, blocks
from .console import check, steps

PAGE = "docs/performance.md"


def test_the_commands_print_what_is_shown(tmp_path, monkeypatch, capsys):
    with server(tmp_path, environment()) as url:
        env = environment(JSONRPC_TM__CLIENT__URL=url)
        for command, expected in steps(blocks(PAGE, "console")):
            with monkeypatch.context() as patch:
                check(command, expected, tmp_path, env, patch, capsys)


def test_the_configuration_is_valid(tmp_path):
    (text,) = blocks(PAGE, "yaml")
    (tmp_path / "fast.yaml").write_text(text)
    settings, _ = configure(tmp_path / "fast.yaml")
    assert (settings["server.workers"], settings["dirac_https.records"]) == (4, False)


def test_the_options_of_the_measurements_exist():
    known = parser().format_help()
    text = (ROOT / PAGE).read_text("utf-8") + (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    named = set(re.findall(r"--[a-z]+", text))
    assert "--against" in named
    assert {option for option in named if option not in known} == set()
    for shown in re.findall(r'make bench ARGS="([^"]*)"', text):
        parser().parse_args(shown.split())
