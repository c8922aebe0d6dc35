"""docs/plugins.md: every plugin shown is loaded and does what the page says; every hook is on the page."""

import tomllib

import pytest
import yaml

from jsonrpc_tm.app import create_service
from jsonrpc_tm.core.errors import Forbidden, InvalidState, NotFound
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.hookspecs import Hooks
from jsonrpc_tm.plugin.manager import Plugins

from .blocks import ROOT, blocks, files

PAGE = "docs/plugins.md"
MANAGER = Identity("alice", "production", ("ProductionManagement",))
SHARER = Identity("bob", "others", ("ProductionSharing",))
ADD = ["t", "", "", "Processing", "", "", ""]


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a service with one of the page's plugins."""

    def start(name: str, **settings: object):
        (tmp_path / name).write_text(files(PAGE)[name])
        overrides = {"storage.url": "sqlite://:memory:", "plugins.paths": [str(tmp_path / name)]} | settings
        return create_service(overrides=overrides)

    return start


async def test_the_method_works_as_the_test_on_the_page_says(tmp_path):
    shown = files(PAGE)
    (tmp_path / "stuck.py").write_text(shown["stuck.py"])
    plugin = Plugins([tmp_path], entry_points=False).manager.get_plugin("stuck")
    namespace: dict = {}
    exec(shown["test_stuck.py"], namespace)
    await namespace["test_stuck_files"](plugin)


async def test_settings_listener_and_lifetime(start, capsys):
    async with start("announce.py", **{"announce.enabled": True, "announce.greeting": "hear: "}) as service:
        await service.call("addTransformation", ADD, MANAGER)
    assert capsys.readouterr().out.split("\n") == ["the server starts", "hear: t", "the server ends", ""]


async def test_status_rule(start):
    async with start("final.py") as service:
        await service.call("addTransformation", ADD, MANAGER)
        await service.call("addFilesToTransformation", ["t", ["/a"]], MANAGER)
        await service.call("setFileStatusForTransformation", ["t", {"1": "Processed"}], MANAGER)
        with pytest.raises(InvalidState, match="a processed file stays processed"):
            await service.call("setFileStatusForTransformation", ["t", {"1": "Unused"}], MANAGER)
        assert await service.call("getTransformationStats", ["t"], MANAGER) == {"Processed": 1, "Total": 1}


async def test_policy(start):
    async with start("cautious.py") as service:
        await service.call("addTransformation", ADD, MANAGER)
        with pytest.raises(Forbidden) as refusal:
            await service.call("deleteTransformation", ["t"], MANAGER)
        assert refusal.value.data["needs"] == ["status Archived"]
        with pytest.raises(NotFound):
            await service.call("getTransformation", ["t"], SHARER)
        assert await service.call("getTransformations", [], SHARER) == []
        await service.call("setTransformationParameter", ["t", "Status", "Archived"], MANAGER)
        await service.call("deleteTransformation", ["t"], MANAGER)


def test_every_hook_is_on_the_page_with_its_arguments():
    page = (ROOT / PAGE).read_text()
    for name, hook in vars(Hooks).items():
        if name.startswith("register_"):
            arguments = ", ".join(hook.__code__.co_varnames[1 : hook.__code__.co_argcount])
            assert f"`{name}({arguments})`" in page


def test_the_configuration_and_the_entry_point_are_what_they_are_called():
    assert yaml.safe_load(blocks(PAGE, "yaml")[0]) == {"plugins": {"paths": ["my-plugins"]}}
    assert tomllib.loads(blocks(PAGE, "toml")[0]) == {
        "project": {"entry-points": {"jsonrpc_tm": {"stuck": "my_package.stuck"}}}
    }
