"""The configurations on the page about security are loaded, and its commands run."""

import subprocess
import sys
from pathlib import Path

import pytest
import trustme
import yaml

from jsonrpc_tm import app
from jsonrpc_tm.auth.devcerts import REGISTRY, Folder, issue_proxy
from jsonrpc_tm.client import Client
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.http import tls
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.tools import tokens
from tests.auth import pki

from .blocks import ROOT, blocks

PAGE = "docs/security.md"
CONFIGURATIONS = blocks(PAGE, "yaml")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Put the files there that the configurations name."""
    ca = trustme.CA()
    server = ca.issue_cert("localhost")
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    name = pki.subject_hash(ca)
    (certificates / f"{name}.0").write_bytes(ca.cert_pem.bytes())
    (certificates / f"{name}.r0").write_bytes(pki.crl(ca))
    (tmp_path / "hostcert.pem").write_bytes(server.cert_chain_pems[0].bytes())
    (tmp_path / "hostkey.pem").write_bytes(server.private_key_pem.bytes())
    tokens.issue(tmp_path, "x")
    (tmp_path / "jwks.json").rename(tmp_path / "diracx-keys.json")
    return tmp_path


def _load(machine: Path, text: str) -> app.Service:
    config = machine / "config.yaml"
    config.write_text(text.replace("/etc/grid-security", str(machine)))
    settings, plugins = app.configure(config)
    service = app.build_service(settings, plugins=plugins)
    tls.server_context(settings)
    return service


@pytest.mark.parametrize("number", range(len(CONFIGURATIONS)))
def test_configuration(machine: Path, number: int) -> None:
    service = _load(machine, CONFIGURATIONS[number])
    given = yaml.safe_load(CONFIGURATIONS[number])
    assert set(given) <= {name.split(".")[0] for name in service.settings}


def test_configurations_do_what_the_page_says(machine: Path) -> None:
    by_topic = {key: text for text in CONFIGURATIONS for key in yaml.safe_load(text)}
    assert _load(machine, by_topic["private_reads"]).policy.name == "private_reads"
    assert _load(machine, by_topic["authorization"]).rules["cleanTransformation"] == ("ProductionManagement",)
    users = _load(machine, by_topic["registry"]).users
    assert users.by_dn("/DC=org/DC=example/O=CERN/CN=Jane Doe").groups == ("producers", "managers")
    assert users.by_subject("https://idp.example.org", "jane-0815").name == "jane"
    assert users.by_subject("https://other.example.org", "jane-0815") is None
    assert users.by_dn("/DC=org/DC=example/CN=Max").suspended
    assert users.by_dn("/DC=org/DC=example/CN=host/agents.example.org").properties == ("ProductionManagement",)


def test_what_cannot_be_configured(machine: Path) -> None:
    (text,) = [text for text in CONFIGURATIONS if "ES256" in text]
    for wrong in ("HS256", "none", "RS1"):
        with pytest.raises(ConfigurationError, match="algorithms"):
            _load(machine, text.replace("ES256", wrong))


def test_development_users() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    names = list(REGISTRY["users"])
    assert f"users {', '.join(f'`{name}`' for name in names[:-1])} and `{names[-1]}`" in page


async def test_a_development_proxy_is_accepted(tmp_path: Path) -> None:
    overrides = {"server.port": 0, "storage.url": "sqlite://:memory:", "server.tls.folder": str(tmp_path / "dev-certs")}
    overrides |= {"authentication": [{"x509": {"proxies": True}}]}
    settings, plugins = app.configure(None, {}, overrides)
    context = tls.server_context(settings)
    proxy = issue_proxy(tmp_path / "dev-certs", "alice", "producers")
    service = app.build_service(settings, plugins=plugins)
    with bind("127.0.0.1", 0) as bound:
        async with (
            service,
            listening(service, bound, context) as url,
            Client(url, cert=proxy, ca=tmp_path / "dev-certs" / "ca.pem") as client,
        ):
            who = await client.call("whoami")
    assert (who["username"], who["group"], who["authentication"]) == ("alice", "producers", "proxy")


@pytest.mark.parametrize("command", [line for text in blocks(PAGE, "sh") for line in text.splitlines()])
def test_command(tmp_path: Path, command: str) -> None:
    command = command.replace("jsonrpc-tm ", f"{sys.executable} -m jsonrpc_tm ", 1)
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if " token " in command:
        assert done.stdout.count(".") == 2
        assert (tmp_path / "dev-tokens" / "jwks.json").exists()
    else:
        user = command.split("--user ")[1].split()[0]
        assert Folder(tmp_path / "dev-certs").certificate(user).exists()
        assert (tmp_path / "dev-certs" / f"{user}.proxy.pem").exists() == ("proxy" in command)
