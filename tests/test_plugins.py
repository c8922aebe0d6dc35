"""Finding and loading plugins: drop-ins, provenance, and every mistake named with its culprit."""

from pathlib import Path

import pytest

from jsonrpc_tm.api import Method, hookimpl
from jsonrpc_tm.app import create_service
from jsonrpc_tm.core.errors import ConfigurationError, Forbidden, InvalidParams
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.hookspecs import Hooks
from jsonrpc_tm.plugin.manager import DEFAULT_PLUGINS, Plugins

HELLO = '''
from jsonrpc_tm.api import Method, fields, hookimpl

async def greet(call, name, times):
    """Greet somebody."""
    return f"Hello {name}! " * times

@hookimpl
def register_methods():
    params = {"name": fields.Text(32), "times": fields.PositiveInteger(load_default=1)}
    yield Method("hello.greet", greet, params=params, result="text", rule=("Greeting",))
'''


def service(folder: Path, **overrides: object):
    overrides = {"storage.url": "sqlite://:memory:", "plugins.paths": [str(folder)]} | overrides
    return create_service(None, {}, overrides)


async def test_a_file_in_a_folder_adds_a_method_and_deleting_it_removes_it(tmp_path):
    file = tmp_path / "hello.py"
    file.write_text(HELLO)
    greeter = Identity("alice", "users", ("Greeting",))
    async with service(tmp_path) as server:
        assert await server.call("hello.greet", ["Bob"], greeter) == "Hello Bob! "
        assert server.registry.get("hello.greet").doc == "Greet somebody."
        document = await server.call("rpc.discover")
        assert "hello.greet" in {method["name"] for method in document["methods"]}
        with pytest.raises(InvalidParams):
            await server.call("hello.greet", ["Bob", 0], greeter)
        with pytest.raises(Forbidden):
            await server.call("hello.greet", ["Bob"], Identity("eve", "users"))
    file.unlink()
    async with service(tmp_path) as server:
        assert "hello.greet" not in server.registry


def test_a_folder_gives_files_and_packages_and_leaves_the_rest(tmp_path):
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "_private.py").write_text("1/0")
    (tmp_path / "notes.txt").write_text("not Python")
    package = tmp_path / "bye"
    package.mkdir()
    (package / "__init__.py").write_text("from .words import register_methods")
    (package / "words.py").write_text(HELLO.replace("hello.greet", "bye.greet"))
    found = Plugins([tmp_path], entry_points=False)
    ours = {name: source for name, source in found.provenance.items() if source.kind == "path"}
    assert set(ours) == {"hello", "bye"}
    assert str(ours["hello"]) == f"hello ({tmp_path / 'hello.py'})"
    assert found.hooks_of("hello") == ["register_methods"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("1/0", "broken.* cannot be loaded: ZeroDivisionError"),
        ("import nowhere_to_be_found", "broken.* cannot be loaded: ModuleNotFoundError"),
        ("x = 1", "broken.* implements no hook"),
        ("from jsonrpc_tm.api import hookimpl\n@hookimpl\ndef register_method(): pass", "broken.*register_method"),
        ("from jsonrpc_tm.api import hookimpl\n@hookimpl\ndef register_methods(call): pass", "broken.*call"),
        (
            "from jsonrpc_tm.api import hookimpl\n@hookimpl\ndef register_methods(): 1/0",
            "broken.*register_methods: ZeroDiv",
        ),
    ],
)
def test_a_broken_plugin_stops_the_start_and_is_named(tmp_path, source, says):
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(ConfigurationError, match=says):
        service(tmp_path)


def test_two_providers_of_one_method_are_both_named(tmp_path):
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "again.py").write_text(HELLO)
    with pytest.raises(ConfigurationError, match=r"hello\.greet.*again\.py.*hello\.py"):
        service(tmp_path)


def test_two_plugins_of_one_name_are_both_named(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "hello.py").write_text(HELLO)
    with pytest.raises(ConfigurationError, match=r"two plugins are called hello: .*one.*two"):
        Plugins([tmp_path / "one", tmp_path / "two"], entry_points=False)


def test_two_policies_are_both_named():
    class First:
        @hookimpl
        def register_policy(self):
            yield object()

    class Second(First):
        pass

    with pytest.raises(ConfigurationError, match=r"two plugins replace the policy: First.*Second"):
        create_service(None, {}, {"storage.url": "sqlite://:memory:"}, plugins=[First(), Second()])


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"plugins\.paths: .*nowhere does not exist"):
        service(tmp_path / "nowhere")


def test_disabled_plugins_are_left_out_and_unknown_names_refused(tmp_path):
    (tmp_path / "hello.py").write_text(HELLO)
    assert "hello.greet" not in service(tmp_path, **{"plugins.disable": ["hello"]}).registry
    assert "ping" not in service(tmp_path, **{"plugins.disable": ["jsonrpc_tm.methods.service"]}).registry
    with pytest.raises(ConfigurationError, match=r"plugins\.disable names helo; known are .*hello"):
        service(tmp_path, **{"plugins.disable": ["helo"]})


def test_a_storage_that_nobody_provides_stops_the_start(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no plugin provides the storage 'oracle'"):
        service(tmp_path, **{"storage.url": "oracle://somewhere/db"})


def test_every_default_plugin_is_there_and_shipped_ones_are_inert(tmp_path):
    server = service(tmp_path)
    kinds = {name: source.kind for name, source in server.plugins.provenance.items()}
    assert {name for name, kind in kinds.items() if kind == "default"} == set(DEFAULT_PLUGINS)
    assert kinds["audit_log"] == "shipped"
    assert "audit.tail" not in server.registry
    assert not any("audit" in repr(observer) for observer in server.observers)


def test_servers_share_no_plugin_manager(tmp_path):
    (tmp_path / "hello.py").write_text(HELLO)
    first, second = service(tmp_path), service(tmp_path)
    assert first.registry.get("hello.greet") is not second.registry.get("hello.greet")
    assert first.plugins.manager is not second.plugins.manager


def test_methods_from_hooks_must_fit_their_handlers():
    async def handler(call, wrong):
        """Do."""

    with pytest.raises(TypeError, match=r"the handler takes \['wrong'\], the schema has \[\]"):
        Method("x.y", handler)


def test_every_hook_says_what_it_is_for():
    hooks = [value for name, value in vars(Hooks).items() if name.startswith("register_")]
    assert len(hooks) >= 12
    assert all(hook.__doc__ for hook in hooks)
