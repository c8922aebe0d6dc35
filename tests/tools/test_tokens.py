"""``jsonrpc-tm token``: a key and tokens for development."""

import json
import stat
from pathlib import Path

import jwt
import pytest
import yaml
from click.testing import CliRunner

from jsonrpc_tm.auth.jwks import ALGORITHMS
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.tools import tokens
from tests.auth.conftest import Site


@pytest.mark.parametrize("options", [[], ["--group", "g", "--property", "P", "--property", "Q"]])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_token_and_configuration_fit(site: Site, options: list[str], algorithm: str) -> None:
    folder = site.folder / "tokens"
    made = CliRunner().invoke(tokens.command, [str(folder), "--user", "alice-sub", "--algorithm", algorithm, *options])
    assert made.exit_code == 0
    authentication = yaml.safe_load(made.stderr)["authentication"]
    authentication[0] = {"x509": {}}
    async with site.server(authentication, server__tls__mode="off") as server:
        who = (await site.ask(server, headers={"Authorization": f"Bearer {made.stdout.strip()}"})).identity
    assert who is not None
    assert who.authenticated
    assert (who.group, who.properties) == (("g", ("P", "Q")) if options else ("prod", ("ProductionManagement",)))


def test_later_tokens_have_the_same_key(tmp_path: Path) -> None:
    first, second = (tokens.issue(tmp_path / "t", "x") for _ in range(2))
    assert first != second
    kids = {jwt.get_unverified_header(text)["kid"] for text in (first, second)}
    assert kids == {key["kid"] for key in json.loads((tmp_path / "t" / "jwks.json").read_text())["keys"]}


def test_key_is_private_and_the_set_is_public(tmp_path: Path) -> None:
    tokens.issue(tmp_path, "x", algorithm="RS256")
    assert stat.S_IMODE((tmp_path / tokens.KEY).stat().st_mode) == 0o600
    (key,) = json.loads((tmp_path / tokens.KEY_SET).read_text())["keys"]
    assert set(key) <= {"kty", "kid", "alg", "use", "key_ops", "n", "e"}


def test_key_of_another_algorithm(tmp_path: Path) -> None:
    tokens.issue(tmp_path, "x")
    with pytest.raises(ConfigurationError, match="not for EdDSA"):
        tokens.issue(tmp_path, "x", algorithm="EdDSA")


def test_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        tokens.issue(tmp_path / "file", "x")


def test_a_damaged_key(tmp_path: Path) -> None:
    (tmp_path / tokens.KEY).write_text("junk")
    with pytest.raises(ConfigurationError, match=r"token\.key is no private key"):
        tokens.issue(tmp_path, "x")


@pytest.mark.parametrize("lifetime", ["0", "-5", "99999999999999"])
def test_a_lifetime_that_is_none(tmp_path: Path, lifetime: str) -> None:
    made = CliRunner().invoke(tokens.command, [str(tmp_path / "t"), "--user", "x", "--lifetime", lifetime])
    assert made.exit_code == 2
    assert not (tmp_path / "t").exists()
