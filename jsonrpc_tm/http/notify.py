"""Telling systemd how the server is: the protocol of sd_notify(3), for units with ``Type=notify``."""

import os
import socket
from contextlib import suppress
from time import monotonic_ns

READY, STOPPING = "READY=1", "STOPPING=1"
_VARIABLE = "NOTIFY_SOCKET"


def notify(*states: str) -> None:
    """Tell whoever started this process, if they asked to be told; nothing happens when they do not listen."""
    address = os.environ.get(_VARIABLE)
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            told.sendall("\n".join(states).encode())


def reloading() -> None:
    """Tell that a reload has begun; ``READY`` ends it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")


def be_silent() -> None:
    """Say nothing from this process on: its parent does."""
    os.environ.pop(_VARIABLE, None)
