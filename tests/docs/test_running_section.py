"""docs/operations.md, "Running the server": its units are valid, and its commands free forgotten tasks."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from jsonrpc_tm.cli.main import run
from jsonrpc_tm.settings import Settings
from tests.cli.processes import environment, server

from .blocks import blocks
from .console import check, steps

PAGE = "docs/operations.md"
UNITS = {Path(text.splitlines()[0][2:]).name: text for text in blocks(PAGE, "ini") if "/systemd/" in text}


def test_e11_the_units_are_systemds(tmp_path):
    assert set(UNITS) == {"jsonrpc-tm.service", "jsonrpc-tm.socket"}
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not there")
    program = tmp_path / "jsonrpc-tm"
    program.symlink_to("/bin/true")
    for name, text in UNITS.items():
        (tmp_path / name).write_text(text.replace("/opt/jsonrpc-tm/bin/jsonrpc-tm", str(program)))
    words = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in UNITS)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    # it also looks at units of the machine
    ours = [line for line in done.stderr.splitlines() if "jsonrpc-tm" in line and "mariadb" not in line]
    assert ours == []


def test_e11_the_unit_starts_reloads_and_stops_the_server(capsys):
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(UNITS["jsonrpc-tm.service"])
    service = unit["Service"]
    # the tests of the reports B2, B11 and B12 do what these say
    assert (service["Type"], service["ExecReload"]) == ("notify", "/bin/kill -HUP $MAINPID")
    assert (service["KillMode"], service["RestartPreventExitStatus"]) == ("mixed", "2")
    defaults = Settings.defaults()
    assert int(service["TimeoutStopSec"]) > defaults["server.drain"] + defaults["server.shutdown_grace"] + 10
    _, *words = shlex.split(service["ExecStart"])
    assert words == ["--config", "/etc/jsonrpc-tm/config.yaml", "serve"]
    assert run(["serve", "--help"]) == 0
    assert "SIGHUP" in capsys.readouterr().out


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with server(folder, environment()) as url:
        yield folder, environment(JSONRPC_TM__CLIENT__URL=url)


def test_e11_forgotten_tasks_are_freed_as_the_page_says(place, monkeypatch, capsys):
    folder, env = place

    def tm(*words: str) -> str:
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            patch.setattr("os.environ", env)
            assert run(["call", *words]) == 0
            return capsys.readouterr().out

    tm("addTransformation", "t", "d", "l", "Simulation", "P", "A", "")
    tm("extendTransformation", "t", "3")
    tm("getTasksToSubmit", "t", "2")
    commands = steps([block for block in blocks(PAGE, "console") if "Reserved" in block])
    assert len(commands) == 2
    (moment,) = re.findall(r"older='([^']*)'", commands[0][0])
    # what was touched since stays
    assert tm(*shlex.split(commands[0][0].replace(moment, "2020-01-01 00:00:00"))[2:]) == "[]\n"
    for command, expected in commands:
        with monkeypatch.context() as patch:
            check(command.replace(moment, "2100-01-01 00:00:00"), expected, folder, env, patch, capsys)
    assert tm("getTransformationTaskStats", "t") == '{"Created":3,"TotalCreated":3}\n'
