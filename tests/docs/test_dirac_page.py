"""docs/dirac.md: the configuration is loaded, the settings are all there, the commands exist."""

import shlex
import subprocess
import sys

from jsonrpc_tm.app import configure, create_service
from jsonrpc_tm.auth.users import ConfiguredUsers, entries
from jsonrpc_tm.catalog.none import NoCatalog

from .blocks import ROOT, blocks

PAGE = "docs/dirac.md"


def test_the_configuration_is_right(tmp_path):
    (tmp_path / "config.yaml").write_text(blocks(PAGE, "yaml")[0])
    settings, _ = configure(tmp_path / "config.yaml")
    assert settings["dirac_https.enabled"]
    users = ConfiguredUsers(**entries(settings))
    assert users.by_dn("/DC=org/DC=example/CN=Jane Doe").groups == ("dirac_prod", "dirac_user")
    assert "TrustedHost" in users.by_dn("/DC=org/DC=example/CN=agents.example.org").properties


def test_a_site_without_a_catalog_lets_everybody_announce(tmp_path):
    (tmp_path / "config.yaml").write_text(blocks(PAGE, "yaml")[1])
    service = create_service(tmp_path / "config.yaml", overrides={"storage.url": "sqlite://:memory:"})
    assert isinstance(service.catalog, NoCatalog)
    assert service.rules["addFile"] == "authenticated"
    assert service.rules["setMetadata"] == ("ProductionManagement", "FileCatalogManagement")


def test_every_setting_of_the_plugin_is_on_the_page():
    settings, _ = configure()
    page = (ROOT / PAGE).read_text()
    for name in settings:
        if name.startswith("dirac_https."):
            assert f"| `{name}` |" in page


def test_every_command_exists():
    for line in blocks(PAGE, "sh")[0].splitlines():
        program, *words = shlex.split(line)
        assert program == "jsonrpc-tm"
        done = subprocess.run(
            [sys.executable, "-m", "jsonrpc_tm", *words, "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_replaying_through_the_wire_gives_no_failure():
    command = "jsonrpc-tm replay --wire dirac tests/conformance/scenarios"
    assert command in (ROOT / PAGE).read_text().replace("\n", " ")
    words = shlex.split(command)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "jsonrpc_tm", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert done.stdout.splitlines()[-1].endswith(" 0 failed")
    left_out = [line for line in done.stdout.splitlines() if line.startswith("not expressible")]
    assert 0 < len(left_out) < 30
