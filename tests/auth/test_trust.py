"""Chains that the server verifies itself, one rule at a time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from jsonrpc_tm.auth import dn as names
from jsonrpc_tm.auth.trust import Trust
from jsonrpc_tm.core.errors import BadCredentials, ConfigurationError, Unavailable

from . import pki

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ALICE = "/DC=org/CN=alice"


@dataclass
class Issued:
    certificate: x509.Certificate
    key: Any

    @property
    def chain(self) -> list[x509.Certificate]:
        return [self.certificate]


_NO_USAGE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


def usage(*purposes: str) -> x509.KeyUsage:
    return x509.KeyUsage(**_NO_USAGE | dict.fromkeys(purposes, True))


def issue(
    subject: str,
    issuer: Issued | None = None,
    *,
    ca: bool | None = None,
    path_length: int | None = None,
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    key: Any = None,
    digest: Any = hashes.SHA256(),
    begins: datetime = NOW - DAY,
    expires: datetime = NOW + DAY,
) -> Issued:
    """Return a certificate; without *issuer* a root."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer is not None else key
    name = names.parse(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer is not None else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(expires)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    return Issued(builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else digest), key)


def revocations(
    issuer: Issued, *serials: int, begins: datetime = NOW - DAY, expires: datetime = NOW + DAY, key: Any = None
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(begins)
        .next_update(expires)
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begins).build()
        builder = builder.add_revoked_certificate(entry)
    made = builder.sign(key or issuer.key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


ROOT = issue("/DC=org/CN=root", ca=True)


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def trust(self, *authorities: Issued, crl: bytes | None = None) -> Trust:
        path = self.folder / "ca.pem"
        content = [a.certificate.public_bytes(serialization.Encoding.PEM) for a in authorities or (ROOT,)]
        path.write_bytes(b"".join(content))
        if crl is None:
            return Trust(path, None)
        (self.folder / "crl.pem").write_bytes(crl)
        return Trust(path, self.folder / "crl.pem")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def refused(trust: Trust, *chain: Issued) -> str:
    with pytest.raises((BadCredentials, Unavailable)) as error:
        trust.verify([item.certificate for item in chain], NOW)
    return error.value.message


def verified(trust: Trust, *chain: Issued) -> list[x509.Certificate]:
    return trust.verify([item.certificate for item in chain], NOW)


def test_path(site: Site) -> None:
    middle = issue("/DC=org/CN=middle", ROOT, ca=True)
    alice = issue(ALICE, middle)
    expected = [alice.certificate, middle.certificate, ROOT.certificate]
    assert verified(site.trust(), alice, middle) == expected
    # whatever else was sent, in whatever order
    assert verified(site.trust(), alice, issue("/CN=noise"), ROOT, middle, alice) == expected
    assert verified(site.trust(ROOT, middle), alice) == expected


def test_path_that_does_not_end(site: Site) -> None:
    message = "The certificate's chain does not lead to a trusted authority"
    stranger = issue("/DC=org/CN=root", ca=True)
    alice = issue(ALICE, stranger)
    assert refused(site.trust(), alice) == message
    assert refused(site.trust(), alice, stranger) == message
    assert refused(site.trust(), alice, stranger, ROOT) == message
    # two authorities that sign each other
    one, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    first = issue("/CN=one", Issued(issue("/CN=two", ca=True).certificate, other), ca=True, key=one)
    second = issue("/CN=two", first, ca=True, key=other)
    assert refused(site.trust(), issue(ALICE, first), first, second) == message
    assert refused(site.trust(first, second), issue(ALICE, first)) == message
    assert refused(Trust(None, None), issue(ALICE, ROOT)) == message


def test_long_paths_are_not_followed(site: Site) -> None:
    chain = [issue("/CN=0", ROOT, ca=True)]
    for number in range(1, 12):
        chain.insert(0, issue(f"/CN={number}", chain[0], ca=True))
    assert verified(site.trust(), *chain[-5:])
    assert "does not lead" in refused(site.trust(), *chain)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ca": None},
        {"ca": False},
        {"ca": True, "extra": ((usage("digital_signature", "crl_sign"), True),)},
    ],
)
def test_issuer_that_is_no_authority(site: Site, wrong: dict[str, Any]) -> None:
    middle = issue("/DC=org/CN=middle", ROOT, **wrong)
    assert refused(site.trust(), issue(ALICE, middle), middle).endswith("issued by one that is no authority")


def test_authority_with_the_right_usage(site: Site) -> None:
    middle = issue("/DC=org/CN=middle", ROOT, ca=True, extra=((usage("key_cert_sign"), True),))
    assert verified(site.trust(), issue(ALICE, middle), middle)


