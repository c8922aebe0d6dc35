"""The socket to listen on (TCP, Unix, or one that systemd hands over), and whether it speaks TLS."""

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core.addresses import is_loopback
from ..core.errors import ConfigurationError
from ..settings import Settings
from . import tls
from .entrance import EntranceContext
from .tls import server_context

logger = logging.getLogger(__name__)


# sd_listen_fds(3)
_FIRST = 3


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[socket.socket]:
    """Give the socket to listen on: one that was handed over, else ``server.socket``, else host and port.

    :raises ConfigurationError: there is none to be had.
    """
    bound = inherited()
    if bound is not None:
        with bound:
            yield bound
    elif settings["server.socket"] is not None:
        path = settings.folder / settings["server.socket"]
        with bind_unix(path, int(settings["server.socket_mode"], 8)) as bound:
            made = _identity(path)
            try:
                yield bound
            finally:
                # the next server may have taken its place already
                if _identity(path) == made:
                    path.unlink(missing_ok=True)
    else:
        with bind(settings["server.host"], settings["server.port"]) as bound:
            yield bound


def _identity(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


def inherited() -> socket.socket | None:
    """Return the socket that systemd hands over to this process (socket activation), None without one.

    :raises ConfigurationError: there are several, or it is none to listen on.
    """
    number = os.environ.pop("LISTEN_FDS", None)
    if os.environ.pop("LISTEN_PID", None) != str(os.getpid()) or number in (None, "0"):
        return None
    if number != "1":
        raise ConfigurationError(f"LISTEN_FDS: {number} sockets were handed over, one is served: give one ListenStream")
    try:
        bound = socket.socket(fileno=_FIRST)
        listens = bound.type == socket.SOCK_STREAM and bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigurationError(f"LISTEN_FDS: what was handed over is no socket: {error.strerror}") from None
    if not listens:
        bound.close()
        raise ConfigurationError("LISTEN_FDS: the socket that was handed over does not listen: it takes a ListenStream")
    bound.set_inheritable(False)
    return bound


def bind_unix(path: Path, mode: int) -> socket.socket:
    """Return a Unix socket that listens; one that a killed server left behind is replaced.

    :param mode: who may connect, as for a file.
    :raises ConfigurationError: another server has it, or it cannot be made there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
                    raise ConfigurationError(f"server.socket: {path} is taken by another program")
            path.unlink()
        # nobody connects before it has its mode
        before = os.umask(0o777)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        path.chmod(mode)
        listener.listen()
    except ConfigurationError:
        listener.close()
        raise
    except (OSError, ValueError) as error:
        listener.close()
        reason = "there is a file of this name" if path.exists() else getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"server.socket: cannot listen on {path}: {reason}") from None
    return listener


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
    """Return the URL of the endpoint on a bound socket; ``unix:`` and the path for a Unix socket."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port, *_ = listener.getsockname()
    named: str = settings["server.host"]
    return _url(named if host in _addresses(named) else host, port, settings, tls)


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None, flags=socket.AI_PASSIVE)}
    except socket.gaierror:
        return set()


def local_url(settings: Mapping[str, Any]) -> str:
    """Return the URL at which this machine's programs reach the server of *settings*; with port 0 the usual one.

    :raises ConfigurationError: it listens on a Unix socket.
    """
    if settings["server.socket"] is not None:
        raise ConfigurationError("server.socket: calls do not go over Unix sockets; client.url names the balancer")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings["server.host"], settings["server.host"])
    return _url(host, settings["server.port"] or 8443, settings, settings["server.tls.mode"] != "off")


def _url(host: str, port: int, settings: Mapping[str, Any], tls: bool) -> str:
    host = f"[{host.replace('%', '%25')}]" if ":" in host else host
    return f"http{'s' if tls else ''}://{host}:{port}{settings['server.path']}"


def context(settings: Settings, bound: socket.socket | None = None) -> EntranceContext | None:
    """Return the TLS context of the settings; None with ``server.tls.mode: off``.

    :param bound: the socket, where it is there already.
    :raises ConfigurationError: TLS is off where others can listen, or its files cannot be used.
    """
    if settings["server.tls.mode"] != "off":
        return server_context(settings)
    over_unix = settings["server.socket"] is not None if bound is None else bound.family == socket.AF_UNIX
    if over_unix:
        return None
    host = settings["server.host"] if bound is None else bound.getsockname()[0]
    _refuse_plain(host, settings)
    if not is_loopback(host):
        logger.warning("TLS is off on %s: everybody on the network can read and change what is sent", host)
    else:
        logger.warning("TLS is off: only programs of this machine can connect, without certificates")
    return None


def check(settings: Settings) -> None:
    """Refuse what ``context`` would refuse on the socket that the settings name; nothing is made.

    :raises ConfigurationError: as there.
    """
    handed_over = os.environ.get("LISTEN_PID") == str(os.getpid())
    if settings["server.tls.mode"] == "off" and settings["server.socket"] is None and not handed_over:
        _refuse_plain(settings["server.host"], settings)
    tls.check(settings)


def _refuse_plain(host: str, settings: Mapping[str, Any]) -> None:
    if not is_loopback(host) and not settings["server.tls.force_off"]:
        raise ConfigurationError(
            f"server.tls.mode: off on {host} would let everybody on the network read and change what is sent; "
            "use a certificate, listen on 127.0.0.1, or set server.tls.force_off behind a balancer"
        )
