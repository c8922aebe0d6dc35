"""``jsonrpc-tm`` as a process: a server without configuration, calls to it, exit codes, what goes where."""

import json
import os
import subprocess

import pytest

from jsonrpc_tm.cli.main import run

from .processes import command, environment, on_terminal, server


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Run a server in an empty folder; give the folder and an environment with its URL."""
    folder = tmp_path_factory.mktemp("place")
    with server(folder, environment()) as url:
        yield folder, environment(JSONRPC_TM__CLIENT__URL=url)


@pytest.fixture
def process(place):
    """Give a function that runs a command beside the server: exit code, standard output, standard error."""
    folder, env = place

    def process(*words: str, stdin: str = "") -> tuple[int, str, str]:
        done = subprocess.run(
            command(*words), cwd=folder, env=env, input=stdin, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return process


@pytest.fixture
def tm(place, monkeypatch, capsys):
    """Give a function that does the same within this process, which is much faster."""
    folder, env = place
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        if name.startswith("JSONRPC_TM"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("JSONRPC_TM__CLIENT__URL", env["JSONRPC_TM__CLIENT__URL"])

    def tm(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        return code, *capsys.readouterr()

    return tm


ADD = ("description=", "longDescription=", "transType=Simulation", "plugin=p", "agentType=Manual", "fileMask=")


def test_a_result_is_one_line_of_json(process):
    code, out, err = process("call", "echo", 'data={"a": [1, 2.5, null, "é"]}')
    assert (code, out, err) == (0, '{"a":[1,2.5,null,"é"]}\n', "")


def test_on_a_terminal_it_is_indented(place):
    assert on_terminal(*place, "call", "echo", '{"data": {"a": 1}}').splitlines() == ["{", '  "a": 1', "}"]


def test_an_error_is_json_on_standard_error(process):
    code, out, err = process("call", "getTransformation", "transName=none")
    assert (code, out) == (1, "")
    error = json.loads(err)
    assert error["code"] == -32004
    assert error["data"]["type"] == "NotFound"
    assert error["data"]["request_id"]
    assert err.count("\n") == 1


def test_wrong_usage_and_no_connection(process, tm, unused_tcp_port):
    code, out, err = process("call", "ping", "a=1", "5")
    assert (code, out) == (2, "")
    assert "by name or by position" in err
    code, out, err = process("call", "ping", "--url", f"https://127.0.0.1:{unused_tcp_port}")
    assert (code, out) == (3, "")
    assert err == f"Error: Cannot connect to https://127.0.0.1:{unused_tcp_port}/rpc: Connection refused.\n"
    code, out, err = tm("call", "ping", "--ca", "none.pem")
    assert (code, out, err) == (2, "", "Error: cannot read none.pem: No such file or directory\n")


def test_parameters_from_standard_input(process):
    assert process("call", "echo", "-", stdin='["from a pipe"]')[:2] == (0, '"from a pipe"\n')


def test_without_credentials_the_developers_certificate_is_taken(tm):
    code, out, _ = tm("call", "whoami")
    assert code == 0
    assert json.loads(out)["username"] == "admin"


def test_the_server_of_the_configuration_is_the_one_that_is_called(tm, place, monkeypatch):
    port = place[1]["JSONRPC_TM__CLIENT__URL"].rpartition(":")[2].partition("/")[0]
    monkeypatch.delenv("JSONRPC_TM__CLIENT__URL")
    for settings in ((f"server.port={port}",), (f"server.port={port}", "server.host=0.0.0.0")):
        code, out, err = tm("call", "whoami", *(word for setting in settings for word in ("--set", setting)))
        assert (code, json.loads(out)["username"], err) == (0, "admin", "")


def test_credentials_and_group(tm, monkeypatch):
    alice = ("--cert", "dev-certs/alice.pem", "--key", "dev-certs/alice.key", "--ca", "dev-certs/ca.pem")
    assert json.loads(tm("call", "whoami", *alice)[1])["username"] == "alice"
    assert json.loads(tm("call", "whoami", "--group", "producers")[1])["group"] == "producers"
    code, _, err = tm("call", "whoami", "--group", "others")
    assert code == 1
    assert json.loads(err)["data"]["type"] == "Forbidden"
    code, _, err = tm("call", "whoami", "--ca", "/dev/null")
    assert code == 2
    code, _, err = tm("call", "whoami", *alice[:4], "--ca", "dev-certs/alice.pem")
    assert (code, err.count("certificate is not accepted")) == (3, 1)
    monkeypatch.setenv("JSONRPC_TM__CLIENT__CERT", "dev-certs/bob.pem")
    monkeypatch.setenv("JSONRPC_TM__CLIENT__KEY", "dev-certs/bob.key")
    assert json.loads(tm("call", "whoami")[1])["username"] == "bob"


def test_work_is_done(tm):
    code, out, _ = tm("call", "addTransformation", "transName=first one", *ADD)
    assert (code, out) == (0, "1\n")
    assert json.loads(tm("call", "extendTransformation", "first one", "3")[1]) == [1, 2, 3]
    assert json.loads(tm("call", "getTransformationStats", "1")[1])["Total"] == 0


def test_the_methods_of_the_server_and_of_the_configuration_are_the_same(tm, place):
    local, remote = tm("methods"), tm("methods", "--url", place[1]["JSONRPC_TM__CLIENT__URL"])
    assert local == remote
    assert local[0] == 0
    assert "\ngetTransformation(transName, extraParams=false)\n    " in local[1]
    code, out, _ = tm("methods", "getTransformation")
    assert code == 0
    assert out.startswith("getTransformation(transName, extraParams=false)\n\n")
    assert json.loads(tm("methods", "getTransformation", "--json")[1])["name"] == "getTransformation"
    assert json.loads(tm("methods", "--json")[1])["openrpc"]
    assert tm("methods", "getTransformatio")[2].endswith(
        "Error: There is no method getTransformatio (did you mean getTransformation?).\n"
    )


def test_a_reader_that_goes_away_is_no_trouble(place):
    folder, env = place
    words = command("methods")
    with subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
