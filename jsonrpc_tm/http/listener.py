"""The socket to listen on, and whether it speaks TLS."""

import errno
import ipaddress
import logging
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from ..core.errors import ConfigurationError
from ..settings import Settings
from .tls import server_context

logger = logging.getLogger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on *host* and *port*.

    :param port: 0 for any free one.
    :raises ConfigurationError: the port is taken, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise ConfigurationError(f"server.host: {host!r} is no address and no known name") from None
    listener = socket.socket(family, kind, protocol)
    # a server that was just stopped leaves connections behind that would keep the port for a minute
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # another program may have bound it too; who listens first has it
        listener.listen()
    except OSError as error:
        listener.close()
        reasons = {
            errno.EADDRINUSE: f"server.port: port {port} of {host} is taken by another program",
            errno.EACCES: f"server.port: this user may not listen on port {port}",
            errno.EADDRNOTAVAIL: f"server.host: {host} is not an address of this machine",
        }
        reason = reasons.get(error.errno or 0, f"server.host: cannot listen on {host}:{port}: {error.strerror}")
        raise ConfigurationError(reason) from None
    return listener


def url(listener: socket.socket, settings: Mapping[str, Any], tls: bool) -> str:
    """Return the URL of the endpoint on a bound socket."""
    return _url(settings["server.host"], listener.getsockname()[1], settings, tls)


def local_url(settings: Mapping[str, Any]) -> str:
    """Return the URL at which this machine's programs reach the server of *settings*; with port 0 the usual one."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings["server.host"], settings["server.host"])
    return _url(host, settings["server.port"] or 8443, settings, settings["server.tls.mode"] != "off")


def _url(host: str, port: int, settings: Mapping[str, Any], tls: bool) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"http{'s' if tls else ''}://{host}:{port}{settings['server.path']}"


def context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context of the settings; None with ``server.tls.mode: off``.

    :raises ConfigurationError: TLS is off where others can listen, or its files cannot be used.
    """
    if settings["server.tls.mode"] != "off":
        return server_context(settings)
    host = settings["server.host"]
    if not is_loopback(host):
        if not settings["server.tls.force_off"]:
            raise ConfigurationError(
                f"server.tls.mode: off on {host} would let everybody on the network read and change what is sent; "
                "use a certificate, listen on 127.0.0.1, or set server.tls.force_off behind a balancer"
            )
        logger.warning("TLS is off on %s: everybody on the network can read and change what is sent", host)
    else:
        logger.warning("TLS is off: only programs of this machine can connect, without certificates")
    return None


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach *host*."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
