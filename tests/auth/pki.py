"""Certificates, proxies and revocation lists as an attacker or a user would have them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.auth import dn as names
from jsonrpc_tm.auth.proxy import DIRAC_GROUP, INHERIT_ALL, LIMITED, PROXY_CERT_INFO

INDEPENDENT = "1.3.6.1.5.5.7.21.2"
__all__ = ["INDEPENDENT", "INHERIT_ALL", "LIMITED"]


def der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    out = bytearray()
    for number in [40 * first + second, *rest]:
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(number & 0x7F | 0x80)
        out += bytes(reversed(septets))
    return der(6, bytes(out))


@dataclass
class Credential:
    """A certificate with its key and the certificates above it, leaf first."""

    chain: list[x509.Certificate]
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def pem(self) -> str:
        return b"".join(devcerts.pem(item) for item in self.chain).decode()

    def write(self, folder: Path, name: str) -> Path:
        """Write chain and key into one file, as a proxy file has them."""
        path = folder / f"{name}.pem"
        path.write_bytes(self.pem.encode() + devcerts.pem(self.key))
        return path


def user(
    ca: trustme.CA,
    dn: str | x509.Name,
    *,
    begins: datetime | None = None,
    expires: datetime | None = None,
    authority: bool = False,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
) -> Credential:
    """Return a certificate of *ca*'s."""
    subject = names.parse(dn) if isinstance(dn, str) else dn
    certificate, key = devcerts.sign(ca, subject, begins=begins, expires=expires, authority=authority, purpose=purpose)
    return Credential([certificate], key)


def proxy(
    parent: Credential,
    *,
    group: str | None = None,
    policy: str = INHERIT_ALL,
    path_length: int | None = None,
    begins: datetime | None = None,
    expires: datetime | None = None,
    signer: ec.EllipticCurvePrivateKey | None = None,
    subject: x509.Name | None = None,
    info: bytes | None = None,
    groups: bytes | None = None,
    plain: bool = False,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Credential:
    """Return a proxy of *parent*: RFC 3820, section 3.

    :param signer: sign with this key instead of the parent's.
    :param info: the ProxyCertInfo extension's bytes, to make malformed ones.
    :param groups: the DIRAC extension's bytes.
    :param extra: further extensions, each with whether it is critical.
    :param plain: leave the ProxyCertInfo extension out.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    now = datetime.now(UTC)
    name = subject or below(parent.certificate.subject, str(serial % 10**9))
    limit = b"" if path_length is None else der(2, bytes([path_length]))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(parent.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begins or now - timedelta(hours=1))
        .not_valid_after(expires or now + timedelta(hours=12))
    )
    if not plain:
        value = info or der(0x30, limit + der(0x30, oid(policy)))
        builder = builder.add_extension(x509.UnrecognizedExtension(PROXY_CERT_INFO, value), critical=True)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    if group is not None or groups is not None:
        value = groups or der(0x16, (group or "").encode())
        builder = builder.add_extension(x509.UnrecognizedExtension(DIRAC_GROUP, value), critical=False)
    return Credential([builder.sign(signer or parent.key, hashes.SHA256()), *parent.chain], key)


def below(name: x509.Name, *common: str) -> x509.Name:
    """Return *name* with further common names."""
    return x509.Name([*name, *(x509.NameAttribute(x509.NameOID.COMMON_NAME, value) for value in common)])


def crl(
    ca: trustme.CA,
    *revoked: Credential,
    expires: datetime | None = None,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """Return the authority's revocation list, PEM."""
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    key = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now - timedelta(days=2))
        .next_update(expires or now + timedelta(days=7))
    )
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    for credential in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(credential.certificate.serial_number)
            .revocation_date(now - timedelta(hours=1))
            .build()
        )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def subject_hash(ca: trustme.CA) -> str:
    """Return the name under which OpenSSL looks for an authority in a hashed folder (X509_NAME_hash).

    SHA-1 over the attributes in canonical form: UTF-8, lower case, single spaces, without the outer SEQUENCE.
    """
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    canonical = b""
    for attribute in issuer.subject:
        value = " ".join(str(attribute.value).lower().split()).encode()
        canonical += der(0x31, der(0x30, oid(attribute.oid.dotted_string) + der(0x0C, value)))
    return hashlib.sha1(canonical).digest()[3::-1].hex()
