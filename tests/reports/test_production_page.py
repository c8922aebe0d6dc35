"""docs/production.md: the production that it shows runs, and the statuses that it names are those of the code."""

import re

from jsonrpc_tm.core.statuses import ACCEPTING_STATUSES, ASSIGNABLE_STATUSES
from tests.cli.processes import environment, server
from tests.docs.blocks import ROOT, blocks
from tests.docs.console import check, steps

PAGE = "docs/production.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def test_e5_the_production_on_the_page_runs(tmp_path, monkeypatch, capsys):
    commands = steps(blocks(PAGE, "console"))
    with server(tmp_path, environment()) as url:
        env = environment(JSONRPC_TM__CLIENT__URL=url)
        for command, expected in commands:  # each goes on where the one before it ended
            with monkeypatch.context() as patch:
                check(command, expected, tmp_path, env, patch, capsys)
    # who calls it is in the table
    named = set(re.findall(r"`(\w+)`", TEXT))
    called = {command.split()[2] for command, _ in commands}
    assert {name for name in called if "." not in name and "Stats" not in name} <= named


def test_e5_the_statuses_that_count_are_those_of_the_code():
    assert f"| transformations | {', '.join(ACCEPTING_STATUSES)} |" in TEXT
    assert f"| files | {', '.join(ASSIGNABLE_STATUSES)} |" in TEXT