def test_authorities_below_authorities(site: Site) -> None:
    root = issue("/DC=org/CN=short", ca=True, path_length=1)
    first = issue("/CN=first", root, ca=True)
    second = issue("/CN=second", first, ca=True)
    assert verified(site.trust(root), issue(ALICE, first), first)
    assert "more authorities" in refused(site.trust(root), issue(ALICE, second), second, first)
    # proxies are no authorities
    user = issue(ALICE, first)
    alice = pki.Credential([user.certificate], user.key)
    proxy = pki.proxy(pki.proxy(alice, **_dates()), **_dates())
    assert site.trust(root).verify([*proxy.chain, first.certificate], NOW)


def _dates() -> dict[str, datetime]:
    return {"begins": NOW - DAY, "expires": NOW + DAY}


@pytest.mark.parametrize("who", ["leaf", "middle", "root"])
@pytest.mark.parametrize("dates", [(NOW - 2 * DAY, NOW), (NOW + timedelta(seconds=1), NOW + DAY)])
def test_dates_of_every_certificate(site: Site, who: str, dates: tuple[datetime, datetime]) -> None:
    wrong = {"begins": dates[0], "expires": dates[1]}
    root = issue("/CN=r", ca=True, **(wrong if who == "root" else {}))
    middle = issue("/CN=m", root, ca=True, **(wrong if who == "middle" else {}))
    leaf = issue(ALICE, middle, **(wrong if who == "leaf" else {}))
    assert "has expired or is not valid yet" in refused(site.trust(root), leaf, middle)


@pytest.mark.parametrize("who", ["leaf", "middle"])
@pytest.mark.parametrize("critical", [True, False])
def test_extensions_that_are_not_understood(site: Site, who: str, critical: bool) -> None:
    strange = ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), critical),)
    middle = issue("/CN=m", ROOT, ca=True, extra=strange if who == "middle" else ())
    leaf = issue(ALICE, middle, extra=strange if who == "leaf" else ())
    if critical:
        assert "an extension that is not understood" in refused(site.trust(), leaf, middle)
    else:
        assert verified(site.trust(), leaf, middle)


@pytest.mark.parametrize("critical", [True, False])
def test_name_constraints_are_not_overlooked(site: Site, critical: bool) -> None:
    constraints = x509.NameConstraints([x509.DirectoryName(names.parse("/DC=net"))], None)
    middle = issue("/CN=m", ROOT, ca=True, extra=((constraints, critical),))
    assert "an extension that is not understood" in refused(site.trust(), issue(ALICE, middle), middle)


WEAK_RSA = rsa.generate_private_key(65537, 1024)
GOOD_RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("key", "good"),
    [
        (WEAK_RSA, False),
        (GOOD_RSA, True),
        (ec.generate_private_key(ec.SECP224R1()), False),
        (ec.generate_private_key(ec.SECP384R1()), True),
        (ed25519.Ed25519PrivateKey.generate(), True),
    ],
)
@pytest.mark.parametrize("who", ["leaf", "middle"])
def test_strength_of_keys(site: Site, key: Any, good: bool, who: str) -> None:
    middle = issue("/CN=m", ROOT, ca=True, key=key if who == "middle" else None)
    leaf = issue(ALICE, middle, key=key if who == "leaf" else None)
    if good:
        assert verified(site.trust(), leaf, middle)
    else:
        assert "a weak key or signature" in refused(site.trust(), leaf, middle)


@pytest.mark.parametrize(
    ("digest", "good"), [(hashes.SHA224(), False), (hashes.SHA384(), True), (hashes.SHA512(), True)]
)
def test_strength_of_signatures(site: Site, digest: Any, good: bool) -> None:
    leaf = issue(ALICE, ROOT, digest=digest)
    if good:
        assert verified(site.trust(), leaf)
    else:
        assert "a weak key or signature" in refused(site.trust(), leaf)


def test_proxy_of_a_user_who_may_not_sign(site: Site) -> None:
    for purposes, good in ((("key_encipherment",), False), (("digital_signature",), True)):
        user = issue(ALICE, ROOT, extra=((usage(*purposes), True),))
        proxy = pki.proxy(pki.Credential([user.certificate], user.key), **_dates())
        if good:
            assert site.trust().verify(proxy.chain, NOW)
        else:
            with pytest.raises(BadCredentials, match="not as it must be"):
                site.trust().verify(proxy.chain, NOW)


