"""docs/catalog.md: the commands print what is shown, the plugin keeps the contract, the queries mean what they say."""

import json
import shlex
import subprocess
import sys

import pytest
import yaml

from jsonrpc_tm.app import create_service
from jsonrpc_tm.catalog.base import Catalog
from jsonrpc_tm.core.errors import CatalogError, ConfigurationError
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.matching import query as metaquery
from jsonrpc_tm.methods import catalog_admin
from tests.cli.processes import ROOT, environment, server

from .blocks import blocks, files
from .console import check, steps

PAGE = "docs/catalog.md"
MANAGER = Identity("alice", "production", frozenset({"ProductionManagement"}))


def test_the_commands_print_what_is_shown(tmp_path, monkeypatch, capsys):
    with server(tmp_path, environment()) as url:
        env = environment(JSONRPC_TM__CLIENT__URL=url)
        for command, expected in steps(blocks(PAGE, "console")):
            check(command, expected, tmp_path, env, monkeypatch, capsys)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the page's plugin, its test and its configuration."""
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "config.yaml").write_text(blocks(PAGE, "yaml")[0])
    content = {"fields": {"n": "int"}, "directories": {"/": {}}, "files": {"/a": {"n": 1}, "/b": {"n": 2}}}
    (tmp_path / "files.json").write_text(json.dumps(content))
    return tmp_path


async def test_the_plugin_serves(folder):
    async with create_service(folder / "config.yaml", overrides={"storage.url": "sqlite://:memory:"}) as service:
        assert await service.call(service.context(MANAGER), "catalog.find", [{"n": {">": 1}}]) == ["/b"]
        assert await service.call(service.context(MANAGER), "addDirectory", ["/"]) == {
            "Added": 0,
            "Successful": ["/a", "/b"],
            "Failed": [],
        }
        with pytest.raises(CatalogError, match="not the built-in one"):
            await service.call(service.context(MANAGER), "catalog.addFields", [{"n": "int"}])
        (folder / "files.json").write_text("{")
        with pytest.raises(CatalogError, match=r"files\.json cannot be read"):
            await service.call(service.context(MANAGER), "addFile", ["/a"])


def test_the_plugin_checks_its_options(folder):
    with pytest.raises(ConfigurationError, match="needs the option file"):
        create_service(folder / "config.yaml", overrides={"catalog": "dump"})


def test_the_built_in_catalog_has_no_options():
    with pytest.raises(ConfigurationError, match="no option file"):
        create_service(overrides={"catalog": {"name": "builtin", "file": "x"}})


async def test_without_a_catalog_announcements_are_believed(tmp_path):
    (tmp_path / "config.yaml").write_text(blocks(PAGE, "yaml")[1])
    async with create_service(tmp_path / "config.yaml", overrides={"storage.url": "sqlite://:memory:"}) as service:

        async def call(method, params):
            return await service.call(service.context(MANAGER), method, params)

        names = dict.fromkeys(("description", "longDescription", "transType", "plugin", "agentType", "fileMask"), "x")
        for site in "AB":
            await call("addTransformation", {"transName": site, **names, "inputMetaQuery": {"Site": site}})
        announce, change = (shlex.split(line) for line in blocks(PAGE, "sh")[0].splitlines())
        assert await call(announce[2], json.loads(announce[3])) == {"Successful": {"/vo/7/x.dat": True}, "Failed": {}}
        assert (await call("getTransformationStats", ["B"]))["Total"] == 0
        await call(change[2], [change[3], json.loads(change[4])])
        assert (await call("getTransformationStats", ["B"]))["Total"] == 1


def test_the_plugin_keeps_the_contract(folder):
    words = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", "--rootdir=."]
    words.append("test_dump_catalog.py")
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout


def test_the_queries_shown_are_queries():
    text = (ROOT / PAGE).read_text()
    table = text[text.index("## Meta queries") : text.index("## The built-in catalog")]
    shown = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `{")]
    assert len(shown) == 5
    expected = {"zenith": 20, "site": "x"}
    for line in shown:
        query = metaquery.validate(json.loads(line))
        assert metaquery.matches(query, expected, {"zenith": "int"}) is ("Missing" not in line)


def test_everything_is_on_the_page():
    text = (ROOT / PAGE).read_text()
    for method in catalog_admin.register_methods():
        assert f"`{method.name}(" in text
    for operator in metaquery.OPERATORS:
        assert f"`{operator}`" in text
    plugin = files(PAGE)["dump_catalog.py"]
    for name in vars(Catalog):
        if not name.startswith("_"):
            assert f"async def {name}(" in plugin
    assert yaml.safe_load(blocks(PAGE, "yaml")[0])["catalog"]["name"] == "dump"
