"""Plugins that hand over something else than a hook is for, migrations that fail, and slips in names are named."""

import pytest

from jsonrpc_tm.api import Migration, hookimpl
from jsonrpc_tm.app import build_service, load_plugins
from jsonrpc_tm.cli.main import run
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.hookspecs import Hooks
from jsonrpc_tm.settings import Settings
from jsonrpc_tm.tools.testing import configure

HOOKS = sorted(name for name in vars(Hooks) if name.startswith("register_") and name != "register_commands")
ONE = "from jsonrpc_tm.api import hookimpl\n\n\n@hookimpl\ndef {}():\n    yield 7\n"


@pytest.fixture
def mine(tmp_path):
    """Return a function that writes a plugin with one hook, which hands over a number."""

    def mine(hook: str):
        (tmp_path / "mine.py").write_text(ONE.format(hook))
        return tmp_path / "mine.py"

    return mine


@pytest.mark.parametrize("hook", HOOKS)
def test_e8_what_a_hook_is_not_for_is_refused_with_the_plugins_name(mine, hook):
    file = mine(hook)
    found = load_plugins([file], entry_points=False, shipped=False)
    arguments = {} if Hooks.__dict__[hook].__code__.co_argcount == 1 else {"settings": Settings.defaults()}
    with pytest.raises(ConfigurationError) as refused:
        found.collect(hook, **arguments)
    assert str(refused.value).startswith(f"plugin mine ({file}), {hook}: 7 is no ")


def test_e8_what_is_no_command_is_refused_with_the_plugins_name(mine, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    file = mine("register_commands")
    assert run(["--set", "plugins.paths=[mine.py]", "stuck"]) == 2
    assert capsys.readouterr().err == f"Error: plugin mine ({file}), register_commands: 7 is no click command\n"


def test_e8_an_unknown_hook_gets_a_hint(mine):
    with pytest.raises(ConfigurationError, match=r"mine\.py\): there is no hook register_listner \(did you mean reg"):
        load_plugins([mine("register_listner")])


class Notes:
    """A plugin with a table of its own."""

    statements = ("CREATE TABEL Notes (Id INTEGER)",)
    version = 1

    @hookimpl
    def register_migrations(self):
        yield Migration("notes", self.version, {"sqlite": self.statements, "mysql": self.statements})


async def open_and_close(url: str, plugin: Notes) -> None:
    settings, plugins = configure({"storage.url": url, "storage.migrate": True}, plugins=[plugin])
    async with build_service(settings, plugins=plugins):
        pass


async def test_e8_a_migration_that_fails_says_whose_it_is(tmp_path):
    why = r"migration 1 of notes cannot be applied to sqlite:///.*tm\.db: near \"TABEL\": syntax error"
    with pytest.raises(ConfigurationError, match=why):
        await open_and_close(f"sqlite:///{tmp_path}/tm.db", Notes())
    mended = Notes()
    mended.statements = ("CREATE TABLE Notes (Id INTEGER)",)
    await open_and_close(f"sqlite:///{tmp_path}/tm.db", mended)


@pytest.mark.parametrize(("name", "value"), [("statements", "CREATE TABLE Notes (Id INTEGER)"), ("version", "1")])
def test_e8_a_migration_that_is_none_says_whose_it_is(name, value):
    wrong = Notes()
    setattr(wrong, name, value)
    settings, plugins = configure({}, plugins=[wrong])
    with pytest.raises(ConfigurationError, match=r"^plugin Notes .*, register_migrations: migration 1 of notes:"):
        plugins.collect("register_migrations", settings=settings)


SETTING = """
from jsonrpc_tm.api import Setting, hookimpl


@hookimpl
def register_settings():
    yield Setting("mine.color", "text", "blue", "Which color.")
"""


def test_e8_settings_of_plugins_are_listed(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SETTING)
    assert run(["--set", "plugins.paths=[mine.py]", "settings"]) == 0
    assert 'mine.color = "blue"\n    Which color.\n' in capsys.readouterr().out
    assert run(["--set", "plugins.paths=[mine.py]", "settings", "--markdown"]) == 0
    page = capsys.readouterr().out
    assert "\n## mine\n" in page and "| `mine.color` | text | `blue` | Which color. |" in page
    assert "| `audit_log.enabled` |" in page, "shipped ones too"
