"""Clients: over HTTPS for asyncio (``Client``), without asyncio (``SyncClient``). Needs aiohttp and orjson alone."""

from .base import BaseClient, ConnectionFailed
from .https import Client, endpoint
from .sync import SyncClient
from .tls import tls_context

__all__ = ["BaseClient", "Client", "ConnectionFailed", "SyncClient", "endpoint", "tls_context"]
