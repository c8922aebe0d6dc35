"""Authorities and revocation lists, for the chains that the server has to verify itself (RFC 5280, RFC 3820).

OpenSSL verifies what comes in a full handshake. This is for the rest: proxies behind a balancer, resumed sessions, and
connections that were open when their holder was revoked.
"""

import logging
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from ..core.errors import BadCredentials, ConfigurationError, Unavailable
from .changed_files import RELOAD, fingerprint
from .proxy import MALFORMED, PROXY_CERT_INFO, proxy_info

logger = logging.getLogger(__name__)
T = TypeVar("T", bound=x509.ExtensionType)

MAX_DEPTH = 10
_NEVER = datetime.max.replace(tzinfo=UTC)
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_HASHED_CRL = re.compile(r"[0-9a-f]{8}\.r[0-9]+")
_CRL = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_DIGESTS = ("sha256", "sha384", "sha512")
# what is looked at below, and what says nothing about who a client is
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.CERTIFICATE_POLICIES,
    PROXY_CERT_INFO,
}


class Trust:
    """Whom the server trusts.

    :param authorities: PEM file or hashed folder (``server.tls.client_ca``); None trusts nobody.
    :param crl: revocation lists, PEM file or hashed folder (``server.tls.crl``); None does without.
    :raises ConfigurationError: a file cannot be used.
    """

    def __init__(self, authorities: Path | None, crl: Path | None) -> None:
        self._paths = [path for path in (authorities, crl) if path is not None]
        self._authorities_path, self._crl_path = authorities, crl
        self.generation = 0
        self._looked = time.monotonic()
        self._seen: object = None
        self._authorities: list[x509.Certificate] = []
        self._lists: list[x509.CertificateRevocationList] = []
        self._revoked: set[tuple[bytes, int]] = set()
        # in development the authority is made when the server starts, after this
        if all(path.exists() for path in self._paths):
            self._seen = fingerprint(self._paths)
            self._read()

    def refresh(self) -> None:
        """Read the files again if they changed; ``generation`` then goes up."""
        if time.monotonic() - self._looked < RELOAD:
            return
        self._looked = time.monotonic()
        if (seen := fingerprint(self._paths)) != self._seen:
            self._seen = seen
            try:
                self._read()
            except ConfigurationError as error:
                logger.error("Authorities or revocation lists changed, but the old ones stay in use: %s", error)

    def _read(self) -> None:
        try:
            authorities = _authorities(self._authorities_path)
            lists = _lists(self._crl_path)
        except OSError as error:
            raise ConfigurationError(f"{error.filename} cannot be read: {error.strerror}") from None
        self._authorities = authorities
        self._lists = [found for found in lists if self._genuine(found)]
        self._revoked = {(crl.issuer.public_bytes(), entry.serial_number) for crl in self._lists for entry in crl}
        self.generation += 1

    def _genuine(self, crl: x509.CertificateRevocationList) -> bool:
        """Whether a list is signed by the authority it names; true for those of authorities that are not here."""
        issuers = [authority for authority in self._authorities if authority.subject == crl.issuer]
        if not issuers or any(_signed(crl, issuer) for issuer in issuers):
            return True
        logger.warning("A revocation list is not signed by the authority it names: %s", crl.issuer.rfc4514_string())
        return False

    def revoked(self, serials: Iterable[tuple[bytes, int]]) -> bool:
        """Whether one of the certificates, by issuer (DER) and serial number, is in a revocation list."""
        return not self._revoked.isdisjoint(serials)

    def verify(self, chain: Sequence[x509.Certificate], now: datetime) -> list[x509.Certificate]:
        """Return the path from a leaf to a trusted root, which it includes.

        :param chain: the leaf, then certificates to build the path from.
        :raises BadCredentials: there is no such path, or something in it is not as it must be.
        :raises Unavailable: nobody can tell, because a current revocation list is missing.
        """
        try:
            path = self._path(chain)
            _check(path, now)
            if self._crl_path is not None:
                self._check_revocation(path, now)
        except MALFORMED:
            raise BadCredentials("The certificate is malformed") from None
        return path

    def _path(self, chain: Sequence[x509.Certificate]) -> list[x509.Certificate]:
        path = [chain[0]]
        while len(path) <= MAX_DEPTH:
            if (issuer := _issuer(path[-1], self._authorities)) is not None:
                path.append(issuer)
                if issuer.subject == issuer.issuer:
                    return path
                continue
            if (issuer := _issuer(path[-1], [sent for sent in chain[1:MAX_DEPTH] if sent not in path])) is None:
                break
            path.append(issuer)
        raise BadCredentials("The certificate's chain does not lead to a trusted authority")

    def _check_revocation(self, path: Sequence[x509.Certificate], now: datetime) -> None:
        for certificate, issuer in pairwise(path):
            if proxy_info(certificate) is not None:
                continue
            current = [
                crl
                for crl in self._lists
                if crl.issuer == issuer.subject
                and crl.last_update_utc <= now
                and (crl.next_update_utc is None or now < crl.next_update_utc)
                # partial and delta lists are marked so by critical extensions
                and not any(extension.critical for extension in crl.extensions)
                and _signed(crl, issuer)
            ]
            if not current:
                raise Unavailable("There is no current revocation list of the certificate's authority")
            if any(crl.get_revoked_certificate_by_serial_number(certificate.serial_number) for crl in current):
                raise BadCredentials("The certificate is revoked")


