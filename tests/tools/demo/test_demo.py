"""The demo: it runs as shown, reads lists of files in every form, and is able to fail."""

import copy
import gzip
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from jsonrpc_tm.tools.demo import files, report
from jsonrpc_tm.tools.demo.count import count
from jsonrpc_tm.tools.demo.production import SIMULATED, Expected, Production


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jsonrpc_tm", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_twice_on_one_database(tmp_path):
    names = tmp_path / "names.tsv.gz"
    with gzip.open(names, "wt") as file:
        file.write("size\tlfn\n" + "".join(f"{number}\t/demo/{number:04d}.root\n" for number in range(203)))
    database = tmp_path / "demo.db"
    for _ in range(2):
        done = run_demo("--storage", f"sqlite:///{database}", "--files", str(names), "--workers", "3")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "all numbers are right" in done.stdout
    with closing(sqlite3.connect(database)) as connection:
        names = connection.execute("SELECT COUNT(DISTINCT TransformationName) FROM Transformations").fetchone()
        assert names == (6,)
        assert connection.execute("SELECT COUNT(*) FROM DataFiles").fetchone() == (203,)


def test_a_demo_that_is_ended_takes_its_server_with_it(tmp_path):
    (tmp_path / "names").write_text("".join(f"/demo/{number:05d}\n" for number in range(5000)))
    command = [sys.executable, "-m", "jsonrpc_tm", "demo", "--files", str(tmp_path / "names")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        first = demo.stdout.readline()
        assert first.startswith("server at https://127.0.0.1:")
        demo.terminate()
        _, said = demo.communicate()
    assert demo.returncode == 128 + signal.SIGTERM, said
    assert "Traceback" not in said
    port = int(re.search(r":([0-9]+)/rpc", first)[1])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--files", "no/such/file"], "Error: cannot read the file names: no/such/file: No such file or directory\n"),
        (["--storage", "oracle://x"], "Error: --storage must be sqlite:///file or mysql://"),
        (["--storage", "sqlite://:memory:"], "Error: --storage must be sqlite:///file or mysql://"),
        (["--storage", "sqlite:////no/such/folder/tm.db"], "Error: the folder of the database, /no/such/folder, does"),
        (["--workers", "0"], "Usage: "),
    ],
)
def test_mistakes_are_sentences(arguments, says):
    done = run_demo(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith(says)
    assert "{" not in done.stderr  # the server's log


class TestFiles:
    def test_a_list_gives_each_name_once_in_its_order(self, tmp_path):
        (tmp_path / "list").write_text("/b\n/a\n\n/b\n /c \n")
        assert files.read(tmp_path / "list") == ["/b", "/a", "/c"]

    def test_a_table_gives_its_column(self, tmp_path):
        (tmp_path / "table.tsv").write_text('lfn\tsize\n/a"quoted\t1\n/b\t2\n')
        assert files.read(tmp_path / "table.tsv") == ['/a"quoted', "/b"]

    def test_nothing_is_refused(self, tmp_path):
        (tmp_path / "empty").write_text("\n\n")
        with pytest.raises(ValueError, match="holds no file names"):
            files.read(tmp_path / "empty")

    def test_the_sample(self):
        names = files.read(None)
        assert len(names) == len(set(names)) == 600


@pytest.fixture
def books():
    """A production of 10 files in 2 tasks, one of which failed and was made again, and what was counted."""
    expected = Expected(10, {1: 5, 2: 5, 3: 5}, {2}, {1: 1, 2: 1, 3: 1})
    counted = {
        1: {
            "files": {"Processed": 10},
            "tasks": {"Done": 2, "Failed": 1},
            "numbers": {"distinct": 3, "highest": 3},
            "retried": {"0": 5, "1": 5},
            "names": {"distinct": 10},
        },
        2: {"tasks": {"Done": sum(SIMULATED)}},
        3: {"files": {"Processed-inherited": 10}},
    }
    return Production(1, 2, 3, expected), counted, copy.deepcopy(counted)


def wrong(checks) -> list[str]:
    return [title for title, number, *found in checks if any(value not in (None, number) for value in found)]


def test_right_books_are_right(books):
    assert wrong(report.checks(*books)) == []


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize(
    ("trans", "kind", "key"), [(1, "files", "Processed"), (1, "tasks", "Failed"), (2, "tasks", "Done")]
)
def test_one_wrong_number_is_seen(books, side, trans, kind, key):
    books[side][trans][kind][key] += 1
    assert len(wrong(report.checks(*books))) == 1


def test_a_task_reported_twice_is_seen(books):
    books[0].expected.taken[1] = 2
    assert wrong(report.checks(*books)) == ["tasks reported once"]


def test_the_independent_count_reads_the_file_itself(tmp_path):
    database = tmp_path / "x.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            "CREATE TABLE DataFiles (FileID, LFN); INSERT INTO DataFiles VALUES (1, '/a'), (2, '/b');"
            "CREATE TABLE TransformationFiles (TransformationID, FileID, Status, ErrorCount);"
            "INSERT INTO TransformationFiles VALUES (7, 1, 'Processed', 0), (7, 2, 'Unused', 1), (8, 1, 'Unused', 0);"
            "CREATE TABLE TransformationTasks (TransformationID, TaskID, ExternalStatus);"
            "INSERT INTO TransformationTasks VALUES (7, 1, 'Done'), (7, 2, 'Done'), (8, 1, 'Failed');"
        )
    assert count(f"sqlite:///{database}", 7) == {
        "files": {"Processed": 1, "Unused": 1},
        "tasks": {"Done": 2},
        "numbers": {"distinct": 2, "highest": 2},
        "retried": {"0": 1, "1": 1},
        "names": {"distinct": 2},
    }
