"""IP addresses as they are compared, counted and written: each in one form, whoever wrote it."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Peers = Sequence[Network | None]
"""Addresses, and with None whoever connects over a Unix socket."""

_ZONE = re.compile(r"%[^/]*")
# ::ffff:0:0/96
_MAPPED = 96


def address(text: str) -> Address:
    """Return an IP address: IPv4 where it is written as IPv6 (``::ffff:10.0.0.1``), without a zone (``%eth0``).

    :raises ValueError: *text* is none.
    """
    found = ip_address(_ZONE.sub("", text))
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped


def network(text: str) -> Network:
    """Return an address or network (``10.0.0.0/8``) as a network, in the form of ``address``.

    :raises ValueError: *text* is none.
    """
    found = ip_network(_ZONE.sub("", text))
    if isinstance(found, IPv6Network) and found.prefixlen >= _MAPPED:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), found.prefixlen - _MAPPED))
    return found


def subscriber(text: str) -> str:
    """Return what is counted as one caller: an IPv4 address, or the /64 of an IPv6 one, of which each host has all.

    :param text: an address in the normal form, or anything else, which comes back as it is.
    """
    if ":" not in text:
        return text
    try:
        return str(ip_network((text, 64), strict=False))
    except ValueError:
        return text


def normal(text: str) -> str:
    """Return an IP address in the form of ``address``, and anything else as it is."""
    if ":" not in text:
        return text
    try:
        return str(address(text))
    except ValueError:
        return text


def host(text: str) -> str:
    """Return the host of ``host:port``, ``[address]:port`` or either without a port: an address in its normal form,
    a name in lower case."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return normal(text.lower())


def within(remote: str | None, peers: Peers) -> bool:
    """Whether the address of a connection's other end is one of *peers*.

    :param remote: empty for a Unix socket; None when it is not known.
    """
    if not remote:
        return remote == "" and None in peers
    try:
        found = address(remote)
    except ValueError:
        return False
    return any(found in one for one in peers if one is not None)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach *host*, an address or a name."""
    try:
        return address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
