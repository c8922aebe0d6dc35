"""Certificates for development and tests: an authority, a server, users with any DN and their proxies."""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from ..core.errors import ConfigurationError
from . import dn as names
from . import proxy as proxies

DAYS = 90
ORGANISATION = "/O=jsonrpc-tm development"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_RENEW = timedelta(days=7)


def _dn(user: str) -> str:
    return f"{ORGANISATION}/CN={user}"


REGISTRY: dict[str, Mapping[str, Any]] = {
    "users": {
        "admin": {"dns": [_dn("admin")], "subjects": ["admin"], "groups": ["managers", "producers"]},
        "alice": {"dns": [_dn("alice")], "subjects": ["alice"], "groups": ["producers"]},
        "bob": {"dns": [_dn("bob")], "subjects": ["bob"], "groups": ["producers"]},
        "carol": {"dns": [_dn("carol")], "subjects": ["carol"], "groups": ["users"]},
        "visitor": {"dns": [_dn("visitor")], "subjects": ["visitor"], "groups": ["visitors"]},
    },
    "groups": {
        "managers": {"properties": ["ProductionManagement"]},
        "producers": {"properties": ["ProductionSharing"]},
        "users": {"properties": ["ProductionUser"]},
        "visitors": {"properties": []},
    },
    "hosts": {},
}
"""Who may call a server in development mode whose configuration names no users."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of development certificates, PEM. Certificates are ``<name>.pem``, keys ``<name>.key``."""

    path: Path

    @property
    def ca(self) -> Path:
        """The authority's certificate."""
        return self.path / "ca.pem"

    def certificate(self, name: str) -> Path:
        """Return the file of the certificate of a user, or of ``server``."""
        return self.path / f"{name}.pem"

    def key(self, name: str) -> Path:
        """Return the file of the private key that belongs to the certificate."""
        return self.path / f"{name}.key"


def ensure(folder: Path, users: Mapping[str, str] = {}, hosts: Iterable[str] = LOOPBACK) -> Folder:
    """Return the folder, with an authority, a server certificate and a certificate for each user; make what lacks.

    Certificates that end within a week, or are for another DN, are made anew.

    :param users: DN in slash form by user name.
    :param hosts: names and addresses of the server.
    :raises ConfigurationError: the folder holds something else, or cannot be written.
    """
    found = Folder(folder)
    with _writing(folder):
        ca = _authority(found)
        if not found.certificate("server").exists():
            # trustme's certificates last long enough not to be renewed
            server = ca.issue_cert(*hosts, common_name=next(iter(hosts)), organization_name="jsonrpc-tm development")
            _write(found.key("server"), server.private_key_pem.bytes())
            _write(found.certificate("server"), b"".join(blob.bytes() for blob in server.cert_chain_pems))
        for user, dn in users.items():
            if not _still_good(found.certificate(user), dn):
                _issue(ca, found, user, dn)
    return found


def look(folder: Path) -> bool:
    """Return whether the folder has a server's certificate already; nothing is made.

    :raises ConfigurationError: ``ensure`` would refuse the folder.
    """
    found = Folder(folder)
    if folder.exists():
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise ConfigurationError(f"{folder} cannot be written")
        _present(found)
    return found.certificate("server").exists()


def issue(folder: Path, user: str, dn: str | None = None) -> Folder:
    """Make a certificate for *user*, valid for 90 days, from the folder's authority (made when it lacks).

    :param dn: subject in slash form; None for ``/O=jsonrpc-tm development/CN=<user>``.
    :raises ConfigurationError: the name or DN cannot be used, or the folder holds something else.
    """
    found = Folder(folder)
    with _writing(folder):
        _issue(_authority(found), found, user, dn or _dn(user))
    return found


def check(user: str, dn: str | None = None, group: str | None = None) -> None:
    """Refuse what ``issue`` and ``issue_proxy`` would refuse, before anything is made.

    :raises ConfigurationError: the name, the DN or the group cannot be used.
    """
    subject(user, dn or _dn(user))
    if group is not None and not (group.isascii() and 0 < len(group) <= 100):
        raise ConfigurationError(f"{group[:100]!r} cannot be a DIRAC group: 1 to 100 ASCII characters")


