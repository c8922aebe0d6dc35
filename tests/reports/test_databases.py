"""The commands `db`, and a server's start, when the database is not as it should be."""

import subprocess

import pytest

from jsonrpc_tm.cli.main import run
from tests.cli.processes import command, environment


@pytest.fixture
def tm(tmp_path, monkeypatch, capfd):
    """Give a function that runs a command on a database: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JSONRPC_TM_CONFIG", raising=False)

    def tm(url: str, *words: str) -> tuple[int, str, str]:
        code = run(["--set", f"storage.url={url}", *words])
        return code, *capfd.readouterr()

    return tm


def test_b8_db_check_names_the_command_to_run(tm, tmp_path):
    (tmp_path / "tm.db").touch()
    code, out, _ = tm("sqlite:///tm.db", "db", "check")
    assert code == 1
    assert out.startswith("to be done: jsonrpc_tm ")
    assert out.endswith("\n`jsonrpc-tm db upgrade` does it; make a backup first.\n")
    assert tm("sqlite:///tm.db", "db", "upgrade")[0] == 0
    assert tm("sqlite:///tm.db", "db", "check")[:2] == (0, "The database is up to date.\n")


@pytest.mark.mariadb
class TestMariaDB:
    def test_b8_db_check_names_the_command_to_run(self, tm, mysql_url):
        code, out, err = tm(mysql_url, "db", "check")
        assert (code, err) == (1, "")
        assert out.startswith("to be done: jsonrpc_tm ")
        assert out.endswith("\n`jsonrpc-tm db upgrade` does it; make a backup first.\n")

    def test_b8_a_wrong_password_is_one_line(self, tm, mysql_url, tmp_path):
        scheme, _, rest = mysql_url.partition("://")
        place, _, name = rest.rpartition("@")[2].partition("/")
        wrong = f"{scheme}://nobody:wrong@{place}/{name}"
        code, out, err = tm(wrong, "db", "current")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"Error: the database {name} at {place} cannot be opened: Access denied for")
        settings = ("--set", f"storage.url={wrong}", "--set", "server.port=0", "--set", "server.tls.mode=off")
        done = subprocess.run(
            command("serve", *settings), cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr.count("Access denied")) == (2, "", 1)
        assert "(1045" not in done.stderr


@pytest.mark.parametrize("words", [("db", "current"), ("db", "check"), ("db", "upgrade"), ("db", "dump-schema")])
def test_b8_a_database_that_is_down_is_exit_code_3(tm, unused_tcp_port, words):
    code, out, err = tm(f"mysql://tm:secret@127.0.0.1:{unused_tcp_port}/books", *words)
    assert (code, out, err.count("\n")) == (3, "", 1)
    where = f"127.0.0.1:{unused_tcp_port}"
    assert err == f"Error: the database books at {where} cannot be opened: Connection refused.\n"
