"""The command line in this process: what commands print and how they end."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509

from jsonrpc_tm import __version__
from jsonrpc_tm.cli.main import run


@pytest.fixture
def tm(tmp_path, monkeypatch, capsys):
    """Give a function that runs a command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JSONRPC_TM_CONFIG", raising=False)

    def tm(*words: str) -> tuple[int, str, str]:
        try:
            code = run(list(words))
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err

    return tm


def plugin(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


COMMAND = """
import click
from jsonrpc_tm.api import Setting, hookimpl
from jsonrpc_tm.core.errors import TMError

@click.command()
@click.pass_obj
def greet(program):
    "Say hello."
    click.echo(f"hello {program.settings['mine.name']}")

@click.command()
@click.argument("kind")
def fail(kind):
    "Fail."
    raise {"bug": KeyError("x"), "disk": OSError(28, "No space left on device", "/tm.db"),
           "group": ExceptionGroup("", [TMError("No.")]), "stop": KeyboardInterrupt()}[kind]

@hookimpl
def register_commands():
    return [greet, fail]

@hookimpl
def register_settings():
    yield Setting("mine.name", "text", "world", "A name.")
"""

METHOD = """
from jsonrpc_tm.api import Method, Read, hookimpl, results

async def number(work):
    "Say a number."
    return 1

@hookimpl
def register_methods():
    yield Method("mine.number", number, {}, access=Read(), result=results.INTEGER)
"""


class TestConfiguration:
    def test_help_of_every_command(self, tm):
        code, out, err = tm("--help")
        assert (code, err) == (0, "")
        names = [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines() if line.startswith("  ")]
        names = names[: names.index("Exit")]
        ours = {
            "serve",
            "call",
            "methods",
            "plugins",
            "settings",
            "db",
            "dev-certs",
            "demo",
            "replay",
            "record",
            "token",
        }
        assert ours <= set(names)
        for name in names:
            code, out, err = tm(name, "--help")
            assert (code, err) == (0, ""), name
            assert "--config" in out, name
            assert "--set" in out, name

    def test_version(self, tm):
        assert tm("--version") == (0, f"jsonrpc-tm, version {__version__}\n", "")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["cal"], "No such command 'cal' (did you mean call?)."),
            (["call"], "Missing argument 'METHOD'"),
            (["settings", "--jsn"], "No such option"),
            (["--set", "server.port", "settings"], "'server.port' is not NAME=VALUE."),
            (["db", "upgade"], "No such command 'upgade'"),
            (["dev-certs", "d", "--dn", "/CN=a"], "--dn needs exactly one --user."),
            (["call", "ping", "a=1", "2"], "by name or by position, not both"),
            (["call", "--once", "\u00e9", "ping"], "a key is 1 to 255 printable ASCII characters"),
        ],
    )
    def test_wrong_usage(self, tm, words, message):
        code, out, err = tm(*words)
        assert (code, out) == (2, "")
        assert message in err

    def test_options_before_and_after_the_command(self, tm, tmp_path):
        (tmp_path / "a.yaml").write_text("server: {port: 1, host: a}\n")
        (tmp_path / "b.yaml").write_text("server: {port: 2}\n")
        for words in (
            ["-c", "a.yaml", "--set", "server.path=/x", "settings", "--json"],
            ["settings", "--json", "--config", "a.yaml", "--set", "server.path=/x"],
            [
                "-c",
                "b.yaml",
                "--set",
                "server.path=/y",
                "settings",
                "--json",
                "-c",
                "a.yaml",
                "--set",
                "server.path=/x",
            ],
        ):
            _, out, _ = tm(*words)
            found = json.loads(out)
            assert [found[f"server.{name}"] for name in ("port", "host", "path")] == [1, "a", "/x"]

    def test_the_configuration_is_found(self, tm, tmp_path, monkeypatch):
        def port() -> int:
            return json.loads(tm("settings", "--json")[1])["server.port"]

        assert port() == 8443
        (tmp_path / "config.yaml").write_text("server: {port: 1}\n")
        assert port() == 1
        (tmp_path / "other.yaml").write_text("server: {port: 2}\n")
        monkeypatch.setenv("JSONRPC_TM_CONFIG", "other.yaml")
        assert port() == 2
        monkeypatch.setenv("JSONRPC_TM__SERVER__PORT", "3")
        assert port() == 3

    def test_a_wrong_configuration_is_told_line_by_line(self, tm, tmp_path):
        (tmp_path / "config.yaml").write_text("server:\n  prt: 1\n  host: 5\n")
        code, out, err = tm("settings")
        assert (code, out) == (2, "")
        assert err.splitlines() == [
            "Error: config.yaml:2: server.prt: Unknown key (did you mean server.port?).",
            "Error: config.yaml:3: server.host: Not a string.",
        ]
        assert tm("-c", "none.yaml", "settings")[2] == "Error: cannot read none.yaml: No such file or directory\n"

    def test_settings_tell_where_they_come_from_and_no_secret(self, tm, tmp_path):
        (tmp_path / "config.yaml").write_text("storage: {url: 'mysql://tm:secret1@db/tm'}\nclient: {token: secret2}\n")
        code, out, _ = tm("settings")
        assert code == 0
        assert 'storage.url = "mysql://tm:***@db/tm"  # config.yaml:1\n' in out
        assert 'client.token = "***"  # config.yaml:2\n' in out
        assert 'server.path = "/rpc"\n    Path of the JSON-RPC endpoint.\n' in out
        assert "secret" not in out.replace("secrets", "")

    def test_settings_as_a_page(self, tm):
        code, out, _ = tm("settings", "--markdown")
        assert code == 0
        assert out.startswith("# Settings\n")


