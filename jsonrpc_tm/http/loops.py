"""The event loop that a server runs on."""

import asyncio
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import ConfigurationError


def loop_factory(settings: Mapping[str, Any]) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the loop that ``server.event_loop`` names.

    :raises ConfigurationError: it is not installed.
    """
    if settings["server.event_loop"] == "asyncio":
        return asyncio.new_event_loop
    try:
        made: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        raise ConfigurationError(
            "server.event_loop: uvloop is not installed: pip install 'jsonrpc-tm[uvloop]'"
        ) from None
    return made