def ended_lists(path: Path | None, now: datetime) -> list[str]:
    """Return the names of the authorities whose revocation lists have all ended: their certificates are refused.

    :param path: PEM file or hashed folder.
    :raises ConfigurationError: a list cannot be read.
    """
    newest: dict[str, datetime] = {}
    for crl in _lists(path):
        name, ends = crl.issuer.rfc4514_string(), crl.next_update_utc
        newest[name] = max(newest.get(name, now), _NEVER if ends is None else ends)
    return sorted(name for name, ends in newest.items() if ends <= now)


def _authorities(path: Path | None) -> list[x509.Certificate]:
    found: list[x509.Certificate] = []
    for file in _members(path, _HASHED):
        try:
            found += x509.load_pem_x509_certificates(file.read_bytes())
        except ValueError:
            raise ConfigurationError(f"{file} has no certificates") from None
    return found


def _lists(path: Path | None) -> list[x509.CertificateRevocationList]:
    found: list[x509.CertificateRevocationList] = []
    for file in _members(path, _HASHED_CRL):
        try:
            found += [x509.load_pem_x509_crl(block) for block in _CRL.findall(file.read_bytes())]
        except ValueError:
            raise ConfigurationError(f"{file} has a revocation list that cannot be read") from None
    return found


def _members(path: Path | None, hashed: re.Pattern[str]) -> list[Path]:
    if path is None:
        return []
    if not path.is_dir():
        return [path]
    # links to nothing are common in such folders, and OpenSSL passes over them
    return [item for item in sorted(path.iterdir()) if hashed.fullmatch(item.name) and item.exists()]


def _signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except MALFORMED:
        return False


def _issuer(certificate: x509.Certificate, candidates: Iterable[x509.Certificate]) -> x509.Certificate | None:
    for candidate in candidates:
        if candidate.subject == certificate.issuer:
            try:
                certificate.verify_directly_issued_by(candidate)
            except (InvalidSignature, *MALFORMED):
                continue
            return candidate
    return None


def _check(path: Sequence[x509.Certificate], now: datetime) -> None:
    infos = [proxy_info(certificate) for certificate in path]
    end_entity = infos.index(None)  # the authority has none, or holder() refuses the chain
    for certificate in path:
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise BadCredentials("A certificate of the chain has expired or is not valid yet")
        unknown = [item.oid for item in certificate.extensions if item.critical and item.oid not in _UNDERSTOOD]
        # name constraints are not applied here, so a chain that has some must not pass
        if unknown or _value(certificate, x509.NameConstraints) is not None:
            raise BadCredentials("A certificate of the chain has an extension that is not understood")
    for depth, (certificate, issuer) in enumerate(pairwise(path)):
        _check_strength(certificate)
        info = infos[depth]
        if info is not None:
            _check_proxy(certificate, issuer)
            if info.path_length is not None and info.path_length < depth:
                raise BadCredentials("There are more proxies below a proxy than it allows")
        else:
            _check_authority(issuer, depth - end_entity)
    purposes = _value(path[end_entity], x509.ExtendedKeyUsage)
    if purposes is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        raise BadCredentials("The certificate is not for clients")


def _check_strength(certificate: x509.Certificate) -> None:
    digest = certificate.signature_hash_algorithm  # None for Ed25519 and Ed448
    key = certificate.public_key()
    if (
        (digest is not None and digest.name not in _DIGESTS)
        or (isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < 256)
    ):
        raise BadCredentials("A certificate of the chain has a weak key or signature")


def _check_proxy(proxy: x509.Certificate, issuer: x509.Certificate) -> None:
    """RFC 3820, sections 3.4 and 3.5: named after its issuer, which is no authority, and for nothing but signing."""
    *name, last = proxy.subject.rdns
    usage = _value(issuer, x509.KeyUsage)
    if (
        name != issuer.subject.rdns
        or [attribute.oid for attribute in last] != [x509.NameOID.COMMON_NAME]
        or _is_authority(proxy)
        or _is_authority(issuer)
        or (usage is not None and not usage.digital_signature)
        or _value(proxy, x509.SubjectAlternativeName) is not None
        or _value(proxy, x509.IssuerAlternativeName) is not None
    ):
        raise BadCredentials("A proxy certificate is not as it must be")


def _check_authority(authority: x509.Certificate, below: int) -> None:
    constraints = _value(authority, x509.BasicConstraints)
    usage = _value(authority, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise BadCredentials("A certificate of the chain was issued by one that is no authority")
    if constraints.path_length is not None and constraints.path_length < below:
        raise BadCredentials("There are more authorities below an authority than it allows")


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = _value(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _value(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
