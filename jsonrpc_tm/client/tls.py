"""TLS of a client: authorities, a certificate with its key."""

import ssl
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
