"""The server's own certificate: whether it can be used now, and for how long yet."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from ..core.errors import ConfigurationError
from .proxy import MALFORMED


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate with its chain.

    :param path: the file, PEM.
    :param ends: when it, or one of its chain, stops being valid (UTC, aware).
    :param names: the host names that it is for, in lower case; ``*.`` stands for any one label.
    """

    path: Path
    ends: datetime
    names: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, now: datetime) -> "ServerCertificate":
        """Return the certificate of a file.

        :param now: UTC, aware.
        :raises ConfigurationError: it is not valid now, or cannot be read.
        """
        try:
            own, *chain = x509.load_pem_x509_certificates(path.read_bytes())
        except OSError as error:
            raise ConfigurationError(f"server.tls.certificate: {path} cannot be used: {error.strerror}") from None
        except MALFORMED:
            raise ConfigurationError(f"server.tls.certificate: {path} cannot be used: it is malformed") from None
        if now >= own.not_valid_after_utc:
            raise ConfigurationError(
                f"server.tls.certificate: {path} expired on {own.not_valid_after_utc:%Y-%m-%d at %H:%M} UTC: no client"
                " would accept it; renew it"
            )
        if now < own.not_valid_before_utc:
            raise ConfigurationError(
                f"server.tls.certificate: {path} is not valid before {own.not_valid_before_utc:%Y-%m-%d, %H:%M} UTC;"
                " is this machine's clock right?"
            )
        return cls(path, min(one.not_valid_after_utc for one in (own, *chain)), _names(own))

    def days(self, now: datetime) -> int:
        """Return the whole days that are left; less than 0 when it has ended."""
        return (self.ends - now).days

    def warning(self, now: datetime, within: int) -> str | None:
        """Return a sentence when less than *within* days are left, else None; 0 never warns."""
        days = self.days(now)
        if not within or days >= within:
            return None
        return f"the server's certificate {self.path}, or one of its chain, ends on {self.ends:%Y-%m-%d}: {days} day(s)"


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *MALFORMED):
        return frozenset()
    return frozenset(name.lower() for name in found.get_values_for_type(x509.DNSName))
