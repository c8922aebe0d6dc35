"""Where a database is, and as whom to connect: the URL, an option file, TLS."""

import configparser
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...core.errors import ConfigurationError
from ..urls import MYSQL_PORT, server_url


@dataclass(frozen=True, slots=True)
class Host:
    """Where a server listens; with *socket* the name and port say nothing."""

    name: str
    port: int = MYSQL_PORT
    socket: str | None = None

    def __str__(self) -> str:
        return self.socket or f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and as whom.

    :param hosts: in the order in which they are tried.
    """

    user: str
    password: str = field(repr=False)
    hosts: tuple[Host, ...]
    database: str


def target(url: str, option_file: Path | None = None) -> Target:
    """Return what a storage URL names.

    :param option_file: fills in what the URL leaves out, see ``read_default_file``.
    :raises ConfigurationError: the URL has another form.
    """
    parts = server_url(url)
    if unknown := sorted(parts.options.keys() - {"socket"}):
        raise ConfigurationError(f"storage.url: unknown option {unknown[0]!r}; there is only socket")
    if "socket" in parts.options:
        hosts: tuple[Host, ...] = (Host("localhost", socket=parts.options["socket"]),)
    else:
        hosts = tuple(Host(name, port) for name, port in parts.hosts)
    found = Target(parts.user, parts.password, hosts, parts.database)
    return found if option_file is None else read_default_file(found, option_file)


def read_default_file(target: Target, path: Path) -> Target:
    """Fill in the user and password that the URL leaves out from ``[client]`` of an option file (``my.cnf``).

    :raises ConfigurationError: the file cannot be read.
    """
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        # !include lines are neither sections nor options; they are not followed
        lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("!")]
        parser.read_string("\n".join(lines))
    except (OSError, ValueError, configparser.Error) as error:
        raise ConfigurationError(f"storage.read_default_file: {path} cannot be read: {type(error).__name__}") from None

    def option(name: str) -> str:
        return (parser.get("client", name, fallback=None) or "").strip("'\"")

    return replace(target, user=target.user or option("user"), password=target.password or option("password"))


def tls_context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return the context for TLS to the database: its certificate and name are verified.

    :param ca: certificates of the authorities; None for the system's.
    :raises ConfigurationError: a file cannot be used.
    """
    what = f"ca: {ca}"
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            what = f"certificate: {cert}, or its key {key or cert},"
            context.load_cert_chain(cert, key, password="")  # nobody is there to ask
    except OSError as error:
        reason = (error.reason or "it is no PEM file") if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"storage.tls.{what} cannot be used: {reason}") from None
    return context
