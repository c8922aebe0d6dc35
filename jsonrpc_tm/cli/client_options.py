"""The options of commands that talk to a server, and the client they mean."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from ..client import Client, endpoint
from ..http.listener import local_url
from ..settings import Settings
from .program import F

OPTIONS = {
    "url": ("URL", "Server to talk to."),
    "cert": ("FILE", "Client certificate, or proxy with its chain and key, PEM."),
    "key": ("FILE", "Private key of the client certificate, PEM."),
    "ca": ("FILE", "Authorities of the server's certificate: PEM file or hashed folder."),
    "token": ("TEXT", "Bearer token."),
    "group": ("NAME", "Group to act in."),
}
DEVELOPER = "admin"
"""Whose development certificate is taken where no other credential is named."""


def client_options(command: F) -> F:
    """Add ``--url --cert --key --ca --token --group`` to a command."""
    for name, (metavar, text) in reversed(OPTIONS.items()):
        command = click.option(f"--{name}", metavar=metavar, help=f"{text} [setting client.{name}]")(command)
    return command


def make_client(settings: Settings, options: Mapping[str, str | None]) -> Client:
    """Return the client that options and settings mean.

    :param options: what was given on the command line, None where nothing was; files are relative to the current
        folder, those in the settings to the configuration's.
    :raises ConfigurationError: a file cannot be used.
    """
    chosen: dict[str, Any] = {}
    for name in OPTIONS:
        given = options.get(name)
        if given is None:
            chosen[name] = (
                settings.path(f"client.{name}") if name in ("cert", "key", "ca") else settings[f"client.{name}"]
            )
        else:
            chosen[name] = given
    if chosen["url"] is None:
        chosen["url"] = local_url(settings)
    if options.get("cert") is not None and options.get("key") is None:
        chosen["key"] = None  # it is in the certificate's file; the setting belongs to another one
    chosen["url"] = endpoint(chosen["url"])
    _develop(settings, chosen)
    return Client(**chosen, timeout=settings["client.timeout"])


def _develop(settings: Settings, chosen: dict[str, Any]) -> None:
    """Fill in the certificates of development mode for a server of this machine."""
    folder: Path | None = settings.path("server.tls.folder")
    local = urlsplit(chosen["url"]).hostname in ("127.0.0.1", "localhost", "::1")
    if settings["server.tls.mode"] != "dev" or not local or folder is None:
        return
    if chosen["ca"] is None and (folder / "ca.pem").is_file():
        chosen["ca"] = folder / "ca.pem"
        if chosen["cert"] is None and chosen["token"] is None and os.access(folder / f"{DEVELOPER}.key", os.R_OK):
            chosen["cert"], chosen["key"] = folder / f"{DEVELOPER}.pem", folder / f"{DEVELOPER}.key"
