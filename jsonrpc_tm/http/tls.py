"""The server's TLS context: client certificates asked for but not insisted on, files read again when they change."""

import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from ..auth import devcerts, trust, users
from ..auth.changed_files import RELOAD, fingerprint
from ..auth.server_certificate import ServerCertificate
from ..core.errors import ConfigurationError
from ..core.problems import Problems
from ..settings import Settings
from .entrance import ARRIVING, EntranceContext

logger = logging.getLogger(__name__)


def server_context(settings: Settings) -> "ReloadingContext | None":
    """Return the context that the settings below ``server.tls`` describe; None for mode ``off``.

    Mode ``dev`` makes what lacks in its folder: an authority, the server's certificate, and a certificate for each
    user of the registry that has a DN. A certificate that ends soon is worth a warning in the log.

    :raises ConfigurationError: a file is missing or unusable, the certificate has expired, or the key is another's.
    """
    mode = settings["server.tls.mode"]
    if mode == "off":
        return None
    if mode == "dev":
        development(settings)
    files = _files(settings)
    if files["client_ca"] is None and any("x509" in entry for entry in settings["authentication"]):
        logger.warning("server.tls.client_ca is not set: clients are not asked for certificates")
    proxies = any(entry.get("x509", {}).get("proxies") for entry in settings["authentication"])
    paths = [path for path in files.values() if path is not None]
    context = ReloadingContext.of(lambda: _context(files, proxies=proxies), paths)
    context.warn_days, context.crl = settings["server.tls.warn_days"], files["crl"]
    context.warn()
    return context


def check(settings: Settings) -> None:
    """Refuse what ``server_context`` would refuse; nothing is made.

    :raises ConfigurationError: as there; the message has a line for each problem.
    """
    mode = settings["server.tls.mode"]
    if mode == "dev" and not devcerts.look(settings.folder / settings["server.tls.folder"]):
        return  # they will be made
    if mode != "off":
        _context(_files(settings), proxies=False)


def development(settings: Settings) -> devcerts.Folder:
    """Return the folder of mode ``dev``, complete (see ``server_context``)."""
    registry = users.entries(settings)
    wanted = {}
    for name, entry in {**registry["users"], **registry["hosts"]}.items():
        if entry["dns"]:
            try:
                devcerts.subject(name, entry["dns"][0])
            except ConfigurationError as error:
                logger.warning("no development certificate for %s: %s", name, error)
            else:
                wanted[name] = entry["dns"][0]
    host = settings["server.host"]
    hosts = devcerts.LOOPBACK if host in (*devcerts.LOOPBACK, "0.0.0.0", "::") else (*devcerts.LOOPBACK, host)
    return devcerts.ensure(settings.folder / settings["server.tls.folder"], wanted, hosts)


def _files(settings: Settings) -> dict[str, Path | None]:
    found = {name: settings.path(f"server.tls.{name}") for name in ("certificate", "key", "client_ca", "crl")}
    if settings["server.tls.mode"] == "dev":
        folder = devcerts.Folder(settings.folder / settings["server.tls.folder"])
        found |= {"certificate": folder.certificate("server"), "key": folder.key("server"), "client_ca": folder.ca}
    return found


class ServerContext(EntranceContext):
    """A context and the certificate that it shows."""

    certificate: ServerCertificate


def _context(files: Mapping[str, Path | None], *, proxies: bool) -> ServerContext:
    # not ssl.create_default_context: its flags differ between Python versions (X509_STRICT refuses most proxies)
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # a resumed session has no verified chain: let there be as few as possible
    context.options |= ssl.OP_NO_TICKET
    # what a connection's certificate says is read once
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.sslobject_class = LoggedConnection
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    problems = Problems()

    def load(name: str, use: Callable[[Path], object]) -> bool:
        return problems.attempt(lambda: _load(name, files[name], use), False)

    if files["certificate"] is None:
        problems.note("server.tls.mode: files needs server.tls.certificate, which is not set")
    elif files["key"] is None or load("key", Path.read_bytes):
        load("certificate", lambda path: _show(context, path, files["key"]))
    else:
        load("certificate", lambda path: ServerCertificate.read(path, datetime.now(UTC)))
    if files["client_ca"] is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        load("client_ca", lambda path: _trust(context, path))
        if proxies:
            context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    if files["crl"] is not None:
        # CHAIN, not LEAF: the leaf may be the proxy of a revoked user
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        load("crl", lambda path: _trust(context, path))
    problems.tell()
    return context


# of another pair, and of another kind
_OTHER_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


