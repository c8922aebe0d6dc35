"""The TLS context: what stops the start, and in which words."""

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.http import tls
from jsonrpc_tm.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ca = trustme.CA()
    server = ca.issue_cert("localhost")
    server.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    server.private_key_pem.write_to_path(tmp_path / "key.pem")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.private_key_pem.write_to_path(tmp_path / "other.pem")
    key = serialization.load_pem_private_key(server.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "encrypted.pem").write_bytes(encrypted)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.pem").write_text("not a certificate")
    return tmp_path


def _context(folder: Path, **files: str) -> object:
    names = {"certificate": "cert.pem", "key": "key.pem", "client_ca": "ca.pem", **files}
    values = {f"server__tls__{name}": str(folder / file) for name, file in names.items() if file}
    return tls.server_context(Settings.defaults(server__tls__mode="files", **values))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"certificate": ""}, r"server\.tls\.certificate, which is not set"),
        ({"certificate": "missing.pem"}, r"server\.tls\.certificate: .*missing\.pem cannot be used: No such file"),
        ({"certificate": "text.pem"}, r"server\.tls\.certificate: .*text\.pem cannot be used"),
        ({"key": "other.pem"}, r"server\.tls\.key: .*other\.pem is not the key of the certificate .*cert"),
        ({"key": "encrypted.pem"}, r"server\.tls\.key: the private key is encrypted"),
        ({"client_ca": "missing.pem"}, r"server\.tls\.client_ca: .*missing\.pem cannot be used: No such file"),
        ({"client_ca": "text.pem"}, r"server\.tls\.client_ca: .*text\.pem cannot be used"),
        ({"client_ca": "empty"}, r"empty cannot be used: it has no files with hashed names"),
        ({"crl": "missing.pem"}, r"server\.tls\.crl: .*missing\.pem cannot be used: No such file"),
        ({"crl": "empty"}, r"empty cannot be used: it has no files with hashed names"),
    ],
)
def test_wrong_files_stop_the_start(folder: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _context(folder, **files)


def test_mode_off_has_no_context() -> None:
    assert tls.server_context(Settings.defaults(server__tls__mode="off")) is None


def test_certificates_that_cannot_count_are_worth_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert _context(folder) is not None
    assert caplog.text == ""
    assert _context(folder, client_ca="") is not None
    assert "clients are not asked for certificates" in caplog.text


def test_renewed_server_certificate_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "RELOAD", 0)
    context = _context(folder)
    assert isinstance(context, tls.ReloadingContext)
    before = context._current
    context.refresh()
    assert context._current is before
    server = trustme.CA().issue_cert("localhost")
    server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    # half of a renewal: the key is still the old one
    context.refresh()
    assert context._current is before
    server.private_key_pem.write_to_path(folder / "key.pem")
    context.refresh()
    assert context._current is not before
