import concurrent.futures
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.auth import dn as names
from jsonrpc_tm.auth.proxy import holder
from jsonrpc_tm.auth.trust import Trust
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.http import tls
from jsonrpc_tm.settings import Settings


def test_folder_and_keys_are_private(tmp_path: Path) -> None:
    folder = devcerts.ensure(tmp_path / "certs", {"alice": "/DC=org/CN=alice"})
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    keys = [path for path in folder.path.iterdir() if path.suffix == ".key"]
    assert {path.name for path in keys} == {"ca.key", "server.key", "alice.key"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


def test_certificate_of_any_dn_for_90_days(tmp_path: Path) -> None:
    dn = "/DC=org/O=Example/OU=host/x/CN=Jane Doé/emailAddress=jane@example.org/UID=jd"
    folder = devcerts.issue(tmp_path / "certs", "jane", dn)
    certificate = x509.load_pem_x509_certificate(folder.certificate("jane").read_bytes())
    assert names.slash_form(certificate.subject) == dn
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_ensure_keeps_what_is_good_and_renews_what_is_not(tmp_path: Path) -> None:
    path = tmp_path / "certs"
    folder = devcerts.ensure(path, {"alice": "/CN=alice", "bob": "/CN=bob"})
    before = {item.name: item.read_bytes() for item in path.iterdir()}
    devcerts.ensure(path, {"alice": "/CN=alice", "bob": "/O=other/CN=bob"})
    changed = {item.name for item in path.iterdir() if item.read_bytes() != before[item.name]}
    assert changed == {"bob.pem", "bob.key"}
    assert folder.ca.read_bytes() == before["ca.pem"]


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigurationError, match=r"thesis\.txt"):
        devcerts.issue(tmp_path, "alice")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("file", ["ca.pem", "ca.key"])
def test_a_damaged_authority_is_named_and_nothing_made(tmp_path: Path, file: str) -> None:
    devcerts.ensure(tmp_path / "certs")
    (tmp_path / "certs" / file).write_text("junk")
    with pytest.raises(ConfigurationError, match=r"ca\.pem and its key are damaged"):
        devcerts.ensure(tmp_path / "certs", {"alice": "/CN=alice"})
    assert not (tmp_path / "certs" / "alice.pem").exists()


def test_a_damaged_certificate_is_made_anew_and_has_no_proxy(tmp_path: Path) -> None:
    folder = devcerts.ensure(tmp_path / "certs", {"alice": "/CN=alice"})
    folder.certificate("alice").write_text("junk")
    with pytest.raises(ConfigurationError, match=r"alice\.pem or its key is damaged"):
        devcerts.issue_proxy(tmp_path / "certs", "alice")
    devcerts.ensure(tmp_path / "certs", {"alice": "/CN=alice"})
    assert devcerts.issue_proxy(tmp_path / "certs", "alice").exists()


@pytest.mark.parametrize("name", ["../alice", "ca", "server", "", ".lock", "a/b"])
def test_names_that_are_no_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="name of a certificate file"):
        devcerts.issue(tmp_path / "certs", name)


def test_development_mode_has_a_certificate_for_every_user(tmp_path: Path) -> None:
    settings = Settings.defaults(server__tls__folder=str(tmp_path / "certs"))
    tls.server_context(settings)
    assert set(devcerts.REGISTRY["users"]) <= {item.stem for item in (tmp_path / "certs").iterdir()}


def test_development_mode_makes_certificates_for_the_configured_users(tmp_path: Path) -> None:
    settings = Settings.defaults(
        server__tls__folder=str(tmp_path / "certs"), registry__users={"zoe": {"dns": ["/DC=org/CN=zoe"]}, "tokens": {}}
    )
    tls.server_context(settings)
    assert {item.stem for item in (tmp_path / "certs").iterdir()} == {".lock", "ca", "server", "zoe"}


def test_development_mode_does_without_certificates_that_cannot_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users = {"Jane Doe": {"dns": ["/CN=jane"]}, "max": {"dns": ["/C=Switzerland/CN=max"]}, "zoe": {"dns": ["/CN=zoe"]}}
    settings = Settings.defaults(server__tls__folder=str(tmp_path / "certs"), registry__users=users)
    tls.server_context(settings)
    assert {item.stem for item in (tmp_path / "certs").iterdir()} == {".lock", "ca", "server", "zoe"}
    assert "no development certificate for Jane Doe" in caplog.text
    assert "no development certificate for max" in caplog.text


def test_several_processes_start_at_once(tmp_path: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: devcerts.ensure(tmp_path / "certs", {"alice": "/CN=alice"}), range(8)))
    contexts = [tls._context(_files(folder), proxies=False) for folder in folders]
    assert len(contexts) == 8


def _files(folder: devcerts.Folder) -> dict[str, Path | None]:
    found = {"certificate": folder.certificate("server"), "key": folder.key("server"), "client_ca": folder.ca}
    return {**found, "crl": None}


@pytest.mark.parametrize("group", [None, "producers"])
@pytest.mark.parametrize("limited", [False, True])
def test_proxy(tmp_path: Path, group: str | None, limited: bool) -> None:
    folder = devcerts.issue(tmp_path / "certs", "alice", "/DC=org/CN=alice")
    path = devcerts.issue_proxy(folder.path, "alice", group, limited=limited)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # what grid tools expect: proxy, key, chain in one file that OpenSSL takes as it is
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path)
    chain = x509.load_pem_x509_certificates(path.read_bytes())
    who = holder(Trust(folder.ca, None).verify(chain, datetime.now(UTC)))
    assert (who.dn, who.group, who.proxy, who.limited) == ("/DC=org/CN=alice", group, True, limited)


def test_proxies_that_cannot_be_made(tmp_path: Path) -> None:
    devcerts.issue(tmp_path / "certs", "alice")
    with pytest.raises(ConfigurationError, match="make the certificate first"):
        devcerts.issue_proxy(tmp_path / "certs", "bob")
    for group in ("", "é", "x" * 101):
        with pytest.raises(ConfigurationError, match="cannot be a DIRAC group"):
            devcerts.issue_proxy(tmp_path / "certs", "alice", group)
