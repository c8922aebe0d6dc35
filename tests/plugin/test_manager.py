"""Finding and loading plugins: drop-ins, provenance, and every mistake named with its culprit."""

from pathlib import Path

import pytest

from jsonrpc_tm.api import DefaultPolicy, hookimpl
from jsonrpc_tm.app import DEFAULT_PLUGINS, configure, create_service, load_plugins
from jsonrpc_tm.core.errors import ConfigurationError, Forbidden, InvalidParams
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.hookspecs import Hooks

HELLO = '''
from jsonrpc_tm.api import Method, fields, hookimpl

async def greet(outside, name, times):
    """Greet somebody."""
    return f"Hello {name}! " * times

@hookimpl
def register_methods():
    params = {"name": fields.Text(32), "times": fields.PositiveInteger(load_default=1)}
    yield Method("hello.greet", greet, params=params, rule=("Greeting",))
'''


def service(folder: Path, **overrides: object):
    overrides = {"storage.url": "sqlite://:memory:", "plugins.paths": [str(folder)]} | overrides
    return create_service(None, {}, overrides)


async def test_a_file_in_a_folder_adds_a_method_and_deleting_it_removes_it(tmp_path):
    file = tmp_path / "hello.py"
    file.write_text(HELLO)
    greeter = Identity("alice", "users", ("Greeting",))
    async with service(tmp_path) as server:
        assert await server.call(server.context(greeter), "hello.greet", ["Bob"]) == "Hello Bob! "
        assert server.registry.get("hello.greet").doc == "Greet somebody."
        document = await server.call(server.context(), "rpc.discover")
        assert "hello.greet" in {method["name"] for method in document["methods"]}
        with pytest.raises(InvalidParams):
            await server.call(server.context(greeter), "hello.greet", ["Bob", 0])
        with pytest.raises(Forbidden):
            await server.call(server.context(Identity("eve", "users")), "hello.greet", ["Bob"])
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
    found = load_plugins([tmp_path], entry_points=False)
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
        (
            "from jsonrpc_tm.api import hookimpl\n@hookimpl\ndef register_method(): pass",
            r"broken\.py\): there is no hook register_method \(did you mean register_methods\?\)",
        ),
        (
            "from jsonrpc_tm.api import hookimpl\n@hookimpl\ndef on_start(): pass",
            r"broken\.py\): there is no hook on_start\Z",
        ),
        ("import sys; sys.exit(0)", r"broken\.py\) cannot be loaded: it ends the program, SystemExit: 0\Z"),
        ("raise SystemExit", r"broken\.py\) cannot be loaded: it ends the program, SystemExit: \Z"),
        ("class Odd(BaseException): pass\nraise Odd('x')", r"broken\.py\) cannot be loaded: Odd: x\Z"),
        (
            "from jsonrpc_tm.api import hookimpl\n@hookimpl\ndef register_methods(): raise SystemExit(1)",
            r"broken\.py\), register_methods: it ends the program, SystemExit: 1\Z",
        ),
        ("from jsonrpc_tm.api import hookimpl\n@hookimpl\ndef register_methods(call): pass", "broken.*call"),
        (
            "from jsonrpc_tm.api import hookimpl\n@hookimpl\ndef register_methods(): 1/0",
            "broken.*register_methods: ZeroDiv",
        ),
        (
            "from jsonrpc_tm.api import hookimpl\n@hookimpl\nasync def register_methods(): pass",
            r"broken\.py\), register_methods: hooks are plain functions, not async ones\Z",
        ),
        (
            "from jsonrpc_tm.api import hookimpl\n@hookimpl\ndef register_methods(): return 5",
            r"broken\.py\), register_methods: it returns 5: yield it instead, or return a list\Z",
        ),
        (
            "from jsonrpc_tm.api import DefaultPolicy, hookimpl\n@hookimpl\ndef register_policy(): yield DefaultPolicy",
            r"broken\.py\), register_policy: .* is a class: hand over an object of it, DefaultPolicy\(…\)\Z",
        ),
        (
            "from jsonrpc_tm.api import StatusRule, hookimpl\n@hookimpl\ndef register_status_rule():\n"
            "    yield StatusRule('files', lambda old, new: None)",
            r"broken\.py\) provides a status rule of 'files'; there are transformation, file, task\Z",
        ),
    ],
)
def test_a_broken_plugin_stops_the_start_and_is_named(tmp_path, source, says):
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(ConfigurationError, match=says):
        service(tmp_path)


def test_who_interrupts_the_start_interrupts_it(tmp_path):
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        service(tmp_path)


def test_a_hook_of_a_newer_server_may_be_optional(tmp_path):
    (tmp_path / "hello.py").write_text(HELLO + "\n@hookimpl(optionalhook=True)\ndef register_wonders(): pass\n")
    assert "hello.greet" in service(tmp_path).registry


def test_a_method_declared_wrongly_stops_the_start_and_is_named(tmp_path):
    (tmp_path / "hello.py").write_text(HELLO.replace("name, times)", "who, times)"))
    with pytest.raises(
        ConfigurationError, match=r"hello\.py\), register_methods: TypeError: method hello\.greet: .*who"
    ):
        service(tmp_path)


def test_the_rule_of_a_route_is_checked(tmp_path):
    (tmp_path / "page.py").write_text(
        "from jsonrpc_tm.api import Route, hookimpl\n\nasync def page(request, context): ...\n\n"
        "@hookimpl\ndef register_routes():\n    yield Route('GET', '/page', page, 'everyone')\n"
    )
    with pytest.raises(ConfigurationError, match=r"route /page of page \(.*page\.py\): a rule is all or authenticated"):
        service(tmp_path)


def test_routes_are_collected_with_their_origin(tmp_path):
    (tmp_path / "page.py").write_text(
        "from jsonrpc_tm.api import Route, hookimpl\n\nasync def page(request, context): ...\n\n"
        "@hookimpl\ndef register_routes():\n    yield Route('GET', '/page', page, ('Reading',))\n"
    )
    [(route, origin)] = service(tmp_path).routes
    assert (route.path, route.rule, origin) == ("/page", ("Reading",), f"page ({tmp_path / 'page.py'})")


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
        load_plugins([tmp_path / "one", tmp_path / "two"], entry_points=False)


def test_two_policies_are_both_named():
    class First:
        @hookimpl
        def register_policy(self):
            yield DefaultPolicy()

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
    kinds = {name: source.kind for name, source in load_plugins().provenance.items()}
    assert {name for name, kind in kinds.items() if kind == "default"} == set(DEFAULT_PLUGINS)
    assert kinds["audit_log"] == "shipped"
    assert "audit.tail" not in server.registry
    assert not any("audit" in repr(observer) for observer in server.observers)


def test_servers_share_no_plugin_manager(tmp_path):
    (tmp_path / "hello.py").write_text(HELLO)
    first, second = service(tmp_path), service(tmp_path)
    assert first.registry.get("hello.greet") is not second.registry.get("hello.greet")
    managers = [configure(None, {}, {"plugins.paths": [str(tmp_path)]})[1].manager for _ in range(2)]
    assert managers[0] is not managers[1]


def test_every_hook_says_what_it_is_for():
    hooks = [value for name, value in vars(Hooks).items() if name.startswith("register_")]
    assert len(hooks) >= 12
    assert all(hook.__doc__ for hook in hooks)
