"""Plugins that do what only a program may."""

import pytest

from jsonrpc_tm.api import Method, errors, hookimpl, results
from jsonrpc_tm.cli.main import run


@pytest.mark.parametrize("words", [("serve",), ("plugins",), ("settings",), ("db", "current")])
def test_b4_a_plugin_that_ends_the_program_is_named(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("import sys\nsys.exit(0)\n")
    assert run(["--set", "plugins.paths=[mine.py]", *words]) == 2
    why = "cannot be loaded: it ends the program, SystemExit: 0"
    assert capsys.readouterr() == ("", f"Error: plugin mine ({tmp_path}/mine.py) {why}\n")


class Leaving:
    """A plugin with a method that ends the program."""

    @hookimpl
    def register_methods(self):
        async def leave(work):
            raise SystemExit(0)

        yield Method("leaving.now", leave, result=results.TEXT, rule="all")


@pytest.fixture
def tm_plugins():
    return [Leaving()]


async def test_b4_a_method_that_ends_the_program_is_an_internal_error(tm_client):
    client = tm_client("manager")
    with pytest.raises(errors.InternalError):
        await client.call("leaving.now")
    assert await client.call("echo", "still there") == "still there"
