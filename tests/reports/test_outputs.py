"""Output that cannot be written: closed from the start, on a full disk, or nobody reads it."""

import json
import os
import shlex
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from tests.cli.processes import command, environment


def shell(folder, redirections: str, *words: str) -> tuple[int, bytes]:
    """Run a command with redirections; return the exit code, and what came out of both outputs."""
    script = f"exec {shlex.join(command(*words))} {redirections}"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout


UNWRITABLE = b"standard output cannot be written: "


@pytest.mark.parametrize(
    ("redirections", "words", "expected"),
    [
        (">&-", ["--version"], (4, b"Error: " + UNWRITABLE + b"it is closed.\n")),
        (">/dev/full", ["--version"], (4, b"Error: " + UNWRITABLE + b"No space left on device.\n")),
        ("2>/dev/full", ["--bad"], (2, b"")),
        ("<&- >&- 2>&-", ["--version"], (4, b"")),
    ],
)
def test_b1_a_command_whose_output_cannot_be_written_says_so(tmp_path, redirections, words, expected):
    assert shell(tmp_path, redirections, *words) == expected


def test_b1_a_reader_that_goes_away_is_told_nothing(tmp_path):
    words = command("--help")
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 4)


def test_b1_a_server_serves_without_streams_and_a_call_says_that_it_was_made(tmp_path, unused_tcp_port):
    url = f"http://127.0.0.1:{unused_tcp_port}/rpc"
    options = [
        f"--set=server.port={unused_tcp_port}",
        "--set=server.tls.mode=off",
        "--set=storage.url=sqlite://:memory:",
    ]
    script = f"exec {shlex.join(command(*options, 'serve'))} <&- >&- 2>&-"
    with subprocess.Popen(["sh", "-c", script], cwd=tmp_path, env=environment()) as process:
        try:
            _wait(unused_tcp_port, process)
            # no connection and no file has taken their places
            places = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in (0, 1, 2)]
            assert places == ["/dev/null"] * 3
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert "result" in json.load(answer)
            code, said = shell(tmp_path, ">&-", "call", "ping", "--url", url)
            assert (code, said) == (4, b"Error: ping has been called, but " + UNWRITABLE + b"it is closed.\n")
            code, said = shell(tmp_path, "<&-", "call", "echo", "-", "--url", url)
            assert code == 2
            assert b"Cannot read standard input: Bad file descriptor." in said
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("the server ended")
