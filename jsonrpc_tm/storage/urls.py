"""Storage URLs. A few lines of ours: URL libraries refuse ``sqlite://:memory:`` and several hosts."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from ..core.errors import ConfigurationError

MYSQL_PORT = 3306
_SERVER = re.compile(r"[a-z0-9+.-]+://(?:([^:@/]*)(?::(.*))?@)?([^@/?]+)/([^/?]+)(?:\?(.*))?")

_SQLITE_SLIPS = {
    ":memory:": "a database in memory is sqlite://:memory:",
    r"\?": "there are no options behind a question mark",
    r"^/*file:": "write sqlite:/// and the path, without file:",
    "%[0-9A-Fa-f]{2}": "write the characters themselves, nothing is percent-encoded",
    r"^/*~": "~ is not the home folder here; write its path",
    r"\$": "variables are not put in here; write the path",
    r"[\x00-\x1f\x7f]|^/*\s|\s$|[\"']": "white space at an end, quotes and control characters are not part of a path",
}
"""What would quietly become another file than the one that was meant, by regular expression."""


@dataclass(frozen=True, slots=True)
class ServerURL:
    """A database behind a network.

    :param hosts: (host, port) pairs, in the order they are tried.
    :param options: what follows ``?``, by name.
    """

    user: str
    password: str = field(repr=False)
    hosts: tuple[tuple[str, int], ...]
    database: str
    options: dict[str, str]


def scheme(url: str) -> str:
    """Return what stands before ``://``.

    :raises ConfigurationError: there is no such thing.
    """
    found = re.match(r"([a-z][a-z0-9+.-]*)://", url)
    if not found:
        raise ConfigurationError(
            f"storage.url {redacted(url)!r} is not a URL like sqlite:///tm.db or mysql://user:password@host/database"
        )
    return found[1]


def redacted(url: str) -> str:
    """Return *url* without its password, for messages and logs."""
    return re.sub(r"(//[^:/@]*):.*@", r"\1:***@", url)


def sqlite_path(url: str, folder: Path) -> Path | None:
    """Return the file of a ``sqlite:`` URL; None for ``sqlite://:memory:``.

    :param folder: ``sqlite:///rel.db`` is relative to it; ``sqlite:////abs.db`` is absolute.
    :raises ConfigurationError: it is neither, or has something that SQLite's tools, other libraries or a shell
        understand and that would be a part of the file's name here.
    """
    rest = url.removeprefix("sqlite://")
    if rest == ":memory:":
        return None
    for slip, right in _SQLITE_SLIPS.items():
        if re.search(slip, rest):
            raise ConfigurationError(f"storage.url {url!r}: {right}")
    if not rest.startswith("/") or len(rest) < 2 or rest.endswith("/"):
        raise ConfigurationError(
            f"storage.url {url!r} must be sqlite:///relative.db, sqlite:////absolute.db or sqlite://:memory:"
        )
    return folder / rest[1:]


def server_url(url: str) -> ServerURL:
    """Return the parts of ``mysql://user:password@host[:port][,host[:port]…]/database[?option=value…]``.

    User, password and database may be percent-encoded; an IPv6 address stands in brackets.

    :raises ConfigurationError: a part is missing or malformed.
    """
    found = _SERVER.fullmatch(url)
    if not found:
        raise ConfigurationError(
            f"storage.url {redacted(url)!r} must be mysql://user:password@host[:port][,host[:port]…]/database"
        )
    user, password, hosts, database, options = found.groups("")
    return ServerURL(
        unquote(user),
        unquote(password),
        tuple(_address(host, url) for host in hosts.split(",")),
        unquote(database),
        dict(parse_qsl(options, keep_blank_values=True)),
    )


def with_database(url: str, name: str) -> str:
    """Return a URL that ``server_url`` understands with another database."""
    found = _SERVER.fullmatch(url)
    if found is None:
        raise ValueError(f"{redacted(url)!r} names no database")
    return f"{url[: found.start(4)]}{quote(name, safe='')}{url[found.end(4) :]}"


def _address(text: str, url: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?", text)
    if not found or not 0 < int(found[3] or MYSQL_PORT) < 65536:
        raise ConfigurationError(f"storage.url {redacted(url)!r}: {text!r} is not host[:port]")
    return found[1] or found[2], int(found[3] or MYSQL_PORT)
