"""docs/cli.md: every command shown is run and prints what is shown; every command is on the page."""

import re

import pytest

from jsonrpc_tm.cli.client_options import OPTIONS
from jsonrpc_tm.cli.main import program
from tests.cli.processes import environment, server

from .blocks import ROOT, blocks
from .console import check, steps

PAGE = "docs/cli.md"
SERVE = "$ jsonrpc-tm serve\nlistening on https://127.0.0.1:8443/rpc\n"
STEPS = steps([block for block in blocks(PAGE, "console") if block != SERVE])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Start the server as the page does, on another port."""
    assert SERVE in blocks(PAGE, "console")
    folder = tmp_path_factory.mktemp("page")
    with server(folder, environment()) as url:
        yield folder, environment(JSONRPC_TM__CLIENT__URL=url)


def test_the_commands_print_what_is_shown(place, monkeypatch, capsys):
    assert len(STEPS) > 10
    for command, expected in STEPS:  # each goes on where the one before it ended
        with monkeypatch.context() as patch:
            check(command, expected, *place, patch, capsys)


def test_every_command_and_option_is_on_the_page():
    text = (ROOT / PAGE).read_text()
    headings = set(re.findall(r"^## (.*)$", text, re.MULTILINE))
    described = {name for heading in headings for name in heading.split(", ")}
    with program.make_context("jsonrpc-tm", ["--help"], resilient_parsing=True) as ctx:
        assert set(program.list_commands(ctx)) <= described
    for option in OPTIONS:
        assert f"| `--{option} " in text
