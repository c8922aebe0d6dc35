"""RFC 3820 proxy certificates: what a chain that was verified already says about its holder."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ..core.errors import BadCredentials
from .dn import slash_form

PROXY_CERT_INFO = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14")
DIRAC_GROUP = x509.ObjectIdentifier("1.2.42.42")
INHERIT_ALL = "1.3.6.1.5.5.7.21.1"
LIMITED = "1.3.6.1.4.1.3536.1.1.1.9"

# what `cryptography` raises for a certificate that OpenSSL let through but that is not well-formed
MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class ProxyInfo:
    """The ProxyCertInfo extension.

    :param policy: OID of the policy language.
    :param path_length: how many proxies may follow; None for any number.
    """

    policy: str
    path_length: int | None


@dataclass(frozen=True, slots=True)
class Holder:
    """What a chain says.

    :param dn: subject of the first certificate, seen from the authority, that is no proxy; slash form.
    :param group: DIRAC group of the proxy nearest to it that has one; None without.
    :param proxy: whether the chain ends in a proxy.
    :param limited: whether any proxy of it is limited.
    :param begins: when the last of the certificates becomes valid (UTC).
    :param expires: when the first of them ends (UTC).
    :param serials: issuer (DER) and serial number of every certificate that is no proxy.
    """

    dn: str
    group: str | None
    proxy: bool
    limited: bool
    begins: datetime
    expires: datetime
    serials: frozenset[tuple[bytes, int]]


def holder(chain: Sequence[x509.Certificate]) -> Holder:
    """Return what a verified chain says about its holder.

    :param chain: leaf first; every signature in it was checked.
    :raises BadCredentials: a proxy has another policy than inheritAll or limited, or a certificate is malformed.
    """
    try:
        return _holder(chain)
    except MALFORMED:
        raise BadCredentials("The certificate is malformed") from None


def _holder(chain: Sequence[x509.Certificate]) -> Holder:
    infos = [proxy_info(certificate) for certificate in chain]
    # seen from the authority: the end entity is below the last certificate that is no proxy, above the first proxy
    proxies = next((place for place, info in enumerate(infos) if info is None), len(infos))
    if proxies == len(infos) or any(infos[proxies:]):
        raise BadCredentials("The certificate chain is not a user's certificate with proxies below it")
    policies = {info.policy for info in infos if info is not None}
    if policies - {INHERIT_ALL, LIMITED}:
        raise BadCredentials("The proxy certificate does not inherit its issuer's rights")
    groups = (dirac_group(certificate) for certificate in reversed(chain[:proxies]))
    return Holder(
        dn=slash_form(chain[proxies].subject),
        group=next((group for group in groups if group is not None), None),
        proxy=proxies > 0,
        limited=LIMITED in policies,
        begins=max(certificate.not_valid_before_utc for certificate in chain),
        expires=min(certificate.not_valid_after_utc for certificate in chain),
        serials=frozenset((c.issuer.public_bytes(), c.serial_number) for c in chain[proxies:]),
    )


def proxy_info(certificate: x509.Certificate) -> ProxyInfo | None:
    """Return the ProxyCertInfo extension; None when the certificate is no proxy.

    :raises ValueError: the extension is malformed.
    """
    value = _extension(certificate, PROXY_CERT_INFO)
    if value is None:
        return None
    # ProxyCertInfo ::= SEQUENCE { pCPathLenConstraint INTEGER OPTIONAL, proxyPolicy ProxyPolicy }
    # ProxyPolicy ::= SEQUENCE { policyLanguage OBJECT IDENTIFIER, policy OCTET STRING OPTIONAL }
    content, rest = _der(value, 0x30)
    length = None
    if content[:1] == b"\x02":
        number, content = _der(content, 0x02)
        length = int.from_bytes(number, signed=True)
    policy, after = _der(content, 0x30)
    language, _ = _der(policy, 0x06)
    if rest or after or (length is not None and length < 0):
        raise ValueError("malformed ProxyCertInfo")
    return ProxyInfo(_oid(language), length)


def dirac_group(certificate: x509.Certificate) -> str | None:
    """Return the group in the DIRAC extension (DER IA5String); None without one.

    :raises ValueError: the extension is malformed.
    """
    value = _extension(certificate, DIRAC_GROUP)
    if value is None:
        return None
    text, rest = _der(value, 0x16)
    if rest or not text:
        raise ValueError("malformed DIRAC group")
    return text.decode("ascii")


def extensions(group: str | None, *, limited: bool) -> list[tuple[x509.ExtensionType, bool]]:
    """Return the extensions that make a certificate a proxy, each with whether it is critical.

    :param group: DIRAC group, ASCII, at most 100 characters; None for none.
    """
    # the OIDs' content: 1.3.6.1.4.1.3536.1.1.1.9 and 1.3.6.1.5.5.7.21.1
    policy = bytes.fromhex("2b060104019b5001010109" if limited else "2b06010505071501")
    info = _encode(0x30, _encode(0x30, _encode(0x06, policy)))
    made: list[tuple[x509.ExtensionType, bool]] = [(x509.UnrecognizedExtension(PROXY_CERT_INFO, info), True)]
    if group is not None:
        made.append((x509.UnrecognizedExtension(DIRAC_GROUP, _encode(0x16, group.encode("ascii"))), False))
    return made


def _encode(tag: int, content: bytes) -> bytes:
    assert len(content) < 128  # the short form of the length
    return bytes([tag, len(content)]) + content


def _extension(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> bytes | None:
    for extension in certificate.extensions:
        if extension.oid == oid:
            assert isinstance(extension.value, x509.UnrecognizedExtension)
            return extension.value.value
    return None


def _der(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the content of the DER element that *data* starts with, and what follows it."""
    if len(data) < 2 or data[0] != tag:
        raise ValueError("unexpected DER element")
    size, start = data[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start])
    if start > 6 or start + size > len(data):
        raise ValueError("DER element too long")
    return data[start : start + size], data[start + size :]


def _oid(content: bytes) -> str:
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    if not numbers or content[-1] & 0x80:
        raise ValueError("malformed object identifier")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))
