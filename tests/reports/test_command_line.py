"""What people met at the command line: words that are no options, texts that look like JSON, errors to read."""

import io
import json
import os

import click
import pytest

from jsonrpc_tm.cli.call import read_parameters
from jsonrpc_tm.cli.main import run
from jsonrpc_tm.cli.words import in_words
from jsonrpc_tm.core import errors
from tests.cli.processes import environment, on_terminal, server


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Run a server in an empty folder; give the folder and an environment with its URL."""
    folder = tmp_path_factory.mktemp("place")
    with server(folder, environment()) as url:
        yield folder, environment(JSONRPC_TM__CLIENT__URL=url)


@pytest.fixture
def tm(place, monkeypatch, capsys):
    """Give a function that runs a command beside the server: exit code, standard output, standard error."""
    folder, env = place
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("JSONRPC_TM")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JSONRPC_TM__CLIENT__URL", env["JSONRPC_TM__CLIENT__URL"])

    def tm(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        return code, *capsys.readouterr()

    return tm


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["-1"], "-1"),
        (["data=-1"], "-1"),
        (["-1.5e3"], "-1500.0"),
        (["--set", "client.timeout=60", "-15", "--group", "managers"], "-15"),
        (["--", "-1"], "-1"),
        (["--", "--url"], '"--url"'),
        (["-.5"], '"-.5"'),
        (["-2006-01-02"], '"-2006-01-02"'),
        (["data=text:5"], '"5"'),
        (['text:[["a"]]'], '"[[\\"a\\"]]"'),
        (["data=text:text:@x"], '"text:@x"'),
        (["data=text:"], '""'),
        (["a:b"], '"a:b"'),
        (["@"], '"@"'),
    ],
)
def test_b5_words_of_a_call(tm, words, answer):
    assert tm("call", "echo", *words) == (0, f"{answer}\n", "")


def test_b5_a_negative_number_is_a_value_for_every_method(tm):
    code, _, err = tm("call", "deleteTasks", "t", "1", "-1")
    assert (code, json.loads(err)["data"]["type"]) == (1, "InvalidParams")
    for words in (["-x"], ["--ulr", "x"], ["-1", "-x"]):
        code, _, err = tm("call", "echo", *words)
        assert (code, "No such option" in err) == (2, True)


def test_b5_values_come_from_files(tm, tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text('["/a"]\n')
    (tmp_path / "body.xml").write_bytes("<é/>\r\n".encode())
    (tmp_path / "latin1").write_bytes(b"\xe9")
    assert tm("call", "echo", f"data=@{tmp_path}/a.json")[1] == '["/a"]\n'
    assert tm("call", "echo", f"data=text@{tmp_path}/a.json")[1] == '"[\\"/a\\"]\\n"\n'
    assert tm("call", "echo", f"@{tmp_path}/body.xml")[1] == '"<é/>\\r\\n"\n'
    assert read_parameters([f"@{tmp_path}/a.json"]) == ["/a"]
    for name, why in (("none", "No such file or directory"), ("latin1", "it is not UTF-8"), ("", "Is a directory")):
        code, _, err = tm("call", "echo", f"data=@{tmp_path}/{name}")
        assert (code, f"Cannot read {tmp_path}/{name}: {why}." in err) == (2, True)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"5")))
    assert read_parameters(["a=text@-", "b=1"]) == {"a": "5", "b": 1}
    with pytest.raises(click.UsageError, match="only once"):
        read_parameters(["a=@-", "b=text@-"])


def test_b5_the_help_tells_how(tm):
    _, out, _ = tm("call", "--help")
    for way in ("text:VALUE", "@FILE", "@-", "text@FILE", "go after --"):
        assert way in out


def error(kind: type[errors.TMError], message: str, **data) -> errors.TMError:
    made = kind(message)
    made.data = data  # as a client has it
    return made


@pytest.mark.parametrize(
    ("failure", "lines"),
    [
        (
            error(errors.NotFound, "Transformation 't' does not exist", what="transformation", request_id="1f"),
            ["Error: Transformation 't' does not exist.", "  (NotFound, code -32004, request 1f)"],
        ),
        (
            error(errors.InvalidParams, "Invalid parameters for m", errors={"a": ["No."], "b": {"0": {"c": ["Hm."]}}}),
            ["Error: Invalid parameters for m.", "  a: No.", "  b.0.c: Hm.", "  (InvalidParams, code -32602)"],
        ),
        (
            error(errors.InvalidParams, "Invalid parameters for m: a: No", errors={"a": ["No."]}),
            ["Error: Invalid parameters for m: a: No.", "  (InvalidParams, code -32602)"],
        ),
        (
            error(errors.MethodNotFound, "No method 'pin'", did_you_mean="ping"),
            ["Error: No method 'pin'.", "  Did you mean ping?", "  (MethodNotFound, code -32601)"],
        ),
        (
            error(errors.Forbidden, "You may not call x", needs=["A", "B"]),
            ["Error: You may not call x.", "  It needs A or B.", "  (Forbidden, code -32003)"],
        ),
        (
            error(errors.Forbidden, "x needs one of: A, B", needs=["A", "B"]),
            ["Error: x needs one of: A, B.", "  (Forbidden, code -32003)"],
        ),
        (
            error(errors.Unauthenticated, "m needs an identity: no credentials", reason="no credentials"),
            ["Error: m needs an identity: no credentials.", "  (Unauthenticated, code -32001)"],
        ),
        (
            error(errors.Conflict, "The name 't' is taken", reason="name taken"),
            ["Error: The name 't' is taken.", "  reason: name taken", "  (Conflict, code -32009)"],
        ),
        (
            error(errors.InvalidState, "No", files={f"/f{n}": "Processed" for n in range(12)}),
            [
                "Error: No.",
                f"  files: {', '.join(f'/f{n}: Processed' for n in range(10))}, … and 2 more",
                "  (InvalidState, code -32010)",
            ],
        ),
        (
            error(errors.NotFound, "No such tasks", missing=[1, 2], what="task"),
            ["Error: No such tasks.", "  missing: 1, 2", "  (NotFound, code -32004)"],
        ),
        (
            error(errors.StorageUnavailable, "The database is busy", retryable=True),
            [
                "Error: The database is busy.",
                "  Nothing was changed; calling again later may help.",
                "  (StorageUnavailable, code -32050)",
            ],
        ),
        (
            error(errors.StorageUnavailable, "Lost", retryable=True, outcome="unknown"),
            [
                "Error: Lost.",
                "  Nobody can tell whether it was done: look before you call again.",
                "  (StorageUnavailable, code -32050)",
            ],
        ),
        (
            error(errors.CatalogError, "no \x1b[31mfile\n"),
            ["Error: no \\x1b[31mfile\\n.", "  (CatalogError, code -32060)"],
        ),
        (error(errors.InternalError, ""), ["Error: The server gave no message.", "  (InternalError, code -32603)"]),
    ],
    ids=lambda value: value.type if isinstance(value, errors.TMError) else "",
)
def test_b5_errors_in_words(failure, lines):
    assert in_words(failure) == lines


def test_b5_a_terminal_shows_words_and_a_program_gets_json(place, tm):
    shown = on_terminal(*place, "call", "pin")
    assert shown.splitlines()[:2] == ["Error: No method 'pin'.", "  Did you mean ping?"]
    (line,) = on_terminal(*place, "call", "--json", "pin").splitlines()
    assert json.loads(line)["data"]["did_you_mean"] == "ping"
    for words in (["call", "pin"], ["call", "--json", "pin"]):
        code, out, err = tm(*words)
        assert (code, out, err.count("\n"), json.loads(err)["code"]) == (1, "", 1, -32601)


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        ("--token", "secret\nx", "the token has a character that no header may have"),
        ("--group", "a\x00b", "the group has a character that no header may have"),
        ("--url", "https://[::1/rpc", "is not the URL of a server"),
        ("--url", "https://host:99999/rpc", "is not the URL of a server"),
        ("--url", "https://:8443/rpc", "is not the URL of a server"),
    ],
)
def test_b5_what_cannot_be_sent_is_no_bug(tm, option, text, sentence):
    code, out, err = tm("call", "ping", option, text)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "secret" not in err
