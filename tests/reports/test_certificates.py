"""The server's certificate: expired, soon to, or not the key's. What stops the start, and what is worth a warning."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.http import reload, tls
from jsonrpc_tm.settings import Settings

from ..auth import pki
from ..http.fakes import make_service

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def make(ca: trustme.CA, tmp_path: Path) -> Make:
    """Give a function that writes a certificate for localhost with its key."""

    def make(ends: datetime, begins: datetime = NOW - 400 * DAY, chain: bytes = b"") -> Path:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        certificate, key = devcerts.sign(
            ca, name, begins=begins, expires=ends, purpose=x509.ExtendedKeyUsageOID.SERVER_AUTH
        )
        (tmp_path / "cert.pem").write_bytes(devcerts.pem(certificate) + chain)
        (tmp_path / "key.pem").write_bytes(devcerts.pem(key))
        return tmp_path

    return make


def settings(folder: Path, **more: Any) -> Settings:
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    return Settings.defaults(
        server__tls__mode="files", server__tls__certificate=certificate, server__tls__key=key, **more
    )


def test_b9_what_cannot_be_shown_stops_the_start(make: Make) -> None:
    folder = make(NOW - timedelta(minutes=1))
    with pytest.raises(ConfigurationError, match=r"server\.tls\.certificate: .*cert\.pem expired on 20..-..-.. at"):
        tls.server_context(settings(folder))
    with pytest.raises(ConfigurationError, match=r"cert\.pem is not valid before .* is this machine's clock right"):
        tls.server_context(settings(make(NOW + 90 * DAY, begins=NOW + DAY)))


def test_b9_a_key_of_another_pair_is_said_in_a_sentence(make: Make) -> None:
    folder = make(NOW + 90 * DAY)
    sentence = r"server\.tls\.key: .*key\.pem is not the key of the certificate .*cert\.pem"
    (folder / "key.pem").write_bytes(trustme.CA().private_key_pem.bytes())
    with pytest.raises(ConfigurationError, match=sentence):
        tls.server_context(settings(folder))
    # of another kind
    rsa_key: Any = rsa.generate_private_key(65537, 2048)
    (folder / "key.pem").write_bytes(devcerts.pem(rsa_key))
    with pytest.raises(ConfigurationError, match=sentence):
        tls.server_context(settings(folder))
    (folder / "key.pem").unlink()
    with pytest.raises(ConfigurationError, match=r"server\.tls\.key: .*key\.pem cannot be used: No such file"):
        tls.server_context(settings(folder))


def test_b9_one_that_ends_soon_is_warned_of(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    def warnings(folder: Path, **more: Any) -> list[str]:
        caplog.clear()
        assert tls.server_context(settings(folder, **more)) is not None
        return [record.message for record in caplog.records if "ends on" in record.message]

    ends = NOW + timedelta(days=12, hours=1)
    (line,) = warnings(make(ends))
    assert line.endswith(f"or one of its chain, ends on {ends:%Y-%m-%d}: 12 day(s)")
    assert warnings(make(ends), server__tls__warn_days=12) == []
    assert warnings(make(ends), server__tls__warn_days=0) == []
    assert warnings(make(NOW + timedelta(days=30, hours=1))) == []
    # an authority of the chain that ends before it
    chain = (make(ends) / "cert.pem").read_bytes()
    assert len(warnings(make(NOW + 90 * DAY, chain=chain))) == 1


async def test_b9_the_log_warns_daily_and_readiness_tells_the_days(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tls.server_context(settings(make(NOW + timedelta(days=12, hours=1))))
    service = make_service()
    reloader = reload.Reloader(service, context)
    now = reload.monotonic()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for days, lines in ((0.9, 0), (1.1, 1), (1.9, 1), (2.2, 2)):
            monkeypatch.setattr(reload, "monotonic", lambda days=days: now + days * 86400)
            reloader.look()
            assert len([record for record in caplog.records if "ends on" in record.message]) == lines
    found = await reloader.certificate_health(service)
    assert (found.status, found.facts) == ("warn", {"days": 12})


async def test_b9_revocation_lists_that_have_ended_are_warned_of(
    make: Make, ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make(NOW + 90 * DAY)
    crl = folder / "crl.pem"
    ca.cert_pem.write_to_path(folder / "ca.pem")
    files = {"server__tls__crl": str(crl), "server__tls__client_ca": str(folder / "ca.pem")}
    old = pki.crl(ca, expires=NOW - timedelta(minutes=1))
    crl.write_bytes(old)
    context = tls.server_context(settings(folder, **files))
    assert "revocation lists have ended, and certificates of these are refused: " in caplog.text
    reloader = reload.Reloader(make_service(), context)
    found = await reloader.certificate_health(make_service())
    assert (found.status, found.text) == ("warn", "1 authorities have no revocation list that has not ended")
    # one of them is enough
    crl.write_bytes(old + pki.crl(ca))
    reloader.look()
    assert (await reloader.certificate_health(make_service())).status == "pass"


async def test_b9_a_renewal_that_has_expired_already_is_refused(make: Make) -> None:
    folder = make(NOW + 90 * DAY)
    context = tls.server_context(settings(folder))
    assert context is not None
    reloader = reload.Reloader(make_service(), context)
    before = context.certificate
    make(NOW - DAY)
    reloader.look()
    assert context.certificate is before
    found = await reloader.certificate_health(make_service())
    assert (found.status, found.facts) == ("warn", {"days": 89})
    assert "cert.pem" not in found.text
    make(NOW + 100.1 * DAY)
    reloader.look()
    assert context.certificate.days(NOW) == 100
    assert (await reloader.certificate_health(make_service())).status == "pass"
