"""Methods about the server and the caller."""

import os
import resource
import time
from collections.abc import Iterable, Mapping
from typing import Any

from .. import __version__
from ..core import fields
from ..core.clock import answered
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Method

NAME = "TransformationManager"
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Only Linux has the first."""


async def ping(outside: Outside) -> dict[str, Any]:
    """Say that the server is alive, and how it is.

    Times are UTC, uptimes seconds, ``load`` the host's load averages over 1, 5 and 15 minutes, ``cpu times``
    this process's seconds.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    now, started = outside.context.now, outside.started
    return {
        "name": NAME,
        "version": __version__,
        "time": answered(now),
        "service start time": answered(started),
        "service uptime": max(0, int((now - started).total_seconds())),
        "host uptime": int(time.clock_gettime(_SINCE_BOOT)),
        "load": " ".join(f"{average:.2f}" for average in os.getloadavg()),
        "cpu times": {"user time": usage.ru_utime, "system time": usage.ru_stime},
    }


async def echo(outside: Outside, data: Any) -> Any:
    """Return the parameter, whatever JSON it is."""
    return data


async def whoami(outside: Outside) -> dict[str, Any]:
    """Tell who the caller is to this server; null where unknown. Never key material.

    ``authentication`` is ``x509``, ``proxy`` or ``jwt``; ``secondsLeft`` is how long the credential is still valid.
    """
    who, now = outside.context.identity, outside.context.now
    left = None if who.expires is None else max(0, int((who.expires - now).total_seconds()))
    return {
        "username": who.username,
        "group": who.group,
        "properties": list(who.properties),
        "DN": who.dn,
        "subject": who.subject,
        "authentication": who.authentication,
        "secondsLeft": left,
    }


async def discover(outside: Outside) -> Mapping[str, Any]:
    """Return the OpenRPC document of every method the server has, plugins included."""
    return outside.document


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    text_or_null = results.nullable(results.TEXT)
    state = {
        "name": results.TEXT,
        "version": results.TEXT,
        "time": results.MOMENT,
        "service start time": results.MOMENT,
        "service uptime": results.INTEGER,
        "host uptime": results.INTEGER,
        "load": results.TEXT,
        "cpu times": results.mapped(results.NUMBER),
    }
    caller = {
        "username": text_or_null,
        "group": text_or_null,
        "properties": results.listed(results.TEXT),
        "DN": text_or_null,
        "subject": text_or_null,
        "authentication": {"enum": ["x509", "proxy", "jwt", None]},
        "secondsLeft": results.nullable(results.INTEGER),
    }
    yield Method(
        "ping", ping, rule="all", result=results.members("the server's name, version, times and load", **state)
    )
    yield Method(
        "echo",
        echo,
        {"data": fields.Any_(required=True)},
        rule="all",
        result=results.said(results.ANYTHING, "the parameter"),
    )
    yield Method("whoami", whoami, rule="authenticated", result=results.members("the caller's identity", **caller))
    yield Method(
        "rpc.discover",
        discover,
        rule="all",
        result=results.said({"type": "object", "required": ["openrpc", "info", "methods"]}, "the OpenRPC document"),
    )