def test_proxy_path_length(site: Site) -> None:
    user = issue(ALICE, ROOT)
    first = pki.proxy(pki.Credential([user.certificate], user.key), path_length=1, **_dates())
    second = pki.proxy(first, **_dates())
    third = pki.proxy(second, **_dates())
    assert site.trust().verify(first.chain, NOW)
    assert site.trust().verify(second.chain, NOW)
    with pytest.raises(BadCredentials, match="more proxies"):
        site.trust().verify(third.chain, NOW)


# revocation


def test_revoked(site: Site) -> None:
    alice, bob = issue(ALICE, ROOT), issue("/CN=bob", ROOT)
    trust = site.trust(crl=revocations(ROOT, alice.certificate.serial_number))
    assert refused(trust, alice) == "The certificate is revoked"
    assert verified(trust, bob)
    assert trust.revoked([(ROOT.certificate.subject.public_bytes(), alice.certificate.serial_number)])
    assert not trust.revoked([(ROOT.certificate.subject.public_bytes(), bob.certificate.serial_number)])
    # the same number of another authority
    assert not trust.revoked([(alice.certificate.subject.public_bytes(), alice.certificate.serial_number)])


def test_list_that_does_not_count(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    alice = issue(ALICE, ROOT)
    stranger = issue("/CN=stranger", ca=True)
    for wrong in (
        revocations(ROOT, expires=NOW),
        revocations(ROOT, begins=NOW + timedelta(hours=1)),
        revocations(stranger),
        b"",
    ):
        assert refused(site.trust(crl=wrong), alice).startswith("There is no current revocation list")
    assert caplog.text == ""
    forged = revocations(ROOT, alice.certificate.serial_number, key=stranger.key)
    trust = site.trust(crl=forged)
    assert refused(trust, alice).startswith("There is no current revocation list")
    assert not trust.revoked([(ROOT.certificate.subject.public_bytes(), alice.certificate.serial_number)])
    assert "not signed by the authority it names" in caplog.text


def test_list_of_an_authority_that_only_the_client_has(site: Site) -> None:
    middle = issue("/CN=m", ROOT, ca=True)
    alice = issue(ALICE, middle)
    serial = alice.certificate.serial_number
    both = revocations(ROOT) + revocations(middle, serial)
    assert refused(site.trust(crl=both), alice, middle) == "The certificate is revoked"
    assert site.trust(crl=both).revoked([(middle.certificate.subject.public_bytes(), serial)])
    forged = revocations(ROOT) + revocations(middle, key=ROOT.key)
    assert refused(site.trust(crl=forged), alice, middle).startswith("There is no current revocation list")


def test_two_lists_of_one_authority(site: Site) -> None:
    alice = issue(ALICE, ROOT)
    lists = revocations(ROOT) + revocations(ROOT, alice.certificate.serial_number)
    assert refused(site.trust(crl=lists), alice) == "The certificate is revoked"


# files


def test_unreadable_files(site: Site) -> None:
    (site.folder / "text").write_text("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
    with pytest.raises(ConfigurationError, match="has no certificates"):
        Trust(site.folder / "text", None)
    with pytest.raises(ConfigurationError, match="revocation list that cannot be read"):
        Trust(None, site.folder / "text")


def test_folder(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsonrpc_tm.auth.trust.RELOAD", 0)
    for name in ("0a1b2c3d.0", "0a1b2c3d.1", "README", "0a1b2c3d.signing_policy", "ca.pem"):
        content = ROOT.certificate.public_bytes(serialization.Encoding.PEM) if name.endswith(".0") else b"text"
        (site.folder / name).write_bytes(content)
    (site.folder / "0a1b2c3d.1").unlink()
    (site.folder / "0a1b2c3d.1").symlink_to("nothing.pem")
    (site.folder / "0a1b2c3d.r0").write_bytes(revocations(ROOT))
    alice = issue(ALICE, ROOT)
    trust = Trust(site.folder, site.folder)
    assert verified(trust, alice)
    (site.folder / "0a1b2c3d.r0").write_bytes(revocations(ROOT, alice.certificate.serial_number))
    trust.refresh()
    assert refused(trust, alice) == "The certificate is revoked"


def test_authority_made_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsonrpc_tm.auth.trust.RELOAD", 0)
    path = site.folder / "later.pem"
    trust = Trust(path, None)
    alice = issue(ALICE, ROOT)
    assert "does not lead" in refused(trust, alice)
    path.write_bytes(ROOT.certificate.public_bytes(serialization.Encoding.PEM))
    generation = trust.generation
    trust.refresh()
    assert verified(trust, alice)
    assert trust.generation > generation
    # gone again: what was read before stays
    path.unlink()
    trust.refresh()
    assert verified(trust, alice)
