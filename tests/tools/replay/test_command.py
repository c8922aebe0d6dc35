"""The command ``replay``: what it prints, and its exit codes."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from jsonrpc_tm.tools.replay.commands import replay
from jsonrpc_tm.tools.testing.mariadb import MariaDB

from .samples import IDENTITIES, line, write

WHOAMI = {"username": "alice", "group": "prod", "properties": ["ProductionUser"]}


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(replay, [str(argument) for argument in arguments])


@pytest.fixture
def right(tmp_path: Path) -> Path:
    lines = [
        line(1),
        line(2, method="whoami", params=[], result=WHOAMI, match="subset"),
        line(3, method="whoami", params=[], error={"type": "Unauthenticated"}) | {"as": "nobody"},
        line(4, method="addTransformation", params=["t", "d", "l", "Processing", "P", "Manual", ""], result=1),
        line(5, method="getTransformationParameters", params=[1, "CreationDate"], result="2024-10-15T12:00:00Z"),
    ]
    return write(tmp_path / "right", one=lines, two=lines)


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    return write(tmp_path / "wrong", one=[line(1), line(2, result=3)], two=[line(1, error={"type": "NotFound"})])


@pytest.mark.parametrize("options", [(), ("--http",)])
def test_all_right(right: Path, options: tuple[str, ...]) -> None:
    result = invoke(right, *options)
    assert (result.exit_code, result.output) == (0, "2 scenarios, 10 steps, 0 failed\n")


def test_some_wrong(wrong: Path, tmp_path: Path) -> None:
    result = invoke(wrong, "--junit", tmp_path / "report.xml")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "FAILED one step 2: echo(2) as alice",
        "    result: expected 3, got 2",
        "FAILED two step 1: echo(1) as alice",
        "    expected the error NotFound, got the result 1",
        "2 scenarios, 3 steps, 2 failed",
    ]
    assert len(ElementTree.parse(tmp_path / "report.xml").findall(".//failure")) == 2


def test_verbose_names_every_scenario(right: Path) -> None:
    assert "two: 5 steps, 0 failed" in invoke(right / "two.jsonl", "-v").output


def test_a_file_beside_the_named_database_is_used_and_removed(right: Path, tmp_path: Path) -> None:
    named = tmp_path / "tm.db"
    named.write_bytes(b"not even a database")
    assert invoke(right, "--storage", f"sqlite:///{named}").exit_code == 0
    assert named.read_bytes() == b"not even a database"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["right", "tm.db"]


@pytest.mark.mariadb
def test_databases_beside_the_named_one_are_made_and_dropped(right: Path, mariadb: MariaDB) -> None:
    name = mariadb.create_database()
    mariadb.sql("CREATE TABLE Transformations (a INT); INSERT INTO Transformations VALUES (5)", name)
    before = mariadb.sql("SHOW DATABASES")
    result = invoke(right, "--storage", mariadb.url(name))
    assert (result.exit_code, result.output) == (0, "2 scenarios, 10 steps, 0 failed\n")
    assert mariadb.sql("SHOW DATABASES") == before
    assert mariadb.sql("SELECT * FROM Transformations", name) == "5\n"
    assert mariadb.sql("SHOW TABLES", name) == "Transformations\n"


@pytest.mark.mariadb
def test_without_the_right_to_make_databases_an_empty_one_will_do(right: Path, mariadb: MariaDB) -> None:
    name = mariadb.create_database()
    user = f"u_{name}"
    mariadb.sql(f"CREATE USER {user}@'%'; GRANT ALL ON {name}.* TO {user}@'%'")
    url = mariadb.url(name).replace("//root@", f"//{user}@")
    result = invoke(right, "--storage", url)
    assert (result.exit_code, result.output) == (0, "2 scenarios, 10 steps, 0 failed\n")
    assert mariadb.sql("SHOW TABLES", name) == ""
    mariadb.sql("CREATE TABLE precious (a INT)", name)
    result = invoke(right, "--storage", url)
    assert result.exit_code == 2
    assert "not to be touched" in result.stderr
    assert mariadb.sql("SHOW TABLES", name) == "precious\n"


@pytest.mark.mariadb
def test_a_database_that_is_not_there_is_2(right: Path, mariadb: MariaDB) -> None:
    result = invoke(right, "--storage", mariadb.url("nosuch"))
    assert result.exit_code == 2
    assert "nosuch" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--storage", "nosuch://x/y"),
        ("--storage", "sqlite:////nowhere/at/all.db"),
        ("--url", "http://127.0.0.1:9/rpc"),
        ("--url", "http://127.0.0.1:9/rpc", "--http"),
        ("--ca", "ca.pem"),
        ("--junit", "/nowhere/report.xml"),
    ],
)
def test_what_cannot_be_run_is_2(right: Path, options: tuple[str, ...]) -> None:
    result = invoke(right, *options)
    assert result.exit_code == 2
    assert "failed" not in result.stdout
    assert "Traceback" not in result.stderr


def test_no_scenarios_is_2(tmp_path: Path) -> None:
    result = invoke(tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"cannot replay: no scenario (*.jsonl) in {tmp_path}\n"
    assert invoke().exit_code == 2


def test_a_server_elsewhere_with_its_development_certificates(right: Path, serve: Any) -> None:
    served = serve(right, harness=True)
    result = invoke(right, "--url", served.url, "--dev-certs", served.folder)
    assert (result.exit_code, result.output) == (0, "2 scenarios, 10 steps, 0 failed\n")


def test_the_folder_that_serve_makes_is_found(right: Path, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(right, harness=True)
    monkeypatch.chdir(served.folder.parent)
    assert invoke(right, "--url", served.url).exit_code == 0


def test_a_server_elsewhere_with_credentials_in_the_identities(right: Path, serve: Any) -> None:
    served = serve(right, harness=True)
    entry = {"cert": "../dev-certs/alice.pem", "key": "../dev-certs/alice.key"}
    identities = right / "callers.json"
    identities.write_text(json.dumps(IDENTITIES | {"alice": {**IDENTITIES["alice"], **entry}}))  # type: ignore[dict-item]
    result = invoke(right, "--url", served.url, "--identities", identities, "--ca", served.folder / "ca.pem")
    assert (result.exit_code, result.output) == (0, "2 scenarios, 10 steps, 0 failed\n")


def test_callers_without_credentials_are_named(right: Path, serve: Any) -> None:
    served = serve(right, harness=True)
    result = invoke(right, "--url", served.url, "--ca", served.folder / "ca.pem")
    assert result.exit_code == 2
    assert "no credentials for alice" in result.stderr


def test_a_server_without_harness_is_left_alone(right: Path, serve: Any) -> None:
    served = serve(right, harness=False)
    result = invoke(right, "--url", served.url, "--dev-certs", served.folder)
    assert result.exit_code == 2
    assert "was it started with --harness?" in result.stderr


def test_two_entries_that_contradict_each_other(right: Path) -> None:
    other = {"username": "bob", "group": "prod", "properties": ["NormalUser"]}
    (right / "identities.json").write_text(json.dumps(IDENTITIES | {"bob": other}))
    result = invoke(right)
    assert result.exit_code == 2
    assert "bob says otherwise of its user or group" in result.stderr


def test_another_wire(right: Path) -> None:
    result = invoke(right, "--wire", "dirac")
    assert (result.exit_code, result.output) == (0, "2 scenarios, 10 steps, 0 failed\n")
    result = invoke(right, "--wire", "nosuch")
    assert result.exit_code == 2
    assert "there is no wire 'nosuch'; there are dirac" in result.stderr