def _show(context: ServerContext, certificate: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(certificate, key, _no_password)
    except ssl.SSLError as error:
        if error.reason in _OTHER_KEY:
            raise ConfigurationError(
                f"server.tls.key: {key or certificate} is not the key of the certificate {certificate}"
            ) from None
        raise
    context.certificate = ServerCertificate.read(certificate, datetime.now(UTC))


def _no_password() -> str:
    # OpenSSL would ask on the terminal
    raise ConfigurationError("server.tls.key: the private key is encrypted; the server needs it without a password")


def _trust(context: ssl.SSLContext, path: Path) -> None:
    if path.is_dir():
        if not any(re.fullmatch(r"[0-9a-f]{8}\.r?[0-9]+", item.name) for item in path.iterdir()):
            raise OSError(0, "it has no files with hashed names; `openssl rehash` makes them")
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


def _load(name: str, path: Path | None, use: Callable[[Path], object]) -> bool:
    assert path is not None
    try:
        use(path)
        return True
    except (OSError, ssl.SSLError) as error:
        reason = (error.reason or "it is no PEM file") if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"server.tls.{name}: {path} cannot be used: {reason}") from None


class ReloadingContext(EntranceContext):
    """A context whose connections use a newer one when files have changed: OpenSSL never reads a CRL twice.

    Connections that are open stay as they are; ``auth.x509`` looks at revocation again at every request.
    """

    _make: Callable[[], ServerContext]
    _paths: list[Path]
    _current: ServerContext
    _seen: object
    _looked: float
    refused = False
    """Whether files have changed and could not be used, so that older ones are in use."""
    warn_days = 0
    """See ``ServerCertificate.warning``."""
    crl: Path | None = None
    """Where revocation lists are."""
    ended_lists = 0
    """How many authorities had none but ended ones when that was looked at."""

    @classmethod
    def of(cls, make: Callable[[], ServerContext], paths: list[Path]) -> "ReloadingContext":
        """Return a context that uses what *make* returns, called again when one of *paths* has changed."""
        self = cls(ssl.PROTOCOL_TLS_SERVER)
        self._make, self._paths = make, paths
        self._seen, self._looked = fingerprint(paths), time.monotonic()
        self._current = make()
        return self

    @property
    def certificate(self) -> ServerCertificate:
        """The certificate that new connections are shown."""
        return self._current.certificate

    def warning(self) -> str | None:
        """Return a sentence when the certificate ends soon, else None."""
        return self.certificate.warning(datetime.now(UTC), self.warn_days)

    def warn(self) -> None:
        """Log it when the certificate ends soon, and when revocation lists have ended."""
        if (sentence := self.warning()) is not None:
            logger.warning("%s", sentence)
        ended = trust.ended_lists(self.crl, datetime.now(UTC))
        self.ended_lists = len(ended)
        if ended:
            names = ", ".join(ended[:10]) + (" …" if len(ended) > 10 else "")
            logger.warning("revocation lists have ended, and certificates of these are refused: %s", names)

    def adopt(self, newer: "ReloadingContext") -> None:
        """Use what *newer* uses, for connections that begin from now on."""
        self.__dict__.update(newer.__dict__)
        self.refused = False

    def refresh(self) -> None:
        """Look at the files, and use them if they changed; a broken one is logged and what was read before stays."""
        self._looked = time.monotonic()
        seen = fingerprint(self._paths)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._current = self._make()
        except ConfigurationError as error:
            self.refused = True
            logger.error("TLS files changed, but the old ones stay in use: %s", error)
        else:
            self.refused = False
            logger.info("TLS files changed and were read again")
            self.warn()

    def wrap_bio(self, incoming: ssl.MemoryBIO, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Start a connection with the present files."""
        if time.monotonic() - self._looked >= RELOAD:
            self.refresh()
        connection = self._current.wrap_bio(incoming, *args, **kwargs)
        if isinstance(connection, LoggedConnection):
            arriving = ARRIVING.get()
            connection.address = None if arriving is None else arriving.accepted.address
        return connection


class LoggedConnection(ssl.SSLObject):
    """A connection that logs why its handshake failed: the client often gets no more than a closed connection."""

    address: str | None = None
    """Of the peer."""

    def do_handshake(self) -> None:
        """Do the handshake, or a part of it.

        :raises ssl.SSLError: as the base class.
        """
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLCertVerificationError as error:
            why = (error.verify_message, error.verify_code)
            logger.warning("TLS handshake refused: %s (%d)", *why, extra={"address": self.address})
            raise
        except ssl.SSLError as error:
            reason = cast(str, error.reason or error.args[-1])
            logger.info("TLS handshake failed: %s", reason, extra={"address": self.address})
            raise
