"""Authentication by client certificates and proxies: mutual TLS, or the headers of a balancer that ended it."""

import hashlib
import ssl
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from cryptography import x509

from ..core import fields
from ..core.addresses import Peers, within
from ..core.errors import BadCredentials
from ..core.identity import Credentials, Identity, Users
from ..parts import AuthenticatorFactory, Parts
from ..plugin.marker import hookimpl
from ..settings.types import Balancers
from .devcerts import Folder
from .headers import CERTIFICATE, GROUP, VERIFIED, single
from .options import checked
from .proxy import MALFORMED, Holder, holder, proxy_info
from .trust import MAX_DEPTH, Trust
from .users import admit

_FORWARDED = 1000
"""Most certificates of balancers whose meaning is kept."""


OPTIONS: Mapping[str, fields.Field] = {
    "proxies": fields.Boolean(load_default=False),
    "limited_proxies": fields.Boolean(load_default=False),
    "balancers": Balancers(load_default=()),
}


class X509:
    """Identifies callers by their client certificate.

    :param users: the registry.
    :param trust: authorities and revocation lists.
    :param proxies: whether proxies are accepted (in the handshake OpenSSL decides, see ``tls``).
    :param limited_proxies: whether limited ones are.
    :param balancers: addresses whose headers are believed.
    """

    name = "x509"

    def __init__(
        self,
        users: Users,
        trust: Trust,
        *,
        proxies: bool = False,
        limited_proxies: bool = False,
        balancers: Peers = (),
    ) -> None:
        self._users = users
        self._trust = trust
        self._proxies, self._limited, self._balancers = proxies, limited_proxies, balancers
        # what certificates say never changes, so it is read once; dates and revocation are checked at every request
        self._connections: WeakKeyDictionary[ssl.SSLObject, Holder | None] = WeakKeyDictionary()
        self._forwarded: dict[bytes, Holder] = {}
        self._generation = trust.generation

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return the holder of the client certificate, None without one.

        :raises BadCredentials: TLS let it through, but the rules refuse it.
        """
        self._trust.refresh()
        behind = bool(self._balancers) and within(credentials.remote, self._balancers)
        who = self._header(credentials) if behind else None
        if who is None:
            who = self._connection(credentials)
            # the balancer's own certificate is not the caller's, who may have a token
            if who is None or (behind and self._users.by_dn(who.dn) is None):
                return None
        return self._identity(who, credentials)

    def _connection(self, credentials: Credentials) -> Holder | None:
        connection = credentials.ssl_object
        if connection is None:
            return None
        try:
            return self._connections[connection]
        except KeyError:
            who = self._connections[connection] = self._read(connection, credentials.now)
            return who

    def _read(self, connection: ssl.SSLObject, now: datetime) -> Holder | None:
        if connection.getpeercert(binary_form=True) is None:
            return None
        if verified := verified_chain(connection):
            return holder(_load(verified))
        # a session that was resumed has kept only what the client sent then, and may have been revoked since
        if not connection.session_reused or not (sent := sent_chain(connection)):
            raise BadCredentials("The certificate's chain is not known")
        return holder(self._trust.verify(_load(sent), now))

    def _header(self, credentials: Credentials) -> Holder | None:
        """Return what a balancer says about its client, None when that showed no certificate."""
        verdict, content = (single(credentials.headers, name) for name in (VERIFIED, CERTIFICATE))
        if verdict is None and content is None:
            return None
        if verdict != "SUCCESS" or content is None:
            raise BadCredentials("The balancer did not verify a client certificate")
        if self._generation != self._trust.generation:
            self._forwarded.clear()
            self._generation = self._trust.generation
        digest = hashlib.sha256(content.encode("utf-8", "surrogateescape")).digest()
        if digest not in self._forwarded:
            while len(self._forwarded) >= _FORWARDED:
                del self._forwarded[next(iter(self._forwarded))]
            self._forwarded[digest] = self._forwarded_holder(content, credentials.now)
        who = self._forwarded[digest]
        if credentials.now < who.begins:
            raise BadCredentials("The certificate is not valid yet")
        return who

    def _forwarded_holder(self, content: str, now: datetime) -> Holder:
        try:
            chain = x509.load_pem_x509_certificates(unquote(content, errors="strict").encode())
            proxy = proxy_info(chain[0]) is not None
        except MALFORMED:
            raise BadCredentials("The certificate in the balancer's header is malformed") from None
        if not proxy:
            return holder(chain[:1])  # the balancer verified it
        # no balancer knows the rules for proxies
        return holder(self._trust.verify(chain, now))

    def _identity(self, who: Holder, credentials: Credentials) -> Identity:
        if who.proxy and not self._proxies:
            raise BadCredentials("Proxies are not accepted")
        if who.limited and not self._limited:
            raise BadCredentials("Limited proxies are not accepted")
        # that every certificate had become valid was seen to before; connections outlive certificates
        if credentials.now >= who.expires:
            raise BadCredentials("The certificate has expired")
        if self._trust.revoked(who.serials):
            raise BadCredentials("The certificate is revoked")
        return admit(
            self._users,
            self._users.by_dn(who.dn),
            who=who.dn,
            claimed=single(credentials.headers, GROUP),
            proven=who.group,
            authentication="proxy" if who.proxy else "x509",
            expires=who.expires,
            dn=who.dn,
        )


def _load(chain: Iterable[bytes]) -> list[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(der) for der in chain]
    except MALFORMED:
        raise BadCredentials("The certificate is malformed") from None


def verified_chain(connection: ssl.SSLObject) -> list[bytes]:
    """Return the chain that the handshake verified (DER, leaf first, the authority last); empty when there is none."""
    return _chain(connection, "get_verified_chain")


def sent_chain(connection: ssl.SSLObject) -> list[bytes]:
    """Return the certificates that the client sent (DER, leaf first)."""
    return _chain(connection, "get_unverified_chain")[: MAX_DEPTH + 1]


def _chain(connection: ssl.SSLObject, name: str) -> list[bytes]:
    if hasattr(connection, name):  # public from Python 3.13
        return list(getattr(connection, name)())
    inner = connection._sslobj  # type: ignore[attr-defined]
    # 2 is _ssl.ENCODING_DER; the default is PEM
    return [certificate.public_bytes(2) for certificate in getattr(inner, name)() or ()]


class _Factory:
    """Makes the authenticator from its entry in ``authentication``."""

    name = X509.name

    def __call__(self, options: Mapping[str, Any], parts: Parts) -> X509:
        """Return the authenticator.

        :raises ConfigurationError: the options, or the files of authorities and revocation lists, are wrong.
        """
        settings = parts.settings
        loaded = checked(settings, self.name, options, OPTIONS)
        authorities = settings.path("server.tls.client_ca")
        if settings["server.tls.mode"] == "dev":
            # not made before the server starts
            authorities = Folder(settings.folder / settings["server.tls.folder"]).ca
        elif authorities is not None and not authorities.exists():
            raise settings.wrong(
                "server.tls.client_ca", message=f"{authorities} cannot be used: No such file or directory"
            )
        crl = settings.path("server.tls.crl")
        if crl is not None and not crl.exists():
            raise settings.wrong("server.tls.crl", message=f"{crl} cannot be used: No such file or directory")
        return X509(parts.users, Trust(authorities, crl), **loaded)


@hookimpl
def register_authenticator() -> Iterable[AuthenticatorFactory]:
    """Provide ``x509``."""
    yield _Factory()
