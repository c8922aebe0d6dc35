"""What importing a part of the package loads, and what it leaves alone; each in a Python of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def loaded(program: str) -> set[str]:
    """Return the modules that are loaded after *program*."""
    code = f"{program}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("program", "wanted", "absent"),
    [
        ("import jsonrpc_tm", set(), {"aiohttp", "marshmallow", "pluggy", "yaml", "orjson"}),
        (
            "import jsonrpc_tm.client",
            {"aiohttp", "orjson"},
            {"marshmallow", "pluggy", "yaml", "jsonrpcserver", "aiomysql", "click", "cryptography"},
        ),
        ("import jsonrpc_tm.http.server, jsonrpc_tm.app", {"aiohttp"}, {"rich", "pytest", "jsonrpc_tm.tools"}),
        ("import jsonrpc_tm.cli.serve", {"click"}, {"rich", "pytest", "jsonrpc_tm.tools"}),
        ("from jsonrpc_tm.app import create_service; create_service()", {"pluggy"}, {"rich", "jsonrpc_tm.tools"}),
    ],
)
def test_what_is_loaded(program: str, wanted: set[str], absent: set[str]) -> None:
    modules = loaded(program)
    assert wanted <= modules
    assert not absent & modules


def test_a_command_whose_package_is_missing_says_how_to_get_it() -> None:
    program = "import sys\nsys.modules['rich'] = None\nfrom jsonrpc_tm.cli.main import run\nsys.exit(run(['demo']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "`demo` needs the package rich" in done.stderr
    assert "pip install 'jsonrpc-tm[tools]'" in done.stderr


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "jsonrpc_tm" / "py.typed").exists()
