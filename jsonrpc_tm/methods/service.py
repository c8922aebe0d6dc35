"""Methods about the server and the caller."""

import os
import resource
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..core import fields
from ..plugin.marker import hookimpl
from ..rpc.call import Call
from ..rpc.method import Method

NAME = "TransformationManager"
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Only Linux has the first."""


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def ping(call: Call) -> dict[str, Any]:
    """Say that the server is alive, and how it is.

    Times are UTC, uptimes seconds, ``load`` the host's load averages over 1, 5 and 15 minutes, ``cpu times``
    this process's seconds.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    started = call.service.started
    return {
        "name": NAME,
        "version": __version__,
        "time": _iso(call.now),
        "service start time": _iso(started),
        "service uptime": max(0, int((call.now - started).total_seconds())),
        "host uptime": int(time.clock_gettime(_SINCE_BOOT)),
        "load": " ".join(f"{average:.2f}" for average in os.getloadavg()),
        "cpu times": {"user time": usage.ru_utime, "system time": usage.ru_stime},
    }


async def echo(call: Call, data: Any) -> Any:
    """Return the parameter, whatever JSON it is."""
    return data


async def whoami(call: Call) -> dict[str, Any]:
    """Tell who the caller is to this server; null where unknown. Never key material.

    ``authentication`` is ``x509``, ``proxy`` or ``jwt``; ``secondsLeft`` is how long the credential is still valid.
    """
    who = call.identity
    left = None if who.expires is None else max(0, int((who.expires - call.now).total_seconds()))
    return {
        "username": who.username,
        "group": who.group,
        "properties": list(who.properties),
        "DN": who.dn,
        "subject": who.subject,
        "authentication": who.authentication,
        "secondsLeft": left,
    }


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    yield Method(
        "ping", ping, result="the server's name, version, times and load", rule="all", schema={"type": "object"}
    )
    yield Method("echo", echo, {"data": fields.Any_(required=True)}, result="the parameter", rule="all")
    yield Method("whoami", whoami, result="the caller's identity", rule="authenticated", schema={"type": "object"})
