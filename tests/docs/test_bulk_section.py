"""docs/operations.md, "When nothing moves" and "Changing many objects at once": the commands print what is shown."""

import json
import shlex
import time

from jsonrpc_tm.cli.main import run
from tests.cli.processes import environment, server

from .blocks import blocks
from .console import check, steps

PAGE = "docs/operations.md"
SETTING = """\
$ jsonrpc-tm call addTransformation '["reco", "", "", "Processing", "Standard", "Manual", ""]'
1
$ jsonrpc-tm call addFilesToTransformation '["reco", ["/a", "/b"]]'
…
$ jsonrpc-tm call setFileStatus '["reco", {"/b": "Problematic"}]'
…
"""


def test_the_commands_print_what_is_shown(tmp_path, monkeypatch, capsys):
    words = ("explainTransformation", "cleanTransformation", "Bulk")
    shown = [block for block in blocks(PAGE, "console") if any(word in block for word in words)]
    with server(tmp_path, environment()) as url:
        env = environment(JSONRPC_TM__CLIENT__URL=url)
        for command, expected in steps([SETTING, *shown]):
            if "getBulk" in command:
                ended(command, tmp_path, env, monkeypatch, capsys)
            check(command, expected, tmp_path, env, monkeypatch, capsys)


def ended(command, folder, env, monkeypatch, capsys):
    """Wait until the operation that *command* asks about has ended."""
    until = time.monotonic() + 20
    while True:
        monkeypatch.chdir(folder)
        monkeypatch.setattr("os.environ", env)
        assert run(shlex.split(command)[1:]) == 0
        if json.loads(capsys.readouterr().out)["State"] != "Running":
            return
        assert time.monotonic() < until, "it does not end"
