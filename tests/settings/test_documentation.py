"""The sample configuration and the page on settings are complete and current."""

from pathlib import Path

import pytest

from jsonrpc_tm.app import configure
from jsonrpc_tm.settings import Setting
from jsonrpc_tm.settings.document import markdown, shown

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sample():
    return configure(ROOT / "config.yaml")[0]


def test_the_sample_names_every_setting(sample):
    assert [name for name in sample if not sample.origin(name)] == []


def test_the_sample_has_the_defaults(sample):
    changed = {name for name, setting in sample.table.items() if sample[name] != setting.default}
    assert changed == {"registry.users", "registry.groups", "registry.hosts"}


def test_every_group_of_the_sample_exists(sample):
    users = sample["registry.users"].values()
    assert {group for user in users for group in user["groups"]} <= set(sample["registry.groups"])


def test_the_page_is_current(sample):
    made = markdown(sample.table.values())
    assert (ROOT / "docs/settings.md").read_text() == made, "make docs renews it"
    assert all(f"| `{name}` |" in made for name in sample)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("abc", "***"),
        ("mysql://tm:p:w@d@db.example/tm", "mysql://tm:***@db.example/tm"),
        ("sqlite:///tm.db", "sqlite:///tm.db"),
    ],
)
def test_secrets_are_not_shown(value, expected):
    assert shown(Setting("a.b", "text", "", "A text.", secret=True), value) == expected


def test_other_values_are_shown():
    assert shown(Setting("a.b", "texts", [], "Texts."), ["a"]) == ["a"]