class TestPlugins:
    def test_plugins_are_listed(self, tm, tmp_path):
        plugin(tmp_path, COMMAND)
        options = ("--set", "plugins.paths=[mine.py]", "--set", "plugins.disable=[jsonrpc_tm.observe.logs]")
        code, out, _ = tm("plugins", *options)
        assert code == 0
        assert f"mine (path, {tmp_path}/mine.py)\n    register_commands, register_settings\n" in out
        assert "jsonrpc_tm.auth.policy (default)\n    register_policy\n" in out
        assert "jsonrpc_tm.observe.logs (disabled)\n" in out
        found = json.loads(tm("plugins", "--json", *options)[1])
        assert found["disabled"] == ["jsonrpc_tm.observe.logs"]
        assert [row["hooks"] for row in found["plugins"] if row["name"] == "mine"] == [
            ["register_commands", "register_settings"]
        ]

    def test_commands_of_plugins(self, tm, tmp_path):
        plugin(tmp_path, COMMAND)
        (tmp_path / "config.yaml").write_text("plugins: {paths: [mine.py]}\nmine: {name: moon}\n")
        assert tm("greet") == (0, "hello moon\n", "")
        assert tm("greet", "--set", "mine.name=sun") == (0, "hello sun\n", "")
        _, out, _ = tm("--help")
        assert re.search(r"^  greet +Say hello\.$", out, re.MULTILINE)

    def test_a_result_without_words_has_its_type(self, tm, tmp_path):
        plugin(tmp_path, METHOD)
        options = ("--set", "plugins.paths=[mine.py]")
        assert "\nResult: integer\n" in tm("methods", "mine.number", *options)[1]
        assert "\nSay a number.\n\nResult: integer.\n" in tm("methods", "--markdown", *options)[1]

    def test_help_survives_a_broken_plugin(self, tm, tmp_path):
        plugin(tmp_path, "1 / 0")
        (tmp_path / "config.yaml").write_text("plugins: {paths: [mine.py]}\n")
        code, out, err = tm("--help")
        assert code == 0
        assert "dev-certs" in out
        assert err.startswith("Commands of plugins are missing here: plugin mine")
        assert tm("greet")[0] == 2

    def test_a_plugin_must_not_take_a_command(self, tm, tmp_path):
        plugin(tmp_path, COMMAND.replace("def greet", "def serve").replace("[greet,", "[serve,"))
        code, _, err = tm("--set", "plugins.paths=[mine.py]", "nothing")
        assert code == 2
        assert "there is a command serve already" in err

    @pytest.mark.parametrize(
        ("kind", "code", "message"),
        [
            ("bug", 1, "Error: this is a bug: KeyError: 'x'. JSONRPC_TM_TRACEBACK=1 shows where.\n"),
            ("disk", 2, "Error: /tm.db: No space left on device\n"),
            ("group", 1, '{"code":-32603,"message":"No.","data":{"type":"InternalError"}}\n'),
            ("stop", 130, "\n"),
        ],
    )
    def test_how_failures_end(self, tm, tmp_path, kind, code, message):
        plugin(tmp_path, COMMAND)
        assert tm("--set", "plugins.paths=[mine.py]", "fail", kind) == (code, "", message)

    def test_a_bug_can_be_looked_into(self, tm, tmp_path, monkeypatch):
        plugin(tmp_path, COMMAND)
        monkeypatch.setenv("JSONRPC_TM_TRACEBACK", "1")
        with pytest.raises(KeyError):
            tm("--set", "plugins.paths=[mine.py]", "fail", "bug")


