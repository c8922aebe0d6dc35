"""TLS of a client: authorities, a certificate with its key, and its dates."""

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.errors import ConfigurationError


def tls_context(
    *, cert: str | Path | None = None, key: str | Path | None = None, ca: str | Path | None = None
) -> ssl.SSLContext:
    """Return the TLS context of a client.

    :raises ConfigurationError: a file cannot be read or is not what it should be.
    """
    where: Any = None
    try:
        where = ca
        context = ssl.create_default_context(
            cafile=ca if ca is not None and not Path(ca).is_dir() else None,
            capath=ca if ca is not None and Path(ca).is_dir() else None,
        )
        # on by default from Python 3.13; refuses authorities of many grids
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if cert is not None:
            where = f"{cert} (with key {key})" if key is not None else cert
            context.load_cert_chain(cert, key, password="")  # an encrypted key fails: nobody is there to ask
    except ssl.SSLError as error:
        if where == cert and cert is not None and _lacks_key(Path(cert)):
            raise ConfigurationError(f"{where} has no private key; name the key's file, too") from None
        raise ConfigurationError(f"{where} is no usable PEM file: {error.reason or 'wrong contents'}") from None
    except OSError as error:
        raise ConfigurationError(f"cannot read {where}: {error.strerror}") from None
    if key is not None and cert is None:
        raise ConfigurationError("a key needs its certificate")
    return context


def _lacks_key(certificate: Path) -> bool:
    content = certificate.read_bytes()
    return b"CERTIFICATE-----" in content and b"PRIVATE KEY-----" not in content


def ended(path: str | Path, now: datetime) -> str | None:
    """Return what the dates of a certificate, or of one in its chain, forbid, in words; None for nothing.

    Servers often close the connection without a word when they refuse a certificate.

    :param path: of the certificate, or proxy, PEM.
    :param now: aware.
    """
    try:
        for block in _CERTIFICATE.findall(Path(path).read_text(encoding="ascii", errors="replace")):
            begins, ends = _validity(ssl.PEM_cert_to_DER_cert(block))
            if now >= ends:
                return f"the certificate in {path} expired on {ends:%Y-%m-%d at %H:%M} UTC"
            if now < begins:
                return f"the certificate in {path} is not valid before {begins:%Y-%m-%d, %H:%M} UTC"
    except (OSError, ValueError, IndexError):  # what cannot be read here, OpenSSL has read
        pass
    return None


_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME = 0xA0, 0x17


def _validity(certificate: bytes) -> tuple[datetime, datetime]:
    """Return from when and until when a certificate (DER) is valid: RFC 5280, section 4.1."""
    _, at, _ = _element(certificate, 0)
    _, at, _ = _element(certificate, at)
    # version, serial number, algorithm, issuer; the first may be left out
    for _ in range(4 if certificate[at] == _VERSION else 3):
        _, _, at = _element(certificate, at)
    _, at, _ = _element(certificate, at)
    _, _, second = _element(certificate, at)
    return _time(certificate, at), _time(certificate, second)


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Return tag, begin and end of the content of the DER element at a place."""
    length, begin = data[at + 1], at + 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(data[at + 2 : begin], "big")
    return data[at], begin, begin + length


def _time(data: bytes, at: int) -> datetime:
    tag, begin, end = _element(data, at)
    text = data[begin:end].decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text >= "5" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
