"""Plugins say for which version of the plugin interface they were written."""

import sys
from types import SimpleNamespace

import pytest

from jsonrpc_tm.api import API_VERSION, hookimpl
from jsonrpc_tm.app import load_plugins
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.plugin import version

PLUGIN = "from jsonrpc_tm.api import hookimpl\n{}\n@hookimpl\ndef register_methods(): return ()\n"


@pytest.fixture
def in_a_file(tmp_path):
    """Return a function that loads a file, which makes a statement."""

    def load(statement: str):
        (tmp_path / "mine.py").write_text(PLUGIN.format(statement))
        return load_plugins([tmp_path / "mine.py"], entry_points=False)

    return load


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that loads the same as an installed distribution."""
    folder = tmp_path / "site-packages"
    about = folder / "mine-2.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 2.0\n")
    (about / "entry_points.txt").write_text("[jsonrpc_tm]\nmine = mine\n")
    monkeypatch.syspath_prepend(folder)

    def load(statement: str):
        (folder / "mine.py").write_text(PLUGIN.format(statement))
        monkeypatch.delitem(sys.modules, "mine", raising=False)
        return load_plugins()

    return load


def test_this_servers_version_is_accepted(in_a_file, installed):
    statement = f"JSONRPC_TM_API = {API_VERSION}"
    assert in_a_file(statement).provenance["mine"].kind == "path"
    assert in_a_file("").provenance["mine"].kind == "path"
    assert installed(statement).provenance["mine"].kind == "distribution"


def test_an_object_may_say_it_too():
    class Mine:
        JSONRPC_TM_API = API_VERSION + 1

        @hookimpl
        def register_methods(self):
            return ()

    with pytest.raises(ConfigurationError, match=f"plugin Mine .*written for version {API_VERSION + 1} "):
        load_plugins(extra=[Mine()], entry_points=False)


@pytest.mark.parametrize("wrong", [0, API_VERSION + 1, 99])
def test_another_version_stops_the_start_and_is_named(in_a_file, installed, wrong):
    says = rf"plugin mine \(.*\) was written for version {wrong} of the plugin interface; this server has "
    for load in (in_a_file, installed):
        with pytest.raises(ConfigurationError, match=says):
            load(f"JSONRPC_TM_API = {wrong}")


@pytest.mark.parametrize("wrong", ["'1'", "1.0", "True", "(1,)"])
def test_a_version_is_an_integer(in_a_file, wrong):
    with pytest.raises(ConfigurationError, match=r"mine.*JSONRPC_TM_API must be an integer"):
        in_a_file(f"JSONRPC_TM_API = {wrong}")


def test_a_distribution_must_say_its_version(installed):
    says = r"plugin mine \(mine 2\.0\) does not say .*JSONRPC_TM_API = 1 in its module"
    with pytest.raises(ConfigurationError, match=says):
        installed("")


def test_versions_between_the_oldest_and_the_present_are_kept(monkeypatch):
    monkeypatch.setattr(version, "API_VERSION", 4)
    monkeypatch.setattr(version, "OLDEST", 2)
    for kept in (2, 3, 4):
        version.check_version(SimpleNamespace(JSONRPC_TM_API=kept), "mine", stated=True)
    for wrong in (1, 5):
        with pytest.raises(ConfigurationError, match=rf"version {wrong} .*this server has 2 to 4$"):
            version.check_version(SimpleNamespace(JSONRPC_TM_API=wrong), "mine", stated=True)
