"""Loading scenario files."""

import json
from pathlib import Path

import pytest

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.core.identity import ANONYMOUS
from jsonrpc_tm.tools.replay.scenario import load

from .samples import line, write


def test_a_folder_is_searched_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path, one=[line(1), line(2)])
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "two.jsonl").write_text(json.dumps(line()) + "\n\n")
    one, two = load([tmp_path])
    assert {one.name, two.name} == {"one", "two"}
    assert one.world is two.world


def test_companions_come_from_the_folder_then_its_parent_then_the_options(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    deep = folder / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "x.jsonl").write_text(json.dumps(line()))
    with pytest.raises(ConfigurationError, match=r"no catalog\.json .* --catalog"):
        load([deep])
    with pytest.raises(ConfigurationError, match=r"no identities\.json .* --identities"):
        load([deep], catalog=folder / "catalog.json")
    [scenario] = load([deep], catalog=folder / "catalog.json", identities=folder / "identities.json")
    assert scenario.world.catalog == {"fields": {}, "directories": {}, "files": {}}
    (folder / "b" / "catalog.json").write_text('{"fields": {"near": "int"}}')
    [scenario] = load([deep], catalog=folder / "catalog.json", identities=folder / "identities.json")
    assert scenario.world.catalog == {"fields": {"near": "int"}}


def test_one_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, one=[line()])
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "one.jsonl").rename(tmp_path / "scenarios" / "one.jsonl")
    monkeypatch.chdir(tmp_path / "scenarios")
    [scenario] = load(["one.jsonl"])
    assert [step.number for step in scenario.steps] == [1]


def test_identities_become_callers(tmp_path: Path) -> None:
    [scenario] = load([write(tmp_path, one=[line()])])
    alice = scenario.world.identity("alice")
    assert (alice.username, alice.group, alice.properties) == ("alice", "prod", ("ProductionUser",))
    assert alice.authenticated
    assert scenario.world.identity("nobody") is ANONYMOUS


def test_a_null_catalog_keeps_the_servers_own(tmp_path: Path) -> None:
    write(tmp_path, one=[line()])
    (tmp_path / "catalog.json").write_text("null")
    assert load([tmp_path])[0].world.catalog is None


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ([], "not an object"),
        (line(result=1, error={"type": "NotFound"}), "either result or error"),
        ({k: v for k, v in line().items() if k != "result"}, "either result or error"),
        ({k: v for k, v in line().items() if k != "method"}, "'method' is missing"),
        (line(result=1) | {"as": "mallory"}, "unknown caller 'mallory'"),
        (line(result=1, match="nearly"), "match is one of"),
        (line(result=1, params="x"), "params is a list or an object"),
        (line(result=1, now=5), "now is not a text"),
        (line(result=1, now="noon"), "Invalid isoformat string"),
        (line(result=1, now="0001-01-01T00:00:00+14:00"), "out of range"),
        (line(error={}), "'type' is missing"),
        (line(error={"type": 5}), "type is not a text"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, broken: object, why: str) -> None:
    write(tmp_path, one=[line(), broken])
    with pytest.raises(ConfigurationError, match=rf"one\.jsonl:2: .*{why}"):
        load([tmp_path])


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file or folder"):
        load([tmp_path / "nowhere"])
    with pytest.raises(ConfigurationError, match="no scenario"):
        load([tmp_path])
    write(tmp_path, one=[line()])
    (tmp_path / "catalog.json").write_text("[")
    with pytest.raises(ConfigurationError, match=r"catalog\.json: "):
        load([tmp_path])
    (tmp_path / "catalog.json").write_text("[]")
    with pytest.raises(ConfigurationError, match=r"catalog\.json: not an object"):
        load([tmp_path])
    for wrong in ('{"fields": []}', '{"fields": {"a": "text"}}', '{"files": {"/f": 5}}', '{"paths": {}}'):
        (tmp_path / "catalog.json").write_text(wrong)
        with pytest.raises(ConfigurationError, match=r"catalog\.json: "):
            load([tmp_path])
    (tmp_path / "catalog.json").write_text("{}")
    (tmp_path / "identities.json").write_text('{"alice": {"username": "alice"}}')
    with pytest.raises(ConfigurationError, match=r"identities\.json: alice needs"):
        load([tmp_path])
    for wrong, why in (('"users", "properties": 5', "properties"), ('[], "properties": []', "username, group and DN")):
        (tmp_path / "identities.json").write_text(f'{{"alice": {{"username": "alice", "group": {wrong}}}}}')
        with pytest.raises(ConfigurationError, match=rf"identities\.json: (the )?{why} of alice are"):
            load([tmp_path])
    (tmp_path / "identities.json").write_text('{"a":' * 10000)
    with pytest.raises(ConfigurationError, match=r"identities\.json: maximum recursion depth"):
        load([tmp_path])


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    write(tmp_path, one=[line()])
    (tmp_path / "one.jsonl").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"one\.jsonl: "):
        load([tmp_path])


def test_a_step_without_number_has_that_of_its_line(tmp_path: Path) -> None:
    second = {name: value for name, value in line().items() if name != "step"}
    [scenario] = load([write(tmp_path, one=[line(1), second])])
    assert [step.number for step in scenario.steps] == [1, 2]
