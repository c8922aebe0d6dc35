"""What plugin authors may import: the shipped plugins need nothing else, and everything in it says what it is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from jsonrpc_tm import api

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "plugins").rglob("*.py"))
OTHERS = sys.stdlib_module_names | {"orjson", "aiohttp"}


def imported(source: Path) -> list[ast.Import | ast.ImportFrom]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("source", SHIPPED, ids=[str(path.relative_to(ROOT)) for path in SHIPPED])
def test_shipped_plugins_import_the_api_alone(source):
    for node in imported(source):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = source.parents[node.level - 1]
            assert above != ROOT / "plugins", f"line {node.lineno}: plugins do not know each other"
        elif isinstance(node, ast.ImportFrom) and node.module == "jsonrpc_tm.api":
            assert {alias.name for alias in node.names} <= set(api.__all__), f"line {node.lineno}"
        else:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            foreign = [name for name in names if name.partition(".")[0] not in OTHERS]
            assert not foreign, f"line {node.lineno}: {', '.join(foreign)}"


def test_shipped_plugins_say_their_version():
    plugins = [path for path in SHIPPED if path.parent.name == "plugins" or path.name == "__init__.py"]
    assert len(plugins) >= 3
    for path in plugins:
        assert "\nJSONRPC_TM_API = 1\n" in path.read_text(encoding="utf-8"), path


def test_every_name_is_there():
    assert len(set(api.__all__)) == len(api.__all__) > 50
    for name in api.__all__:
        assert getattr(api, name) is getattr(api, name)
    with pytest.raises(AttributeError, match=r"jsonrpc_tm\.api.*no attribute 'Call'"):
        api.Call  # noqa: B018


def test_type_checkers_and_the_program_see_the_same_names():
    source = Path(api.__file__)
    seen = {alias.asname or alias.name: node for node in imported(source) for alias in node.names}
    outside = {"importlib", "TYPE_CHECKING", "Any"}
    assert set(seen) - outside == set(api.__all__)
    for name, module in api._LATER.items():
        assert seen[name].module == module


def test_what_is_dear_is_loaded_when_it_is_asked_for():
    code = """if 1:
        import sys
        from jsonrpc_tm import api
        dear = ["aiohttp", "click", "jsonrpcserver", "jsonrpc_tm.app", "jsonrpc_tm.client", "jsonrpc_tm.tools"]
        assert not [name for name in dear if name in sys.modules], [name for name in dear if name in sys.modules]
        api.read_body, api.create_service
        assert "aiohttp" in sys.modules and "jsonrpc_tm.app" in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("source", SHIPPED, ids=[str(path.relative_to(ROOT)) for path in SHIPPED])
def test_no_plugin_recognises_an_error_by_its_sentence(source):
    """A message may be handed on, but neither compared nor searched."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        looked_at = {
            ast.Compare: lambda node: [node.left, *node.comparators],
            ast.Attribute: lambda node: [node.value],
            ast.Subscript: lambda node: [node.value],
        }.get(type(node), lambda node: [])(node)
        sentences = [part for part in looked_at if isinstance(part, ast.Attribute) and part.attr == "message"]
        assert not sentences, f"line {node.lineno}"


def test_what_does_not_exist_is_told_by_kind():
    """Wires tell one kind from another by ``data.what``, never by the sentence."""
    raised = [
        (path, node)
        for room in ("catalog", "domain", "methods")
        for path in sorted((ROOT / "jsonrpc_tm" / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NotFound"
    ]
    assert len(raised) > 5
    for path, node in raised:
        assert "what" in {keyword.arg for keyword in node.keywords}, f"{path}:{node.lineno}"