def issue_proxy(folder: Path, user: str, group: str | None = None, *, limited: bool = False) -> Path:
    """Make an RFC 3820 proxy of a user's certificate, valid for a day; return its file, as grid tools write it.

    :param group: group for the DIRAC extension; None for none.
    :param limited: make it a limited proxy.
    :raises ConfigurationError: the user has no certificate in the folder, or the group cannot be written.
    """
    found = Folder(folder)
    if not found.certificate(user).exists():
        raise ConfigurationError(f"{found.certificate(user)} does not exist: make the certificate first")
    check(user, group=group)
    try:
        issuer = x509.load_pem_x509_certificate(found.certificate(user).read_bytes())
        issuer_key: Any = serialization.load_pem_private_key(found.key(user).read_bytes(), None)
    except (ValueError, TypeError):
        raise ConfigurationError(f"{found.certificate(user)} or its key is damaged: make them anew") from None
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    now = datetime.now(UTC)
    number = x509.NameAttribute(x509.NameOID.COMMON_NAME, str(serial % 10**10))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([*issuer.subject.rdns, x509.RelativeDistinguishedName([number])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(min(now + timedelta(days=1), issuer.not_valid_after_utc))
    )
    for extension, critical in proxies.extensions(group, limited=limited):
        builder = builder.add_extension(extension, critical)
    made = builder.sign(issuer_key, hashes.SHA256())
    path = folder / f"{user}.proxy.pem"
    with _writing(folder):
        _write(path, pem(made) + pem(key) + pem(issuer))
    return path


def _authority(folder: Folder) -> trustme.CA:
    if (present := _present(folder)) is not None:
        return present
    ca = trustme.CA(organization_name="jsonrpc-tm development")
    _write(folder.key("ca"), ca.private_key_pem.bytes())
    _write(folder.ca, ca.cert_pem.bytes())
    return ca


def _present(folder: Folder) -> trustme.CA | None:
    """Return the authority that is there; None in a folder that is still empty."""
    if folder.ca.exists():
        try:
            return trustme.CA.from_pem(folder.ca.read_bytes(), folder.key("ca").read_bytes())
        except (ValueError, TypeError):
            raise ConfigurationError(
                f"{folder.ca} and its key are damaged: remove the folder to have everything made anew"
            ) from None
    if others := [item.name for item in folder.path.iterdir() if not item.name.startswith(".")]:
        raise ConfigurationError(f"{folder.path} is not a folder of development certificates: it has {others[0]}")
    return None


def _issue(ca: trustme.CA, folder: Folder, user: str, dn: str) -> None:
    certificate, key = sign(ca, subject(user, dn))
    _write(folder.key(user), pem(key))
    _write(folder.certificate(user), pem(certificate))


def subject(user: str, dn: str) -> x509.Name:
    """Return the subject of a user's certificate.

    :raises ConfigurationError: *user* cannot be a file's name, or *dn* not the name in a certificate.
    """
    if not re.fullmatch(r"[\w.@+-]{1,100}", user) or user in ("ca", "server") or user.startswith("."):
        raise ConfigurationError(f"{user!r} cannot be the name of a certificate file")
    return names.parse(dn)


def sign(
    ca: trustme.CA,
    subject: x509.Name,
    *,
    begins: datetime | None = None,
    expires: datetime | None = None,
    authority: bool = False,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a user's certificate, signed by *ca*, and its key.

    :param begins: start of validity; None for yesterday.
    :param expires: end of validity; None for 90 days from now.
    :param authority: whether the certificate may sign others.
    :param purpose: the extended key usage.
    """
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    issuer_key: Any = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or now - timedelta(days=1))
        .not_valid_after(expires or now + timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(_usage(authority), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()), key


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def pem(item: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    """Return a certificate or key as PEM."""
    if isinstance(item, x509.Certificate):
        return item.public_bytes(serialization.Encoding.PEM)
    return item.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _still_good(path: Path, dn: str) -> bool:
    if not path.exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        return False
    lasts = certificate.not_valid_after_utc - datetime.now(UTC) > _RENEW
    return lasts and certificate.subject == names.parse(dn)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make the folder, private, and keep other processes out of it: several workers start at once."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        # after the work, which refuses a folder that is somebody else's
        folder.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read; readers see all of it or the one before."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