class TestDatabase:
    def test_from_nothing_to_up_to_date(self, tm, tmp_path):
        code, _, err = tm("db", "current")
        assert code == 2
        assert "there is no database" in err
        code, out, _ = tm("db", "upgrade")
        assert code == 0
        assert out.startswith("done: jsonrpc_tm ")
        assert tm("db", "upgrade") == (0, "The database is up to date.\n", "")
        assert tm("db", "check") == (0, "The database is up to date.\n", "")
        code, out, _ = tm("db", "current")
        assert code == 0
        assert out.startswith("jsonrpc_tm: version ")
        code, out, _ = tm("db", "dump-schema")
        assert code == 0
        with closing(sqlite3.connect(":memory:")) as database:
            database.executescript(out)  # it is SQL
        assert "CREATE TABLE TransformationTasks" in out

    def test_what_is_missing_is_named(self, tm, tmp_path):
        tm("db", "upgrade")
        with closing(sqlite3.connect(tmp_path / "tm.db")) as database:
            database.execute("DROP TABLE TransformationLog")
        assert tm("db", "check") == (
            1,
            "table TransformationLog is missing\n"
            "Something else has changed these tables, or their backup was not whole: restore a whole one.\n",
            "",
        )

    def test_wrong_counters_are_told_and_mended(self, tm, tmp_path):
        tm("db", "upgrade")
        with closing(sqlite3.connect(tmp_path / "tm.db")) as database:
            database.execute("INSERT INTO StatusCounts VALUES (7, 'file', 'Unused', 1)")
            database.commit()
        row = '{"TransformationID":7,"Kind":"","Status":"","Missing":0}'
        repair = "`jsonrpc-tm db check --repair` makes it right."
        assert tm("db", "check") == (1, f"wrong counter: {row}\n{repair}\n", "")
        assert tm("db", "check", "--repair") == (0, f"mended counter: {row}\nThe database is up to date.\n", "")
        assert tm("db", "check") == (0, "The database is up to date.\n", "")

    def test_a_file_that_is_no_database(self, tm, tmp_path):
        (tmp_path / "tm.db").write_text("garbage" * 1000)
        code, out, err = tm("db", "check")
        assert code in (2, 3)
        assert out == ""
        assert err.startswith("Error: ")


class TestCertificates:
    def test_certificates_of_any_subject(self, tm, tmp_path):
        code, out, err = tm("dev-certs", "d", "--user", "alice", "--dn", "/DC=org/DC=example/CN=Alice A")
        assert (code, err) == (0, "")
        assert out == ("authority d/ca.pem\nserver d/server.pem d/server.key\nalice d/alice.pem d/alice.key\n")
        authority = (tmp_path / "d/ca.pem").read_bytes()
        assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
        assert tm("dev-certs", "d", "--user", "bob", "--user", "carol")[0] == 0
        assert (tmp_path / "d/ca.pem").read_bytes() == authority
        assert (tmp_path / "d/carol.key").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--user", "good", "--user", "../x"], "Error: '../x' cannot be the name"),
            (["--user", "x", "--dn", "jane"], "Error: 'jane' is not a DN in slash form"),
            (["--user", "x", "--proxy-group", "ä"], "Error: 'ä' cannot be a DIRAC group"),
        ],
    )
    def test_wrong_names_are_refused_before_anything_is_made(self, tm, tmp_path, words, says):
        code, out, err = tm("dev-certs", "d", *words)
        assert (code, out) == (2, "")
        assert err.startswith(says)
        assert not (tmp_path / "d").exists()

    def test_the_registry_knows_the_subject(self, tm, tmp_path):
        (tmp_path / "config.yaml").write_text("registry: {users: {jane: {dns: [/DC=org/CN=Jane Doe]}, joe: {}}}\n")
        for words, expected in (
            (("--user", "jane"), "/DC=org/CN=Jane Doe"),
            (("--user", "joe"), "/O=jsonrpc-tm development/CN=joe"),
            (("--user", "jane", "--dn", "/CN=other"), "/CN=other"),
        ):
            assert tm("dev-certs", "d", *words)[0] == 0
            made = x509.load_pem_x509_certificate((tmp_path / f"d/{words[1]}.pem").read_bytes())
            parts = (f"/{part.rfc4514_attribute_name}={part.value}" for part in made.subject)
            assert "".join(parts) == expected
