"""Authentication by client certificates and proxies, over mutual TLS."""

import ssl
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from cryptography import x509

from .. import fields
from ..errors import BadCredentials
from ..hookspecs import AuthenticatorFactory, hookimpl
from ..identity import Credentials, Identity
from .headers import GROUP, single
from .options import checked
from .proxy import MALFORMED, Holder, holder
from .users import Users, admit

if TYPE_CHECKING:
    from ..service import Service

OPTIONS: Mapping[str, fields.Field] = {
    "proxies": fields.Boolean(load_default=False),
    "limited_proxies": fields.Boolean(load_default=False),
    "balancers": fields.Texts(load_default=list),
}


class X509:
    """Identifies callers by the client certificate of their TLS connection.

    :param users: the registry.
    :param limited_proxies: whether limited proxies are accepted.
    """

    name = "x509"

    def __init__(self, users: Users, *, limited_proxies: bool = False) -> None:
        self._users = users
        self._limited = limited_proxies
        # a connection's certificates never change, so they are read once; its dates are checked at every request
        self._holders: WeakKeyDictionary[ssl.SSLObject, Holder | None] = WeakKeyDictionary()

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return the holder of the client certificate, None without one."""
        who = self._connection(credentials.ssl_object)
        return None if who is None else self._identity(who, credentials)

    def _connection(self, connection: ssl.SSLObject | None) -> Holder | None:
        if connection is None:
            return None
        if connection not in self._holders:
            self._holders[connection] = _holder_of(connection)
        return self._holders[connection]

    def _identity(self, who: Holder, credentials: Credentials) -> Identity:
        if who.limited and not self._limited:
            raise BadCredentials("Limited proxies are not accepted")
        # the handshake saw to it that every certificate had become valid; connections outlive certificates
        if credentials.now >= who.expires:
            raise BadCredentials("The certificate has expired")
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


def _holder_of(connection: ssl.SSLObject) -> Holder | None:
    if connection.getpeercert(binary_form=True) is None:
        return None
    chain = verified_chain(connection)
    if not chain:
        raise BadCredentials("The certificate's chain is not known")
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
    except MALFORMED:
        raise BadCredentials("The certificate is malformed") from None
    return holder(certificates)


def verified_chain(connection: ssl.SSLObject) -> list[bytes]:
    """Return the chain that the handshake verified (DER, leaf first, the authority last); empty when unknown."""
    if hasattr(connection, "get_verified_chain"):  # public from Python 3.13
        return list(connection.get_verified_chain())
    # the encoding argument defaults to PEM; 2 is _ssl.ENCODING_DER
    return [c.public_bytes(2) for c in connection._sslobj.get_verified_chain() or ()]  # type: ignore[attr-defined]


class Factory:
    """Makes the authenticator from its entry in ``authentication``."""

    name = X509.name

    def __call__(self, options: Mapping[str, Any], service: "Service") -> X509:
        """Return the authenticator.

        :raises ConfigurationError: the options are wrong.
        """
        settings: Any = service.settings
        loaded = checked(settings, self.name, options, OPTIONS)
        return X509(service.users, limited_proxies=loaded["limited_proxies"])


@hookimpl
def register_authenticator() -> Iterable[AuthenticatorFactory]:
    """Provide ``x509``."""
    yield Factory()
