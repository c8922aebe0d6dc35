"""docs/operations.md, "Running the server": its units and configuration are valid, its commands free forgotten tasks.

A backup of SQLite comes back, too.
"""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jsonrpc_tm.app import configure
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


def test_e11_the_configuration_is_right_and_writes_where_the_unit_lets_it(tmp_path):
    (text,) = [block for block in blocks(PAGE, "yaml") if "/etc/jsonrpc-tm/config.yaml" in block]
    (tmp_path / "config.yaml").write_text(text)
    settings = configure(tmp_path / "config.yaml")[0]
    assert str(settings.path("audit_log.path")).startswith("/var/lib/jsonrpc-tm/")
    assert settings["storage.url"].startswith("sqlite:////var/lib/jsonrpc-tm/")
    assert "ProtectSystem=strict" in UNITS["jsonrpc-tm.service"]
    assert "StateDirectory=jsonrpc-tm" in UNITS["jsonrpc-tm.service"]


def test_a_backup_of_sqlite_comes_back(place, tmp_path):
    _, env = place
    backup, restore = [text for text in blocks(PAGE, "sh") if "tm-backup.db" in text]

    def shell(commands: str) -> str:
        words = commands.replace("jsonrpc-tm ", f"{sys.executable} -m jsonrpc_tm ")
        words = words.replace("python3 ", f"{sys.executable} ")
        done = subprocess.run(["sh", "-ec", words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    add = "jsonrpc-tm call addTransformation {} d l Simulation P A '' --url {}"
    with server(tmp_path, environment()) as url:
        shell(add.format("before", url))
        shell(backup)
        shell(add.format("after", url))
    assert (tmp_path / "tm-backup.db").stat().st_mode & 0o077 == 0
    assert "up to date" in shell(restore)
    with server(tmp_path, environment()) as url:
        listed = shell(f"jsonrpc-tm call getTransformations columns='[\"TransformationName\"]' --url {url}")
    assert listed == '[{"TransformationName":"before"}]\n'
