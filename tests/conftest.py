"""Fixtures that other projects have too; no test fails because the machine is busy."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from jsonrpc_tm.http.loops import loop_factory

pytest_plugins = ["jsonrpc_tm.tools.testing.plugin", "jsonrpc_tm.tools.testing.mariadb_fixtures"]

settings.register_profile("patient", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("patient")

HERE = Path(__file__).parent
NOT_QUICK = (
    *("auth", "chaos", "cli", "client", "cluster", "dirac", "docs", "http", "interop", "plugins"),
    *("storage/mysql", "tools/adopt", "tools/demo", "tools/replay", "tools/testing"),
    *("tools/test_harness.py", "tools/test_tokens.py", "plugin/test_manager.py", "rpc/test_body.py"),
    *("test_fuzz.py", "test_operations.py", "test_benchmarks.py", "test_makefile.py", "test_imports.py"),
    *("methods/test_model.py", "methods/test_races.py", "methods/test_round_trips.py"),
    *("storage/test_streams.py", "storage/test_durability.py", "storage/test_method_plans.py"),
    *("storage/test_contract.py", "storage/test_sqlite.py", "storage/test_runner.py", "storage/test_migrate.py"),
    *(
        f"reports/test_{name}.py"
        for name in (
            "audit answers_out browsers callers check_config command_line connections database_down database_files"
            " databases discover exposed_files forwarded handshakes health idle_connections in_flight install lanes"
            " node_client outputs processes production_page reload requests sockets verify"
        ).split()
    ),
)
"""Where sockets, processes, certificates, waiting, much data or many random calls are what is tested."""
SLOW_FIXTURES = {
    "mariadb",
    "mysql_url",
    "one_mysql_url",
    "over_http",
    "in_diracs_wire",
    "on_mariadb",
    "in_a_file",
    "dirac",
}
LOOP = os.environ.get("TM_LOOP", "asyncio")
"""The event loop of tests, and of the servers they start."""
ON_BOTH_LOOPS = (
    *("http/test_entrance.py", "http/test_tls.py"),
    *(f"reports/test_{name}.py" for name in "answers_out handshakes idle_connections in_flight".split()),
)
"""Where it matters what carries a connection."""


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    place = item.path.relative_to(HERE).as_posix() if item.path.is_relative_to(HERE) else ""
    names = ("asyncio", "uvloop") if place in ON_BOTH_LOOPS else (LOOP,)
    return {name: loop_factory({"server.event_loop": name}) for name in names}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only tests that need no network and no MariaDB")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        settings.load_profile("quick")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    place = collection_path.relative_to(HERE).as_posix() if collection_path.is_relative_to(HERE) else ""
    return True if config.getoption("--quick") and place.startswith(NOT_QUICK) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--quick"):
        return
    left_out = [item for item in items if not _quick(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if _quick(item)]


def _quick(item: pytest.Item) -> bool:
    slow = item.get_closest_marker("mariadb") or SLOW_FIXTURES & set(getattr(item, "fixturenames", ()))
    return not slow


@pytest.fixture(autouse=True, scope="session")
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """With --quick a test that opens a connection fails: it belongs to the others."""
    if not request.config.getoption("--quick"):
        yield
        return

    def refuse(self: socket.socket, *_: Any) -> None:
        raise AssertionError("a quick test uses the network")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "bind", "listen"):
            patch.setattr(socket.socket, name, refuse)
        yield
